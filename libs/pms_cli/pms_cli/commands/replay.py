"""`pms replay`: every order rebuilt from its history and compared with the row that is kept; the ledgers added up."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pms_cli.commands.shared import ReadyFile, place

if TYPE_CHECKING:
    from pms_orders.adapters.replay import Replayed

MAX_SHOWN = 20
Since = Annotated[datetime | None, typer.Option("--from", help="Orders made from this time on (UTC); default: all.")]
Until = Annotated[datetime | None, typer.Option("--to", help="Orders made until this time (UTC); default: now.")]


def replay(since: Since = None, until: Until = None, ready_file: ReadyFile = None) -> None:
    """Rebuild the orders from the journal's history, add up risk's ledgers; exit code 1 where something differs."""
    from pms_cli.ledgers import check_ledgers  # here: what it needs takes a while to import

    end_ms = _ms(until) if until else _ms(datetime.now(UTC) + timedelta(days=1))
    found = asyncio.run(_replay(place(ready_file).database, _ms(since) if since else 0, end_ms))
    for name, differences in list(found.differing.items())[:MAX_SHOWN]:
        typer.echo(f"{name}: {'; '.join(differences)}", err=True)
    counts = f"{found.orders} orders rebuilt from {found.transitions} transitions and {found.fills} fills"
    typer.echo(f"{counts}: {len(found.differing)} differ")
    wrong = asyncio.run(check_ledgers(place(ready_file).database))
    for line in wrong[:MAX_SHOWN]:
        typer.echo(line, err=True)
    typer.echo(f"ledgers and positions of all accounts: {len(wrong)} do not add up")
    raise typer.Exit(1 if found.differing or wrong else 0)


def _ms(time: datetime) -> int:
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


async def _replay(database: str, since_ms: int, until_ms: int) -> "Replayed":
    from pms_common.db import create_engine
    from pms_orders.adapters.replay import replay

    engine = create_engine(database)
    try:
        return await replay(engine, since_ms, until_ms)
    finally:
        await engine.dispose()
