"""docs/dependencies.md has a row for each direct requirement, and none too many."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _required() -> set[str]:
    requirements: list[str] = []
    for path in (*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")):
        project = tomllib.loads(path.read_text(encoding="utf-8"))
        requirements += [*project["project"]["dependencies"], *project["build-system"]["requires"]]
        requirements += [r for extra in project["project"].get("optional-dependencies", {}).values() for r in extra]
    lines = (ROOT / "requirements-dev.in").read_text(encoding="utf-8").splitlines()
    requirements += [line for line in lines if line and not line.startswith(("#", "-"))]
    return _without_our_own(map(_name, requirements))


def _without_our_own(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.startswith("pms-")}


def _explained() -> list[str]:
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    return [cell for cell in cells if cell not in ("package", "---")]


def test_every_direct_requirement_has_its_row_and_no_other_has_one() -> None:
    assert sorted(_explained()) == sorted(_required())


def test_every_row_gives_a_reason() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("|") and not line.split("|")[2].strip()] == []


SERVERS = ("redis", "uvloop", "websockets", "aiohttp", "sqlalchemy", "asyncpg", "orjson", "prometheus_client")


@pytest.mark.parametrize("package", SERVERS)
def test_what_the_product_stands_on_is_imported_where_it_runs(package: str) -> None:
    sources = (*ROOT.glob("libs/*/pms_*/**/*.py"), *ROOT.glob("services/*/pms_*/**/*.py"))
    imports = re.compile(rf"^\s*(?:from|import) {package}\b", re.MULTILINE)
    assert [path for path in sources if "bench" not in path.parts and imports.search(path.read_text(encoding="utf-8"))]
