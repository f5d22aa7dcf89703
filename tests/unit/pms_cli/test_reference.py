"""The reference pages: nothing of the code is missing in them, and a stale one is named."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from pms_cli.reference.metrics import metrics_of
from pms_cli.reference.pages import render, stale, write
from pms_cli.run_service import SERVICES
from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.errors import EARLIER, ErrorCode
from pms_common.contracts.events import EVENTS
from pms_common.contracts.results_algos import RESULTS
from pms_common.contracts.shapes import shape_of
from pms_common.names import Names
from pms_common.settings import known_names
from pms_common.topology import topology

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {Path(path).name: text for path, text in render().items()}


def _section(page: str, title: str) -> str:
    _, _, rest = page.partition(f"\n## {title}\n")
    assert rest, f"no section {title}"
    return rest.partition("\n## ")[0]


def _rows(page: str) -> set[str]:
    return {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}


def test_the_committed_pages_are_what_the_code_says() -> None:
    assert stale(ROOT) == [], "run `make docs`"


def test_the_files_are_the_same_each_time() -> None:
    assert render() == render()


@pytest.mark.parametrize("type_", COMMANDS)
def test_every_command_is_there_with_its_fields_and_names(pages: dict[str, str], type_: str) -> None:
    fields = [field for field in shape_of(COMMANDS[type_]).fields if field.attribute not in ("request_id",)]
    text = _section(pages["commands.md"], type_) + _section(pages["commands.md"], "Envelope")
    assert f"`pms:{COMMANDS[type_].STREAM}:{type_}`" in text
    assert {field.name for field in fields} <= _rows(text)
    assert [name for field in fields for name in field.aliases if f"`{name}`" not in text] == []


@pytest.mark.parametrize("type_", RESULTS)
def test_every_result_is_there(pages: dict[str, str], type_: str) -> None:
    name = RESULTS[type_].__name__
    assert f"| `{type_}` | [{name}](#{name.lower()}) |" in pages["results.md"]
    assert _section(pages["results.md"], name)


@pytest.mark.parametrize("type_", EVENTS)
def test_every_event_is_there(pages: dict[str, str], type_: str) -> None:
    assert _section(pages["events.md"], type_)


@pytest.mark.parametrize("page", ["commands.md", "results.md", "events.md"])
def test_every_link_within_a_page_has_its_section_once(pages: dict[str, str], page: str) -> None:
    titles = [line.removeprefix("## ").lower() for line in pages[page].splitlines() if line.startswith("## ")]
    linked = {part.partition(")")[0].lower() for part in pages[page].split("](#")[1:]}
    assert linked <= set(titles)
    assert len(titles) == len(set(titles))


def test_every_code_setting_and_stream_is_there(pages: dict[str, str]) -> None:
    assert {code.name for code in ErrorCode if code not in EARLIER} <= _rows(pages["errors.md"])
    assert not {code.name for code in EARLIER} & _rows(pages["errors.md"])
    assert known_names() == _rows(pages["settings.md"])
    assert {stream.name for stream in topology(Names())} <= _rows(pages["streams.md"])


def test_every_metric_of_a_process_is_there() -> None:
    """What the sources say equals what a process registers that has loaded every service."""
    for service in SERVICES:
        __import__(f"pms_{service}.main")
    collectors = list(REGISTRY._collector_to_names)
    registered = {
        (collector._name, collector._type, collector._labelnames)
        for collector in collectors
        if isinstance(collector, MetricWrapperBase) and collector._name.startswith("pms_")
    }
    read = {metric for service in SERVICES for metric in metrics_of(service)}
    assert registered == {(metric.name.removesuffix("_total"), metric.type, metric.labels) for metric in read}


def test_a_metric_is_told_of_the_services_that_have_it_only() -> None:
    names = {service: {metric.name for metric in metrics_of(service)} for service in SERVICES}
    assert "pms_risk_accounts" in names["risk"]
    assert all("pms_risk_accounts" not in names[service] for service in SERVICES if service != "risk")
    assert all("pms_loop_lag_seconds" in names[service] for service in SERVICES)


def test_stale_missing_and_foreign_pages_are_named(tmp_path: Path) -> None:
    write(tmp_path)
    assert stale(tmp_path) == []
    pages = tmp_path / "docs" / "reference"
    (pages / "errors.md").write_text("something else", encoding="utf-8")
    (pages / "events.md").unlink()
    (pages / "left_over.md").touch()
    (tmp_path / "clients" / "js" / "types.d.ts").unlink()
    assert [path.name for path in stale(tmp_path)] == ["events.md", "errors.md", "types.d.ts", "left_over.md"]


def test_check_fails_naming_the_stale_page_and_changes_nothing(tmp_path: Path) -> None:
    def reference(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pms_cli.reference", *words, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert reference().returncode == 0
    assert reference("--check").returncode == 0
    page = tmp_path / "docs" / "reference" / "metrics.md"
    page.write_text("old", encoding="utf-8")
    checked = reference("--check")
    assert checked.returncode == 1
    assert str(page) in checked.stderr
    assert "make docs" in checked.stderr
    assert page.read_text(encoding="utf-8") == "old"
