"""The prices that the sentinel believes: a stale or wide one liquidates nobody, a missing one shields nobody."""

import re
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from pms_common.contracts.bus.common import Tick

from .floor import CALM, INSOLVENT, Floor, liquidated_to
from .world import D, account, spec


async def test_no_stale_and_no_wide_price_liquidates_and_both_are_an_alarm() -> None:
    floor = Floor()
    await floor.at(CALM)
    for _ in range(4):
        floor.now_ms += 300
        floor.price(INSOLVENT, at_ms=floor.now_ms - 4_000)
        await floor.settle()
    assert not floor.sent()
    assert floor.sentinel._blind == {"a"}
    floor.now_ms += 300
    tick = floor.state.prices._ticks["BTCUSDT"]
    for _ in range(4):
        floor.now_ms += 300
        wide = msgspec.structs.replace(tick, bid=80.0, ask=100.8, ts_ms=floor.now_ms)
        floor.watching.on_ticks([wide])
        floor.sentinel.on_ticks([wide])
        await floor.settle()
    assert not floor.sent()
    assert floor.sentinel._blind == {"a"}
    await liquidated_to(floor, INSOLVENT)
    assert floor.sent()
    assert not floor.sentinel._blind


@pytest.mark.parametrize(("venue_mark", "liquidates"), [(INSOLVENT * 1.02, False), (0.0, False), (INSOLVENT, True)])
async def test_where_it_is_asked_for_no_mid_far_from_the_exchanges_mark_liquidates(
    venue_mark: float, liquidates: bool
) -> None:
    floor = Floor()
    floor.sentinel._guards = replace(floor.sentinel._guards, max_mark_gap=D("0.01"))
    await floor.at(CALM)
    tick = floor.state.prices._ticks["BTCUSDT"]
    for _ in range(4):
        floor.now_ms += 300
        told = msgspec.structs.replace(
            tick, bid=INSOLVENT - 0.1, ask=INSOLVENT + 0.1, ts_ms=floor.now_ms, mark=venue_mark
        )
        floor.watching.on_ticks([told])
        floor.sentinel.on_ticks([told])
        await floor.settle()
    assert bool(floor.sent()) is liquidates
    assert floor.sentinel._blind == (set() if liquidates else {"a"}), "an alarm"


@pytest.mark.parametrize(("venue_mark", "liquidates"), [(140.0, False), (102.0, True), (0.0, False)])
async def test_a_mid_far_from_the_exchanges_mark_counts_as_the_better_of_both(
    venue_mark: float, liquidates: bool
) -> None:
    floor = Floor()
    floor.sentinel._guards = replace(floor.sentinel._guards, max_mark_gap=D("0.01"))
    floor.state.specs["NEWUSDT"] = spec("NEWUSDT")
    floor.open(floor.account, "NEWUSDT", "1")
    for mid in (CALM, 90.35, 90.35, 90.35):
        floor.now_ms += 300
        told = [
            Tick(symbol, at - 0.1, 1.0, at + 0.1, 1.0, floor.now_ms, 0, 0, floor.now_ms, floor.now_ms, "live", mark)
            for symbol, at, mark in (("NEWUSDT", 100.0, venue_mark), ("BTCUSDT", mid, mid))
        ]
        floor.watching.on_ticks(told)
        floor.sentinel.on_ticks(told)
        await floor.settle()
    assert bool(floor.sent()) is liquidates, "the account has 36 of equity, and 50 of maintenance"


async def test_a_position_without_any_price_is_an_alarm_and_not_calm() -> None:
    floor = Floor()
    floor.open(floor.account, "NEWUSDT", "1")
    await floor.at(INSOLVENT)
    await floor.sentinel.sweep()
    await floor.settle()
    assert floor.sentinel._blind == {"a"}
    assert not floor.sent()


async def test_a_position_that_has_just_gone_needs_no_bound() -> None:
    """Between an execution and the next look at changed accounts a tick may find what is not held any more."""
    floor = Floor()
    floor.state.specs["ETHUSDT"] = spec("ETHUSDT")
    floor.open(floor.account, "ETHUSDT", "1")
    floor.price(100.0, symbol="ETHUSDT")
    await floor.at(CALM)
    floor.open(floor.account, "ETHUSDT", "-1")
    floor.now_ms += 4_000
    for _ in range(3):
        floor.price(INSOLVENT)
        floor.now_ms += 300
    await floor.settle()
    assert [placed.symbol for placed in floor.sent()] == ["BTCUSDT"]


@pytest.mark.parametrize("market", ["none", "old", "wide"])
async def test_a_symbol_nobody_can_price_shields_no_account_that_is_over_its_limit_even_so(market: str) -> None:
    floor = Floor()
    floor.state.specs["NEWUSDT"] = spec("NEWUSDT")
    floor.open(floor.account, "NEWUSDT", "0.1")
    if market != "none":
        floor.price(100, symbol="NEWUSDT")
    for mid in (CALM, 90.5, 90.5, 80.0, 80.0, 80.0):
        floor.now_ms += 300 if market == "wide" else 4_000
        if market == "wide":
            wide = msgspec.structs.replace(floor.state.prices._ticks["NEWUSDT"], ask=200.0, ts_ms=floor.now_ms)
            floor.watching.on_ticks([wide])
        await floor.at(mid)
        await floor.sentinel.sweep()
        await floor.settle()
        assert mid == 80.0 or not floor.sent(), "it may be worth twice as much: 10 more of equity"
    assert floor.sentinel._blind == {"a"}
    assert {(placed.symbol, placed.quantity) for placed in floor.sent()} >= {("BTCUSDT", D(100))}


async def test_a_sweep_tells_of_each_account_that_comes_to_be_without_a_price(
    logged: Callable[[], str],
) -> None:
    floor = Floor()
    other = account(floor.state.books, "b", 1_000)
    floor.open(other, "ETHUSDT", "1")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        floor.price(symbol=symbol)
    await floor.settle()
    told = []
    for symbol in ("BTCUSDT", "ETHUSDT"):
        floor.now_ms += 4_000
        floor.price(symbol=symbol)
        logged()
        await floor.sentinel.sweep()
        told += re.findall(r"\bone\W+(\w)\b", logged())
    assert told == ["b", "a"], "one more and one less are no less to be told"


async def test_a_price_whose_stream_has_died_is_not_seen_twice() -> None:
    floor = Floor()
    floor.open(floor.account, "ETHUSDT", "1")
    await floor.at(CALM)
    tick = floor.state.prices._ticks["BTCUSDT"]

    async def eth() -> None:
        calm = msgspec.structs.replace(tick, symbol="ETHUSDT", bid=99.99, ask=100.01, ts_ms=floor.now_ms)
        floor.watching.on_ticks([calm])
        floor.sentinel.on_ticks([calm])
        await floor.settle()

    await eth()
    await floor.sentinel.sweep()  # the account has all its prices now
    await floor.at(INSOLVENT)
    for _ in range(4):
        floor.now_ms += 300
        await eth()
    assert not floor.sent()
    await floor.at(INSOLVENT)
    await eth()
    assert floor.sent()
