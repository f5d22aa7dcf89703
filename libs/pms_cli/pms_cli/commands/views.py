"""`pms status`, `accounts`, `orders`, `positions`, `algos`, `watch`: what the gateway says, as tables or JSON."""

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pms_cli.commands.gateway import rows_of
from pms_cli.commands.shared import AsJson, ReadyFile, fail, place

if TYPE_CHECKING:
    from rich.table import Table

T = TypeVar("T")
VIEWS: Mapping[str, Sequence[tuple[str, str]]] = {
    "accounts": (
        ("name", "account"),
        ("id", "id"),
        ("accountStatus", "status"),
        ("balance", "balance"),
        ("equity", "equity"),
        ("marginUsed", "margin"),
        ("availableMargin", "available"),
        ("marginRatio", "ratio"),
    ),
    "positions": (
        ("account", "account"),
        ("id", "id"),
        ("symbol", "symbol"),
        ("side", "side"),
        ("quantity", "quantity"),
        ("entryPrice", "entry"),
        ("unrealizedPnl", "PnL"),
        ("liquidationPrice", "liq. at"),
    ),
    "orders": (
        ("account", "account"),
        ("orderId", "id"),
        ("symbol", "symbol"),
        ("side", "side"),
        ("quantity", "quantity"),
        ("filledQty", "filled"),
        ("price", "price"),
        ("state", "state"),
    ),
    "algos": (
        ("account", "account"),
        ("id", "id"),
        ("kind", "kind"),
        ("symbol", "symbol"),
        ("side", "side"),
        ("status", "status"),
    ),
    "services": (
        ("service", "service"),
        ("process", "process"),
        ("state", "state"),
        ("waiting", "waiting"),
        ("loopLagMs", "lag, ms"),
        ("memoryMb", "MB"),
    ),
    "trading": (
        ("account", "account"),
        ("symbol", "symbol"),
        ("state", "state"),
    ),
}
"""Fields of each list and their headings; together they fit 80 columns. `account` is the account's name."""
MONEY = ("balance", "equity", "marginUsed", "availableMargin", "unrealizedPnl")
SHARES = ("marginRatio",)
LISTS = ("accounts", "positions", "orders", "algos")
STATUS = ("services", "trading")


def status(as_json: AsJson = False, ready_file: ReadyFile = None) -> None:
    """The services, whether they are ready and how much waits for them, and where trading is not active."""
    _show(STATUS, as_json, ready_file)


def accounts(as_json: AsJson = False, ready_file: ReadyFile = None) -> None:
    """The sub-accounts with balance, equity and margin."""
    _show(("accounts",), as_json, ready_file)


def orders(as_json: AsJson = False, ready_file: ReadyFile = None) -> None:
    """The open orders."""
    _show(("orders",), as_json, ready_file)


def positions(as_json: AsJson = False, ready_file: ReadyFile = None) -> None:
    """The open positions."""
    _show(("positions",), as_json, ready_file)


def algos(as_json: AsJson = False, ready_file: ReadyFile = None) -> None:
    """The running algos."""
    _show(("algos",), as_json, ready_file)


def watch(
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
    as_json: AsJson = False,
    ready_file: ReadyFile = None,
) -> None:
    """All of it, again and again, until Ctrl-C. With --json one line a look."""
    url = _gateway(ready_file)
    try:
        _asked(url, _watch(url, every, as_json))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _gateway(ready_file: Any) -> str:
    url = place(ready_file).gateway
    if not url:
        fail("the gateway does not run (see pms up --only)", 2)
    return url


def _show(names: Sequence[str], as_json: bool, ready_file: Any) -> None:
    from rich.console import Console

    url = _gateway(ready_file)
    views = _asked(url, rows_of(url, names))
    if as_json:
        typer.echo(json.dumps(views[names[0]] if len(names) == 1 else views))
        return
    for name, rows in views.items():
        Console().print(table(name, rows))


def _asked(url: str, asking: Coroutine[Any, Any, T]) -> T:
    """What the gateway answers; exits where it does not, or lets nobody in."""
    import aiohttp

    try:
        return asyncio.run(asking)
    except aiohttp.ClientResponseError as error:
        if error.status in (401, 403):
            fail("the gateway wants a token: set PMS_TOKEN, or PMS_TOKEN_FILE to a file that has it")
        fail(f"the gateway at {url} answers {error.status}: {error.message}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        fail(f"the gateway at {url} does not answer: {error or type(error).__name__} (pms doctor says more)")


async def _watch(url: str, every_s: float, as_json: bool) -> None:
    from rich.console import Console, Group
    from rich.live import Live

    console = Console()
    with Live(console=console, auto_refresh=False, screen=False) as live:
        while True:
            views = await rows_of(url, (*LISTS, *STATUS))
            tables = Group(*(table(name, rows) for name, rows in views.items()))
            if as_json:
                typer.echo(json.dumps(views))
            elif console.is_terminal:
                live.update(tables, refresh=True)
            else:
                console.print(tables)
            await asyncio.sleep(every_s)


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> "Table":
    """The rows of one view as a table."""
    from rich.table import Table

    columns = VIEWS[name]
    drawn = Table(title=f"{name} ({len(rows)})", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for field, heading in columns:
        numbers = any(isinstance(row.get(field), int | float) for row in rows)
        drawn.add_column(heading, justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    for row in rows:
        drawn.add_row(*(_cell(field, row.get(field)) for field, _ in columns))
    return drawn


def _cell(field: str, value: Any) -> str:
    """Money in cents and shares in percent; any other number with as many digits as tell it apart. JSON has all."""
    if value is None:
        return "–"
    if not isinstance(value, int | float):
        return str(value)
    if field in MONEY:
        return f"{value:,.2f}"
    return f"{value:.2%}" if field in SHARES else f"{value:,.8g}"
