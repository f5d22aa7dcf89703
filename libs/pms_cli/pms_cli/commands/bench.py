"""`pms bench`: runs the benchmarks of `pms_cli.bench` and writes their figures."""

import asyncio
import importlib
import json
import os
import pkgutil
import platform
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pms_cli.commands.shared import fail, settings

if TYPE_CHECKING:
    from rich.table import Table

    from pms_cli.bench.result import Context, Result

Run = Callable[["Context"], Awaitable[Sequence["Result"]]]


def _names_from(begun: str) -> list[str]:
    return [name for name in benchmarks() if name.startswith(begun)]


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME …", help="All of them by default.", autocompletion=_names_from)
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, each with the reference beside it.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of one measurement.")] = 1.5,
) -> None:
    """Measure against the references in the repository, interleaved on this machine."""
    from rich.console import Console

    from pms_cli.bench.result import Context
    from pms_cli.embedded import start_valkey

    given = settings().redis_url
    known = benchmarks()
    if unknown := sorted(set(names or ()) - set(known)):
        fail(f"{', '.join(unknown)} is no benchmark; there are {', '.join(known)}", 2)
    chosen = {name: known[name] for name in names or known}
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as state:
        server = None if given else start_valkey(Path(state))
        try:
            context = Context(given or (server.unix_url if server else ""), rounds, seconds)
            for run in chosen.values():
                results += asyncio.run(_gather(run, context))
        finally:
            if server is not None:
                server.stop()
    if json_file is not None:
        json_file.write_text(json.dumps(report(results), indent=1), encoding="utf-8")
    Console().print(_table(results))


def benchmarks() -> dict[str, Run]:
    """The benchmarks by name: the modules of `pms_cli.bench` that have a `run`."""
    import pms_cli.bench

    found: dict[str, Run] = {}
    for module in pkgutil.iter_modules(pms_cli.bench.__path__):
        run = getattr(importlib.import_module(f"pms_cli.bench.{module.name}"), "run", None)
        if run is not None:
            found[module.name] = run
    return found


async def _gather(run: Run, context: "Context") -> "Sequence[Result]":
    return await run(context)


def report(results: "Sequence[Result]") -> dict[str, Any]:
    """The content of the JSON file."""
    machine = {"system": platform.platform(), "cpus": os.cpu_count(), "python": platform.python_version()}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "machine": machine,
        "commit": commit.stdout.strip() or None,
        "results": [asdict(result) for result in results],
    }


def _table(results: "Sequence[Result]") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("figure", "p50", "p99", "unit", "ratio", "to"):
        words = heading in ("figure", "unit", "to")
        table.add_column(heading, justify="left" if words else "right", overflow="fold", no_wrap=heading != "to")
    for result in results:
        figures = [f"{value:,.0f}" for value in (result.p50, result.p99)]
        ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
        table.add_row(result.name, *figures, result.unit, ratio, result.ratio_to)
    return table
