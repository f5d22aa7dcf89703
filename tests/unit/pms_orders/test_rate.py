"""The rate budget: who may use how much, what is cheaper as a batch, and pauses the venue asks for."""

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW, place

from pms_common.rate.window import Window
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import register
from pms_orders.domain.rate import Budget, Lane
from pms_orders.domain.slots import Slots


def budget_of(ten_seconds: int = 300, minute: int = 1_200, weight: int = 2_400) -> Budget:
    return Budget((Window(10_000, ten_seconds), Window(60_000, minute)), Window(60_000, weight))


def fill(budget: Budget, lane: Lane) -> int:
    """Send singly until there is no room."""
    count = 0
    while budget.room(lane, NOW):
        budget.spend(lane, NOW)
        count += 1
    return count


def test_new_orders_leave_room_for_closes_and_repricing_leaves_half() -> None:
    budget = budget_of(100)
    assert fill(budget, Lane.REPRICE) == 50
    assert fill(budget, Lane.NEW) == 40
    assert fill(budget, Lane.CLOSE) == 7
    assert fill(budget, Lane.LIQUIDATION) == 3
    assert budget.room(Lane.CANCEL, NOW) == 2_328
    assert budget.wait_ms(Lane.NEW, NOW) > 0 == budget.wait_ms(Lane.CANCEL, NOW)


def test_queries_leave_the_cancels_reserve_alone() -> None:
    budget = budget_of(weight=100)
    while budget.admits_query(5, NOW):
        budget.weight.take(NOW, 5)
    assert budget.weight.used == 75 and fill(budget, Lane.CANCEL) == 22


def test_a_batch_is_sent_where_the_minute_is_scarce_and_the_weight_is_not() -> None:
    budget = budget_of(ten_seconds=10_000)
    assert not budget.batch_room(Lane.NEW, NOW)
    budget.orders[1].take(NOW, 540)
    assert budget.batch_room(Lane.NEW, NOW)
    budget.spend_batch(Lane.NEW, NOW)
    assert [window.used for window in budget.orders] == [5, 541] and budget.weight.used == 5
    budget.weight.take(NOW, 1_194)
    assert not budget.batch_room(Lane.NEW, NOW)


def test_a_batch_never_exceeds_the_ten_seconds() -> None:
    budget = budget_of(ten_seconds=10)
    budget.orders[1].take(NOW, 1_000)
    budget.orders[0].take(NOW, 5)
    assert not budget.batch_room(Lane.NEW, NOW) and budget.room(Lane.NEW, NOW) == 4


def test_r25_a_ban_holds_everything_back_until_its_end() -> None:
    budget = budget_of()
    budget.block(NOW + 5_000)
    assert not any(budget.room(lane, NOW + 4_999) for lane in Lane) and not budget.admits_query(1, NOW)
    assert not budget.batch_room(Lane.NEW, NOW)
    assert all(budget.room(lane, NOW + 5_000) for lane in Lane)


def test_r25_a_full_count_of_orders_holds_orders_back_and_no_cancel() -> None:
    budget = budget_of()
    budget.refused(VenueError(429, -1015, "Too many new orders", 3_000), NOW)
    assert not budget.room(Lane.CLOSE, NOW + 2_999) and budget.room(Lane.CANCEL, NOW)
    assert budget.wait_ms(Lane.NEW, NOW) == 3_000 and budget.room(Lane.NEW, NOW + 3_000)


def test_r25_a_ban_is_read_from_its_text_by_the_venues_clock() -> None:
    budget = budget_of()
    text = f"Way too many requests; IP(1.2.3.4) banned until {NOW + 130_000}."
    budget.refused(VenueError(418, -1003, text), 500, NOW + 10_000)
    assert budget.blocked_until_ms == 500 + 120_000


def test_what_others_have_used_is_counted_too() -> None:
    budget = budget_of(100)
    budget.spend(Lane.NEW, NOW)
    budget.told("ORDERS", 10_000, 80, NOW)
    budget.told("ORDERS", 10_000, 40, NOW)
    budget.told("REQUEST_WEIGHT", 60_000, 2_000, NOW)
    assert budget.room(Lane.NEW, NOW) == 10 and budget.room(Lane.CANCEL, NOW) == 328


