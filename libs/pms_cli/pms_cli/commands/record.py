"""`pms record`: market data to files that the simulator replays."""

import asyncio
import contextlib
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pms_cli.commands.shared import fail, settings

if TYPE_CHECKING:
    from pms_common.settings import Settings

WEIGHT_PER_MINUTE = 300
"""Of the address, for snapshots: 15 a minute. The services beside it need the rest."""
VENUE_WEIGHT = 2_400


def record(
    symbols: Annotated[list[str] | None, typer.Argument(metavar="SYMBOL …", help="Default: PMS_FEED_SYMBOLS.")] = None,
    directory: Annotated[Path, typer.Option("--dir", help="Where the files are written.")] = Path("recordings"),
    minutes: Annotated[float, typer.Option(min=0.01, help="A new file after so long.")] = 60.0,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so long; default: until stopped.")] = None,
) -> None:
    """Write down what the venue sends (best quotes, depth, trades), one packed file a symbol, until stopped."""
    given = settings()
    chosen = [symbol.upper() for symbol in symbols or given.feed_symbols]
    if not chosen:
        fail("no symbol: name some, or set PMS_FEED_SYMBOLS", 2)
    directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(_record(given, chosen, directory, minutes * 60, seconds))


async def _record(
    given: "Settings", symbols: list[str], directory: Path, rotate_s: float, seconds: float | None
) -> None:
    from pms_cli.recorder import Recorder
    from pms_common.rate.window import Window
    from pms_feed.adapters.rest import PublicRest
    from pms_feed.adapters.socket import STREAMS_ROUTE, connect
    from pms_feed.domain.budget import WeightBudget

    rest = PublicRest(given.binance_rest_url, WeightBudget(Window(60_000, VENUE_WEIGHT), WEIGHT_PER_MINUTE))
    url = given.binance_ws_url.rstrip("/") + STREAMS_ROUTE
    recorder = Recorder(partial(connect, url), rest.depth, symbols, directory, rotate_s)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    recording = asyncio.create_task(recorder.run())
    try:
        async with asyncio.timeout(seconds):
            await asyncio.wait((recording, asyncio.create_task(stopped.wait())), return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        pass  # recorded for as long as asked
    finally:
        recording.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await recording
        await rest.close()
    for path in recorder.paths:
        typer.echo(f"{path} {path.stat().st_size if path.exists() else 0} bytes")
    typer.echo(f"{recorder.lines} messages of {', '.join(symbols)}")
