"""The L1 rule: the higher update id wins, unsound quotes never do."""

from hypothesis import given
from hypothesis import strategies as st

from pms_feed.domain.merge import ID_RESTART_MS, L1

NOW_US = 1_700_000_000_000_000


def offer(l1: L1, update_id: int, bid: float = 10.0, ask: float = 11.0, event_ms: int = 1_000) -> bool:
    return l1.offer(update_id, bid, 1.0, ask, 2.0, event_ms, NOW_US + update_id * 1000)


@given(st.lists(st.integers(0, 50), min_size=1))
def test_the_highest_id_seen_stands(ids: list[int]) -> None:
    l1 = L1()
    for update_id in ids:
        offer(l1, update_id, bid=float(update_id + 1), ask=float(update_id + 2))
    assert l1.update_id == max(ids)
    assert l1.bid == max(ids) + 1


def test_crossed_and_one_sided_quotes_are_not_taken() -> None:
    l1 = L1()
    for bid, ask in ((12.0, 11.0), (0.0, 11.0), (10.0, 0.0), (0.0, 0.0)):
        assert not offer(l1, 5, bid, ask)
    assert not l1.known
    assert offer(l1, 5, 11.0, 11.0)


def test_changed_time_moves_with_prices_only() -> None:
    l1 = L1()
    offer(l1, 1)
    changed = l1.changed_ms
    assert l1.offer(2, 10.0, 7.0, 11.0, 2.0, 1_000, NOW_US + 9_000_000)
    assert l1.changed_ms == changed
    assert l1.bid_quantity == 7.0
    assert offer(l1, 10_000, bid=10.5)
    assert l1.changed_ms == (NOW_US + 10_000_000) // 1000


def test_lower_ids_are_taken_after_a_restart_or_much_later_in_the_venues_time() -> None:
    l1 = L1()
    offer(l1, 1_000)
    assert not offer(l1, 5, event_ms=1_000 + ID_RESTART_MS)
    assert offer(l1, 5, event_ms=1_001 + ID_RESTART_MS)
    l1.restart()
    assert offer(l1, 3, event_ms=1_000)