SENDING = st.lists(
    st.tuples(st.integers(0, 1_500), st.sampled_from([*Lane, "query", "batch"]), st.integers(1, 30)), max_size=120
)


@given(SENDING, st.integers(5, 40), st.integers(20, 120), st.integers(10, 120), st.integers(0, 59_999))
def test_r25_no_storm_exceeds_an_aligned_window(
    storm: list[tuple[int, Lane | str, int]], ten_seconds: int, minute: int, weight: int, offset: int
) -> None:
    """Whatever is sent as soon as there is room, and however the venue's windows lie, no count exceeds its limit."""
    budget, now = budget_of(ten_seconds, minute, weight), NOW + offset
    counts: dict[tuple[int, int], int] = {}

    def count(span: int, amount: int) -> None:
        key = (span, now // abs(span))
        counts[key] = counts.get(key, 0) + amount

    for pause, what, many in storm:
        now += pause
        for _ in range(many):
            if what == "query":
                if budget.admits_query(5, now):
                    budget.weight.take(now, 5)
                    count(-60_000, 5)
            elif what == "batch":
                if budget.batch_room(Lane.NEW, now):
                    budget.spend_batch(Lane.NEW, now)
                    count(10_000, 5), count(60_000, 1), count(-60_000, 5)
            elif isinstance(what, Lane) and budget.room(what, now):
                budget.spend(what, now)
                if what is Lane.CANCEL:
                    count(-60_000, 1)
                else:
                    count(10_000, 1), count(60_000, 1)
    limits = {10_000: ten_seconds, 60_000: minute, -60_000: weight}
    assert all(used <= limits[span] for (span, _), used in counts.items())


def test_slots_are_shared_fairly_once_they_get_scarce() -> None:
    slots = Slots()
    greedy = [register(place(f"a{n}"), NOW) for n in range(10)]
    sent = [order for order in greedy if slots.admits(order, 10) and not slots.hold(order)]
    assert len(sent) == 10  # nobody else is there
    close = register(place("c", reduce_only=True), NOW)
    assert not slots.admits(close, 10)
    for order in sent[:2]:
        slots.release(order)
        slots.release(order)
    other = register(place("b", account_id="b"), NOW)
    assert slots.admits(other, 10) and slots.admits(close, 10)
    slots.hold(other)
    assert not slots.admits(greedy[0], 10) and slots.admits(register(place("b2", account_id="b"), NOW), 10)
    assert slots.admits(register(place("ioc", time_in_force="IOC"), NOW), 1)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), min_size=1, max_size=60),
    st.integers(0, 1_600),
    st.sampled_from([10, 50]),
)
def test_r25_a_cancel_does_not_wait_while_new_orders_and_queries_take_all_they_may(
    cancels: list[tuple[int, int]], queried: int, sync_every_ms: int
) -> None:
    """A model of the storm in virtual time: always more new orders than may go, queries up to their share, cancels now
    and then; Redis is told every 50 ms. Each cancel leaves within 100 ms, and no count exceeds its limit.
    """
    budget = Budget((Window(10_000, 300), Window(60_000, 1_200)), Window(60_000, 2_400, shared=True))
    due = sorted(at for pause, many in cancels for at in [NOW + pause * 40] * many)
    known, sent, waits, synced = 0, 0, list[int](), NOW
    for now in range(NOW, NOW + 1_000, 5):
        while due and due[0] <= now and budget.room(Lane.CANCEL, now):
            waits.append(now - due.pop(0))
            budget.spend(Lane.CANCEL, now)
        while budget.room(Lane.NEW, now):
            budget.spend(Lane.NEW, now)
            sent += 1
        while queried and budget.admits_query(20, now):
            budget.weight.take(now, 20)
            queried = max(0, queried - 20)
        if now - synced >= sync_every_ms:
            known, synced = known + budget.weight.report(), now
            budget.weight.confirm([(now, known)])
    assert not due and max(waits) <= 100
    assert sent == 270 and budget.weight.used <= 2_400
