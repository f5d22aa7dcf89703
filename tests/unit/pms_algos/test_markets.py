"""Prices that are alive, and the strictest gate."""

from tests.unit.pms_algos.build import D, spec

from pms_algos.app.markets import Markets
from pms_common.contracts.bus.common import Tick, TickState


def tick(bid: float = 100.0, ask: float = 100.1, ts_ms: int = 1_000, state: TickState = "live") -> Tick:
    return Tick("BTCUSDT", bid, 1.0, ask, 1.0, ts_ms, 0, 0, ts_ms, ts_ms, state)


def markets() -> Markets:
    made = Markets()
    made.specs["BTCUSDT"] = spec()
    return made


def test_prices_are_exact_and_need_the_symbols_rules() -> None:
    known = markets()
    assert known.tick(tick(), 9_000)
    found = known.market("BTCUSDT", "acc", 1_000)
    assert found is not None
    assert (found.bid, found.ask) == (D("100.0"), D("100.1"))
    bare = Markets()
    bare.tick(tick(), 9_000)
    assert bare.market("BTCUSDT", "acc", 1_000) is None


def test_a_price_not_confirmed_alive_within_its_limit_is_none() -> None:
    known = markets()
    known.tick(tick(ts_ms=1_000), 9_000)
    assert known.market("BTCUSDT", "acc", 4_000) is not None
    assert known.market("BTCUSDT", "acc", 4_001) is None
    known.tick(tick(ts_ms=4_000), 9_000)  # the same prices, confirmed
    assert known.market("BTCUSDT", "acc", 4_001) is not None


def test_a_stream_that_is_not_live_or_a_crossed_book_takes_the_price_away() -> None:
    for bad in (tick(state="stale"), tick(state="resyncing"), tick(bid=100.2), tick(bid=0.0)):
        known = markets()
        known.tick(tick(), 9_000)
        assert not known.tick(bad, 9_000)
        assert known.market("BTCUSDT", "acc", 1_000) is None


def test_the_strictest_gate_of_all_scopes_holds() -> None:
    known = markets()
    assert known.gate("acc", "BTCUSDT") == "active"
    known.set_gate("", "BTCUSDT", "reducing")
    known.set_gate("acc", "", "halted")
    assert known.gate("acc", "BTCUSDT") == "halted"
    assert known.gate("other", "BTCUSDT") == "reducing"
    assert known.gate("other", "ETHUSDT") == "active"
    known.set_gate("acc", "", "active")
    assert known.gate("acc", "BTCUSDT") == "reducing"
