"""Our books against the exchange: positions to the contract, cash to eight decimals.

Owns the comparison of what is journalled with what the (simulated) exchange says. Changes nothing. Used by the demo and
by the tests that kill services.
"""

import asyncio
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec

from pms_cli.system.place import Place
from pms_common.db import connect

_POSITIONS = """
    SELECT symbol, sum(quantity) AS quantity FROM pms_risk.positions
    WHERE closed_ms IS NULL GROUP BY symbol HAVING sum(quantity) <> 0
"""
_CASH = "SELECT coalesce(sum(cash), 0) FROM pms_risk.accounts"
_HOUSE = (
    "SELECT book, sum(amount) AS amount FROM pms_risk.house_ledger WHERE asset = 'USDT' GROUP BY book ORDER BY book"
)
_LEDGER = "SELECT coalesce(sum(amount), 0) FROM pms_risk.ledger WHERE asset = 'USDT'"
SETTLED_WITHIN_S = 10.0


class Books(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Both sides of the comparison, in USDT and base coin."""

    positions: dict[str, Decimal]
    exchange_positions: dict[str, Decimal]
    accounts_cash: Decimal
    ledger: Decimal
    house: dict[str, Decimal]
    wallet: Decimal

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
            and abs(self.difference) < Decimal("0.00000001")
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the exchange holds for us."""

    positions: dict[str, Decimal]
    wallet: Decimal


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
        positions = {row["symbol"]: row["quantity"] for row in await connection.fetch(_POSITIONS)}
        house = {row["book"]: row["amount"] for row in await connection.fetch(_HOUSE)}
        cash, ledger = await connection.fetchval(_CASH), await connection.fetchval(_LEDGER)
    finally:
        await connection.close()
    return Books(
        positions=positions,
        exchange_positions=exchange.positions,
        accounts_cash=cash,
        ledger=ledger,
        house=house,
        wallet=exchange.wallet,
    )


async def simulated_exchange(place: Place) -> Exchange:
    """The simulated exchange's truth."""
    account = (await sim_state(place))["accounts"]["main"]
    positions: dict[str, Decimal] = {}
    for leg in account["positions"]:
        positions[leg["symbol"]] = positions.get(leg["symbol"], Decimal(0)) + Decimal(leg["positionAmt"])
    return Exchange({symbol: held for symbol, held in positions.items() if held}, Decimal(account["wallet"]))


async def sim_state(place: Place) -> dict[str, Any]:
    """`GET /sim/state`."""
    async with aiohttp.ClientSession() as session, session.get(f"{place.simulator}/sim/state") as response:
        state: dict[str, Any] = await response.json()
        return state
