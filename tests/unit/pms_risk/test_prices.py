"""Marks, bounds and trading states."""

from decimal import Decimal
from typing import Any

import pytest

from pms_common.contracts.bus.common import Tick
from pms_risk.domain.gates import Gates
from pms_risk.domain.plan import reserve_price, slippage_limit
from pms_risk.domain.prices import MAX_AGE_MS, MAX_AHEAD_MS, Prices, Quote

from .world import D, spec


def tick(bid: float, ask: float, ts_ms: int = 1_000, state: Any = "live") -> Tick:
    return Tick("BTCUSDT", bid, 1.0, ask, 1.0, ts_ms, 0, 0, ts_ms, ts_ms, state)


def test_the_mark_is_the_exact_mid() -> None:
    prices = Prices()
    assert prices.mark("BTCUSDT") is None
    prices.put(tick(0.1, 0.2))
    assert prices.mark("BTCUSDT") == D("0.15")
    prices.put(tick(65000.1, 65000.2))
    assert prices.mark("BTCUSDT") == D("65000.15")


def test_invariant_6_a_stale_price_is_none_for_new_risk() -> None:
    prices = Prices()
    prices.put(tick(1, 2, ts_ms=10_000))
    assert prices.fresh_mark("BTCUSDT", 10_000 + MAX_AGE_MS) == D("1.5")
    assert prices.fresh_mark("BTCUSDT", 10_001 + MAX_AGE_MS) is None
    assert prices.fresh_marks(10_000 + MAX_AGE_MS)("BTCUSDT") == D("1.5")
    assert prices.fresh_marks(10_001 + MAX_AGE_MS)("BTCUSDT") is None
    assert prices.fresh_marks(10_000)("ETHUSDT") is None
    prices.put(tick(1, 2, ts_ms=20_000, state="stale"))
    assert prices.fresh_mark("BTCUSDT", 20_000) is None
    assert prices.fresh_marks(20_000)("BTCUSDT") is None
    assert prices.mark("BTCUSDT") == D("1.5")


def test_a_price_that_was_told_before_the_clock_was_set_back_is_not_fresh() -> None:
    prices = Prices()
    prices.put(tick(1, 2, ts_ms=10_000))
    for now_ms, mark in ((10_000 - MAX_AHEAD_MS, D("1.5")), (9_999 - MAX_AHEAD_MS, None)):
        assert prices.fresh_mark("BTCUSDT", now_ms) == prices.fresh_marks(now_ms)("BTCUSDT") == mark


@pytest.mark.parametrize(("side", "limit"), [("BUY", "101.1"), ("SELL", "99.0")])
def test_slippage_is_measured_from_the_touch_and_never_beyond(side: Any, limit: str) -> None:
    assert slippage_limit(side, Quote(D(100), D("100.1")), D(1), spec()) == D(limit)


def test_reserve_price() -> None:
    assert reserve_price("BUY", None, D(100), spec()) == 105
    assert reserve_price("SELL", None, D(100), spec(market_take_bound=Decimal(0))) == 101
    assert reserve_price("SELL", D(90), D(100), spec()) == 100
    assert reserve_price("BUY", D(90), D(100), spec()) == 90
    assert reserve_price("BUY", D(110), D(100), spec()) == 110


def test_the_strictest_state_holds() -> None:
    gates = Gates()
    assert gates.state("a", "BTCUSDT") == "active"
    gates.set("", "BTCUSDT", "reducing")
    assert gates.state("a", "BTCUSDT") == "reducing"
    gates.set("a", "", "halted")
    assert gates.state("a", "BTCUSDT") == "halted"
    assert gates.state("b", "ETHUSDT") == "active"
    gates.set("a", "", "active")
    gates.set("", "BTCUSDT", "active")
    assert gates.states == {}
