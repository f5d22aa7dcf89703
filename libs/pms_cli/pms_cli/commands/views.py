"""`pms accounts`, `orders`, `positions`, `algos`, `watch`: what the gateway's read model says, as tables or JSON."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pms_cli.commands.shared import AsJson, ReadyFile, fail, place, settings

if TYPE_CHECKING:
    import aiohttp
    from rich.table import Table

VIEWS: Mapping[str, Sequence[tuple[str, str]]] = {
    "accounts": (
        ("name", "account"),
        ("id", "id"),
        ("status", "status"),
        ("balance", "balance"),
        ("equity", "equity"),
        ("marginUsed", "margin"),
        ("availableMargin", "available"),
        ("marginRatio", "ratio"),
    ),
    "positions": (
        ("subAccountId", "account"),
        ("symbol", "symbol"),
        ("side", "side"),
        ("quantity", "quantity"),
        ("entryPrice", "entry"),
        ("markPrice", "mark"),
        ("unrealizedPnl", "PnL"),
        ("liquidationPrice", "liq. at"),
    ),
    "orders": (
        ("clientOrderId", "order"),
        ("symbol", "symbol"),
        ("side", "side"),
        ("quantity", "quantity"),
        ("filledQty", "filled"),
        ("price", "price"),
        ("state", "state"),
    ),
    "algos": (
        ("id", "algo"),
        ("subAccountId", "account"),
        ("kind", "kind"),
        ("symbol", "symbol"),
        ("side", "side"),
        ("status", "status"),
    ),
}
"""Fields of each list, as the contract names them, and their headings; together they fit 80 columns."""


def accounts(as_json: AsJson = False, ready_file: ReadyFile = None) -> None:
    """The sub-accounts with balance, equity and margin."""
    _show("accounts", as_json, ready_file)


def orders(as_json: AsJson = False, ready_file: ReadyFile = None) -> None:
    """The open orders."""
    _show("orders", as_json, ready_file)


def positions(as_json: AsJson = False, ready_file: ReadyFile = None) -> None:
    """The open positions."""
    _show("positions", as_json, ready_file)


def algos(as_json: AsJson = False, ready_file: ReadyFile = None) -> None:
    """The running algos."""
    _show("algos", as_json, ready_file)


def watch(
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
    as_json: AsJson = False,
    ready_file: ReadyFile = None,
) -> None:
    """All of it, again and again, until Ctrl-C. With --json one line a look."""
    import aiohttp

    url = _gateway(ready_file)
    try:
        asyncio.run(_watch(url, every, as_json))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except (aiohttp.ClientError, OSError) as error:
        fail(f"the gateway at {url} does not answer: {error}")


def _gateway(ready_file: Any) -> str:
    url = place(ready_file).gateway
    if not url:
        fail("the gateway does not run (see pms up --only)", 2)
    return url


def _show(name: str, as_json: bool, ready_file: Any) -> None:
    import aiohttp
    from rich.console import Console

    url = _gateway(ready_file)
    try:
        rows = asyncio.run(_get_all(url, [name]))[name]
    except (aiohttp.ClientError, OSError) as error:
        fail(f"the gateway at {url} does not answer: {error}")
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        Console().print(table(name, rows))


async def _watch(url: str, every_s: float, as_json: bool) -> None:
    from rich.console import Group
    from rich.live import Live

    with Live(auto_refresh=False, screen=False) as live:
        while True:
            views = await _get_all(url, list(VIEWS))
            if as_json:
                typer.echo(json.dumps(views))
            else:
                live.update(Group(*(table(name, rows) for name, rows in views.items())), refresh=True)
            await asyncio.sleep(every_s)


async def _get_all(url: str, names: list[str]) -> dict[str, list[dict[str, Any]]]:
    import aiohttp

    token = _token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(url, headers=headers, timeout=timeout, raise_for_status=True) as session:
        return {name: await _get(session, name) for name in names}


async def _get(session: "aiohttp.ClientSession", name: str) -> list[dict[str, Any]]:
    async with session.get(f"/v1/{name}") as answer:
        rows: list[dict[str, Any]] = (await answer.json())[name]
    if name == "algos":  # each kind names its id after itself; the list has one column for it
        return [{"id": row[_id_field(row["kind"])], **row} for row in rows]
    return rows


def _id_field(kind: str) -> str:
    first, *rest = kind.split("_")
    return first + "".join(word.capitalize() for word in rest) + "Id"


def _token() -> str:
    """The first token in the gateway's token file that is not kept as a hash; `<name> <role> <token>` a line."""
    path = settings().gateway_token_file
    if path is None or not os.access(path, os.R_OK):
        return ""
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if len(parts) == 3 and not line.startswith("#") and not parts[2].startswith("sha256:"):
            return parts[2]
    return ""


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> "Table":
    """The rows of one view as a table."""
    from rich.table import Table

    columns = VIEWS[name]
    drawn = Table(title=f"{name} ({len(rows)})", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for field, heading in columns:
        numbers = any(isinstance(row.get(field), int | float) for row in rows)
        drawn.add_column(heading, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(row.get(field)) for field, _ in columns))
    return drawn


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.8f}".rstrip("0").rstrip(".")
    return str(value)
