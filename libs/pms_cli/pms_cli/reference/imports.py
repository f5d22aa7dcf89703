"""Which of our modules a service's process loads, read from the sources: nothing is imported, so it takes no time.

Used by the metrics page.
"""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

OURS = "pms_"


def loaded_by(module: str) -> dict[str, ast.Module]:
    """Name → source of every module of ours that is loaded with `module`."""
    loaded: dict[str, ast.Module] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        source = _source(name) if name not in loaded else None
        if source is not None:
            loaded[name] = source
            waiting += _needed(name)
    return loaded


@cache
def _source(name: str) -> ast.Module | None:
    """None for what is no module of ours, e.g. a class that was imported from one."""
    package, *inner = name.split(".")
    folder = _folder(package) if package.startswith(OURS) else None
    if folder is None:
        return None
    place = folder.joinpath(*inner)
    path = next((p for p in (place / "__init__.py", place.with_suffix(".py")) if p.is_file()), None)
    return ast.parse(path.read_text(encoding="utf-8")) if path is not None else None


@cache
def _folder(package: str) -> Path | None:
    spec = find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


@cache
def _needed(name: str) -> tuple[str, ...]:
    """The packages it lies in, and whatever it imports."""
    source = _source(name)
    parents = [name[:at] for at, letter in enumerate(name) if letter == "."]
    return (*parents, *(_imported(source) if source is not None else ()))


def _imported(source: ast.Module) -> Iterator[str]:
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
