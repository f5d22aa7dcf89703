"""Runs the demo: a system of its own, the session on it, the comparison at the end.

Owns the order of these and the exit code. Used by the command.
"""

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from pms_cli.books import Books, settled_books
from pms_cli.demo.screen import Screen, summary
from pms_cli.demo.session import DemoError, Session
from pms_cli.embedded import ServerError
from pms_cli.system.place import Place
from pms_cli.system.running import running_system

SYNTHETIC = {"PMS_SIM_SYMBOLS": "BTCUSDT,ETHUSDT", "PMS_SIM_VOLATILITY": "0.0002"}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `pms demo`."""

    seconds: float = 12.0
    speed: float = 1.0
    replay: Path | None = None
    keep: bool = False
    json: Path | None = None


def demo(options: Options) -> int:
    """Play it; 0 if every step ended as it must and the books equal the exchange."""
    console = Console(highlight=False)
    env = {"PMS_SIM_SPEED": str(options.speed)}
    if options.replay is None:
        env |= SYNTHETIC
    else:
        env |= {"PMS_SIM_REPLAY": str(options.replay.resolve()), "PMS_FEED_SYMBOLS": Session.symbol}
    market = f"the recorded market of {options.replay.name}" if options.replay else "a synthetic market"
    console.print(f"[bold]PMS demo[/] on a simulated exchange with {market}; starting the services …")
    with tempfile.TemporaryDirectory(prefix="pms-demo-") as folder:
        try:
            with running_system(Path(folder), env) as (place, _):
                return asyncio.run(_play(console, place, options))
        except ServerError as error:
            console.print(f"[red]{error}[/]", markup=False)
            return 1


async def _play(console: Console, place: Place, options: Options) -> int:
    screen = Screen(console, place)
    session = Session(place, screen.tell)
    showing = asyncio.create_task(screen.show(session))
    try:
        await session.play(options.seconds / options.speed)
    except DemoError as error:
        console.print(f"[red]The demo stopped:[/] {error}")
        return 1
    finally:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing
    books = await settled_books(place)
    console.print(summary(books, session.commands))
    if options.json is not None:
        options.json.write_bytes(_report(books, session.commands))
    if options.keep:
        console.print(f"\nStill running. The operators' page: [bold]{place.gateway}/[/]  (Ctrl-C ends it)")
        await asyncio.Event().wait()
    return 0 if books.equal else 1


def _report(books: Books, commands: int) -> bytes:
    report = {"equal": books.equal, "commands": commands, "difference": books.difference, "books": books}
    return msgspec.json.format(msgspec.json.encode(report), indent=2)
