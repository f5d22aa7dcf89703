"""What the demo shows: a live table on a terminal, plain lines elsewhere, and the summary at the end.

Owns the look. Reads the gateway's HTTP like any operator's tool. Used by `run`.
"""

import asyncio
import contextlib
import json
from typing import Any

import aiohttp
from redis.asyncio import Redis
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pms_cli.books import Books
from pms_cli.demo.session import Session
from pms_cli.system.place import Place

REFRESH_S = 0.25
TAPE = 14


class Screen:
    """The demo's output. `tell` adds a step, `show` runs until cancelled."""

    def __init__(self, console: Console, place: Place) -> None:
        self._console = console
        self._place = place
        self._tape: list[str] = []
        self._live: Live | None = None

    def tell(self, text: str) -> None:
        """A step has ended."""
        self._tape.append(text)
        if self._live is None:
            self._console.print(f"  {text}", highlight=False)

    async def show(self, session: Session) -> None:
        """Show prices, accounts, positions and orders, where there is a terminal."""
        if not self._console.is_terminal:
            return
        async with aiohttp.ClientSession() as http, Redis.from_url(self._place.redis) as redis:
            with Live(console=self._console, refresh_per_second=8, transient=True) as self._live:
                try:
                    while True:
                        with contextlib.suppress(aiohttp.ClientError):  # the next look shows it again
                            self._live.update(await self._picture(http, redis, session))
                        await asyncio.sleep(REFRESH_S)
                finally:
                    self._live = None
                    for text in self._tape:
                        self._console.print(f"  {text}", highlight=False)

    async def _picture(self, http: aiohttp.ClientSession, redis: "Redis", session: Session) -> RenderableType:
        price = await redis.get(self._place.names.price(session.symbol))
        accounts = await self._get(http, "accounts")
        orders = await self._get(http, "orders")
        algos = await self._get(http, "algos")
        return Group(
            _heading(session.symbol, json.loads(price) if price else None),
            _accounts(accounts),
            _working({account["id"]: account["name"] for account in accounts}, orders, algos),
            Text("\n".join(f"  {text}" for text in self._tape[-TAPE:])),
        )

    async def _get(self, http: aiohttp.ClientSession, what: str) -> list[dict[str, Any]]:
        async with http.get(f"{self._place.gateway}/v1/{what}") as response:
            items: list[dict[str, Any]] = (await response.json())[what]
            return items


def _heading(symbol: str, price: dict[str, Any] | None) -> Text:
    if price is None:
        return Text(f"{symbol}  no price yet", style="bold")
    return Text(f"{symbol}  bid {price['bid']:,.2f}  ask {price['ask']:,.2f}", style="bold cyan")


def _accounts(accounts: list[dict[str, Any]]) -> Table:
    table = Table(
        "account", "balance", "equity", "margin", "position", "entry", "liquidation", box=None, pad_edge=False
    )
    for account in accounts:
        money = [f"{account[field]:,.2f}" for field in ("balance", "equity", "marginUsed")]
        positions = account["positions"] or [None]
        for at, held in enumerate(positions):
            where = [account["name"], *money] if at == 0 else ["", "", "", ""]
            table.add_row(*where, *_position(held))
    return table


def _position(held: dict[str, Any] | None) -> tuple[str, str, str]:
    if held is None:
        return "flat", "", ""
    style = "green" if held["side"] == "LONG" else "red"
    liquidation = held.get("liquidationPrice")
    return (
        f"[{style}]{held['side']} {held['quantity']:g}[/] {held['symbol']}",
        f"{held['entryPrice']:,.2f}",
        f"{liquidation:,.0f}" if liquidation else "",
    )


def _working(names: dict[str, str], orders: list[dict[str, Any]], algos: list[dict[str, Any]]) -> Table:
    table = Table("working", "side", "quantity", "filled", "price", "by", box=None, pad_edge=False)
    chases = {algo.get("chaseId"): algo for algo in algos}
    for order in orders:
        chase = chases.get(order.get("parentId"))
        by = f"chase, {chase['repriceCount']} amends" if chase else order["state"]
        who = names.get(order["subAccountId"], "")
        price = f"{order['price']:,.2f}" if order.get("price") else "market"
        table.add_row(who, order["side"], f"{order['quantity']:g}", f"{order['filledQty']:g}", price, by)
    if not orders:
        table.add_row("nothing", "", "", "", "", "")
    return table


def summary(books: Books, commands: int) -> RenderableType:
    """The books against the exchange."""
    table = Table("", "our books", "exchange", "", box=None, pad_edge=False)
    for symbol in sorted({*books.positions, *books.exchange_positions}):
        ours, theirs = books.positions.get(symbol, 0), books.exchange_positions.get(symbol, 0)
        table.add_row(f"position {symbol}", f"{ours:f}", f"{theirs:f}", _verdict(ours == theirs))
    house = sum(books.house.values())
    table.add_row(
        "cash of the accounts", f"{books.accounts_cash:,.8f}", "", _verdict(books.ledger == books.accounts_cash)
    )
    table.add_row("cash of the house", f"{house:,.8f}", "", "")
    total = books.accounts_cash + house
    table.add_row("together", f"{total:,.8f}", f"{books.wallet:,.8f}", _verdict(books.difference == 0))
    for asset, other in sorted(books.others.items()):
        table.add_row(
            f"{asset} of the house",
            f"{sum(other.house.values()):f}",
            f"{other.wallet:f}",
            _verdict(other.difference == 0),
        )
    verdict = Text(
        f"\n{commands} commands. The books equal the exchange, to the contract and to the cent."
        if books.equal
        else f"\nThe books DIFFER from the exchange by {books.difference:f} USDT.",
        style="bold green" if books.equal else "bold red",
    )
    return Group(Text("\nBooks against the exchange", style="bold"), table, verdict)


def _verdict(equal: bool) -> str:
    return "[green]equal[/]" if equal else "[red]DIFFERENT[/]"
