"""The recorded probes of the earlier engine's loop: each showed a defect, and is held to what its `redesign` wants."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from .floor import CALM, Floor, liquidated_to
from .legacy_values import Json, dec
from .world import D


def mid_of(floor: Floor, ratio: float) -> float:
    """The price of BTC at which the margin ratio of the floor's account is this: maintenance is 50."""
    return float((50 / dec(ratio) - floor.account.cash) / 100 + 100)


async def failing_orders(given: Json) -> None:
    """A cool-down and a guard: nothing like one order an evaluation."""
    floor = Floor()
    mid = mid_of(floor, given["ratio"])
    await liquidated_to(floor, mid)
    for _ in range(given["evaluations"]):
        last = floor.sent()[-1]
        if last.client_order_id in floor.account.orders:
            floor.ended(last, "failed", error_code="EXCHANGE_UNAVAILABLE", error="busy")
        await floor.at(mid)
    assert 1 < len(floor.sent()) < given["evaluations"] / 2
    assert not floor.payloads("adl_triggered"), "nothing was carried out"


async def changed_threshold(given: Json) -> None:
    """Changed rules concern an account that is held in memory at once."""
    floor = Floor()
    mid = mid_of(floor, given["ratio"])
    await liquidated_to(floor, mid)
    assert not floor.sent()
    floor.account.set_rules(replace(floor.account.rules, liquidation_threshold=dec(given["newThreshold"])))
    for _ in range(2):
        await floor.at(mid)
    assert floor.sent()


async def deleted_entry(_: Json) -> None:
    """Who holds nothing any more is looked at by no price of the symbol."""
    floor = Floor()
    await floor.at(CALM)
    floor.open(floor.account, "BTCUSDT", "-100")
    await floor.at(CALM)
    assert "BTCUSDT" not in floor.state.books.symbols()
    assert not floor.sentinel._screen.move("BTCUSDT", 1.0)


async def frozen_account(given: Json) -> None:
    """Freezing stops new risk, and no liquidation."""
    floor = Floor(str(given["qty"]))
    spent = dec(given["balance"]) - floor.account.cash
    floor.account.book_cash(spent, key="k", cause="withdrawal", reference="r", at_ms=1)
    floor.account.set_status(given["status"])
    for _ in range(3):
        await floor.at(float(given["mark"]))
    (placed,) = floor.sent()
    assert (placed.side, placed.quantity, placed.origin) == ("SELL", D(given["qty"]), "LIQUIDATION")


PROBES: dict[frozenset[str], Callable[[Json], Coroutine[Any, Any, None]]] = {
    frozenset({"evaluations", "ratio", "orderError"}): failing_orders,
    frozenset({"oldThreshold", "newThreshold", "ratio"}): changed_threshold,
    frozenset({"symbol"}): deleted_entry,
    frozenset({"balance", "entry", "qty", "mark", "status"}): frozen_account,
}
"""By their inputs."""


def check_probe(vector: Json) -> None:
    """One probe."""
    given = vector["input"]
    probe = PROBES.get(frozenset(given))
    if probe is None:
        pytest.skip("not about the liquidation's loop: the JS administration has its tests with a database")
    asyncio.run(probe(given))
