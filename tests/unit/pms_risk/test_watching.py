"""The watch lease and the waiting room: whoever needs a price gets one or a refusal; no symbol is closed for good."""

from pms_common.contracts.bus.common import watch_lease
from pms_risk.app import watching

from .desk import Desk
from .world import live


def leased(desk: Desk) -> list[list[str]]:
    return [watch_lease.decode(data).symbols for data in desk.paper.streams.get(desk.names.watch, ())]


def waits(desk: Desk, resumed: list[int] | None = None) -> bool:
    return desk.watching.wait_for_price("BTCUSDT", lambda: (resumed if resumed is not None else []).append(1))


def test_a_symbol_whose_lease_lapsed_is_asked_for_again() -> None:
    desk, resumed = Desk(), list[int]()
    assert waits(desk)
    desk.price()
    assert not waits(desk)
    desk.now_ms += watching.ASKED_MS + watching.LEASE_MS
    desk.watching.tend()
    assert leased(desk)[-1] == []
    assert waits(desk, resumed), "its price is old, and nobody watches it"
    assert leased(desk)[-1] == ["BTCUSDT"]
    assert waits(desk, resumed), "the second waits with the first"
    desk.price(at_ms=desk.now_ms - 60_000)
    assert not resumed, "an old price is what they had before"
    desk.price()
    assert resumed == [1, 1]


def test_who_asks_for_a_watched_symbol_without_fresh_prices_is_told_at_once() -> None:
    desk = Desk()
    waits(desk)
    desk.price()
    desk.now_ms += 5_000
    assert not waits(desk)


def test_what_waits_too_long_goes_on() -> None:
    desk, resumed = Desk(), list[int]()
    assert waits(desk, resumed)
    desk.now_ms += watching.FIRST_PRICE_MS
    desk.watching.tend()
    assert resumed == [1]


def test_the_lease_follows_what_is_held_within_half_a_second() -> None:
    desk = Desk()
    desk.watching.tend()
    desk.account.put_order(live("o1"))
    desk.now_ms += watching.LOOK_MS
    desk.watching.tend()
    assert leased(desk) == [[], ["BTCUSDT"]]
    desk.now_ms += watching.LOOK_MS
    desk.watching.tend()
    assert len(leased(desk)) == 2, "nothing has changed"
