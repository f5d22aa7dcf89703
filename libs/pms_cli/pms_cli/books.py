"""Our books against the exchange: positions to the contract, cash to eight decimals.

Owns the comparison of what is journalled with what the (simulated) exchange says. Changes nothing. Used by the demo and
by the tests that kill services.
"""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec

from pms_cli.system.place import Place
from pms_common.db import connect

_POSITIONS = """
    SELECT symbol, leg, sum(quantity) AS quantity FROM pms_risk.positions
    WHERE closed_ms IS NULL GROUP BY symbol, leg HAVING sum(quantity) <> 0
"""
_HELD = "SELECT DISTINCT symbol FROM pms_risk.positions WHERE closed_ms IS NULL"
_FILLS = "SELECT count(*) FROM pms_risk.fills"
_CASH = "SELECT coalesce(sum(cash), 0) FROM pms_risk.accounts"
_HOUSE = (
    "SELECT book, asset, sum(amount) AS amount FROM pms_risk.house_ledger GROUP BY book, asset ORDER BY book, asset"
)
_LEDGER = "SELECT coalesce(sum(amount), 0) FROM pms_risk.ledger WHERE asset = 'USDT'"
SETTLED_WITHIN_S = 10.0
SETTLEMENT, NETTING = "USDT", "netting:"
UNIT = Decimal("0.00000001")


class Asset(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Another asset than USDT: only the house has some, by its books."""

    house: dict[str, Decimal]
    wallet: Decimal

    @property
    def difference(self) -> Decimal:
        """The house's, less the exchange's wallet."""
        return sum(self.house.values()) - self.wallet


class Books(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Both sides of the comparison, in USDT and base coin; in hedge mode a position is named `SYMBOL:LEG`.

    `netting` are the netting books of symbols that are flat everywhere: rounding only.
    """

    positions: dict[str, Decimal]
    exchange_positions: dict[str, Decimal]
    accounts_cash: Decimal
    ledger: Decimal
    house: dict[str, Decimal]
    wallet: Decimal
    others: dict[str, Asset]
    netting: dict[str, Decimal]
    executions: int

    @property
    def difference(self) -> Decimal:
        """Cash of all accounts and the house, less the exchange's wallet."""
        return self.accounts_cash + sum(self.house.values()) - self.wallet

    @property
    def equal(self) -> bool:
        """Whether every position, every account's ledger and the cash agree exactly."""
        return (
            self.positions == self.exchange_positions
            and self.ledger == self.accounts_cash
            and abs(self.difference) < UNIT
            and all(abs(asset.difference) < UNIT for asset in self.others.values())
            and all(abs(amount) <= UNIT * self.executions for amount in self.netting.values())
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the exchange holds for us."""

    positions: dict[str, Decimal]
    wallets: dict[str, Decimal]


async def settled_books(place: Place, within_s: float = SETTLED_WITHIN_S) -> Books:
    """The books once they are equal, or as they are after `within_s`: the journal follows trading by moments."""
    deadline = time.monotonic() + within_s
    while True:
        books = await read_books(place)
        if books.equal or time.monotonic() > deadline:
            return books
        await asyncio.sleep(0.1)


async def read_books(place: Place) -> Books:
    """Both sides as they are now."""
    exchange = await simulated_exchange(place)
    connection = await connect(place.database, "books")
    try:
        positions = {_named(row["symbol"], row["leg"]): row["quantity"] for row in await connection.fetch(_POSITIONS)}
        held = {row["symbol"] for row in await connection.fetch(_HELD)}
        house = defaultdict[str, dict[str, Decimal]](dict)
        for row in await connection.fetch(_HOUSE):
            house[row["asset"]][row["book"]] = row["amount"]
        cash, ledger = await connection.fetchval(_CASH), await connection.fetchval(_LEDGER)
        executions = await connection.fetchval(_FILLS)
    finally:
        await connection.close()
    wallets, own = exchange.wallets, house[SETTLEMENT]
    return Books(
        positions=positions,
        exchange_positions=exchange.positions,
        accounts_cash=cash,
        ledger=ledger,
        house=own,
        wallet=wallets[SETTLEMENT],
        others={
            asset: Asset(house=house[asset], wallet=wallets.get(asset, Decimal(0)))
            for asset in (house.keys() | wallets.keys()) - {SETTLEMENT}
        },
        netting={
            book: amount
            for book, amount in own.items()
            if book.startswith(NETTING) and book[len(NETTING) :] not in held
        },
        executions=executions,
    )


async def simulated_exchange(place: Place) -> Exchange:
    """The simulated exchange's truth."""
    account = (await sim_state(place))["accounts"][place.account]
    positions: dict[str, Decimal] = {}
    for leg in account["positions"]:
        positions[_named(leg["symbol"], leg["positionSide"])] = Decimal(leg["positionAmt"])
    wallets = {SETTLEMENT: Decimal(account["wallet"]), "BNB": Decimal(account["bnb"])}
    return Exchange(
        {name: held for name, held in positions.items() if held},
        {asset: held for asset, held in wallets.items() if held or asset == SETTLEMENT},
    )


def _named(symbol: str, leg: str) -> str:
    return symbol if leg == "BOTH" else f"{symbol}:{leg}"


async def sim_state(place: Place) -> dict[str, Any]:
    """`GET /sim/state`."""
    async with aiohttp.ClientSession() as session, session.get(f"{place.simulator}/sim/state") as response:
        state: dict[str, Any] = await response.json()
        return state
