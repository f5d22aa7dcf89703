"""`pms doctor`: every check of `pms_cli.health`, as a table or JSON; exit code 1 where something is wrong."""

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from pms_cli.commands.shared import AsJson, ReadyFile, place, settings

if TYPE_CHECKING:
    from rich.table import Table

    from pms_cli.health import Finding

MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "wrong": "[red]wrong[/]"}


def doctor(as_json: AsJson = False, ready_file: ReadyFile = None) -> None:
    """Check settings, servers, schema, exchange, clock and streams: what is wrong and what to do."""
    from rich.console import Console

    from pms_cli.health import examine

    findings = asyncio.run(examine(settings(), place(ready_file)))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        Console().print(_table(findings))
    raise typer.Exit(1 if any(finding.state == "wrong" for finding in findings) else 0)


def _table(findings: "list[Finding]") -> "Table":
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        advice = f" → {finding.advice}" if finding.advice else ""
        table.add_row(MARKS[finding.state], finding.what, f"{finding.detail}{advice}")
    return table
