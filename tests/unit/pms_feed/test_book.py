"""The book against a naive model that keeps every level sorted and knows the whole truth."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from pms_feed.domain import book as book_module
from pms_feed.domain.book import Book, Levels, Outcome


@dataclass
class Diff:
    first_id: int
    last_id: int
    previous_id: int
    bids: Levels = field(default_factory=list)
    asks: Levels = field(default_factory=list)
    event_ms: int = 0


def loaded(update_id: int = 100, bids: Levels = ((99.0, 1.0), (98.0, 2.0)), asks: Levels = ((101.0, 1.0),)) -> Book:
    book = Book()
    assert book.load(update_id, bids, asks, whole=True) is Outcome.APPLIED
    return book


prices = st.integers(1, 40).map(float)
quantities = st.integers(0, 3).map(float)
sides = st.lists(st.tuples(prices, quantities), max_size=8)


@given(st.lists(st.tuples(sides, sides), max_size=40), st.data())
def test_book_equals_a_sorted_model(steps: list[tuple[Levels, Levels]], data: st.DataObject) -> None:
    """Bids live in 1…40, asks in 101…140, so that the model is never crossed; the best is asked for now and then."""
    book = loaded(1, [(20.0, 1.0)], [(120.0, 1.0)])
    bids, asks = {20.0: 1.0}, {120.0: 1.0}
    for at, (bid_side, ask_side) in enumerate(steps):
        ask_side = [(price + 100, quantity) for price, quantity in ask_side]
        assert book.apply(Diff(at + 2, at + 2, at + 1, bid_side, ask_side)) is Outcome.APPLIED
        for levels, side in ((bids, bid_side), (asks, ask_side)):
            for price, quantity in side:
                levels[price] = quantity
                if not quantity:
                    del levels[price]
        if data.draw(st.booleans()):
            assert (book.bids, book.asks) == (bids, asks)
            expected = None
            if bids and asks:
                bid, ask = sorted(bids)[-1], sorted(asks)[0]
                expected = (bid, bids[bid], ask, asks[ask])
            assert book.best() == expected


@given(st.permutations(range(8)), st.integers(0, 8), st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7)))
def test_whatever_order_loss_or_repetition_the_book_is_right_or_wants_a_snapshot(
    order: list[int], snapshot_at: int, lost: set[int], repeated: set[int]
) -> None:
    """Diff n sets level n+1 to quantity n+1; a standing book has exactly the levels up to its update id."""
    book = Book()
    stream = [at for at in order if at not in lost]
    for turn, at in enumerate([*stream, *repeated]):
        if turn == snapshot_at:
            known = [(float(n), float(n)) for n in range(1, 4)]
            book.load(13, known, [(1000.0, 1.0)], whole=True)
        book.apply(Diff(10 + at + 1, 10 + at + 1, 10 + at, [(float(at + 1), float(at + 1))]))
        if book.loaded:
            assert set(book.bids) == {float(n) for n in range(1, book.update_id - 10 + 1)}


def test_first_diff_bridges_the_snapshot_and_older_ones_are_dropped() -> None:
    book = Book()
    for diff in (
        Diff(90, 95, 89, [(50.0, 9.0)]),
        Diff(96, 99, 95, [(51.0, 9.0)]),
        Diff(100, 105, 99, [(98.0, 5.0)]),
        Diff(106, 108, 105, [], [(100.0, 7.0)]),
    ):
        assert book.apply(diff) is Outcome.WAITING
    assert book.best() is None
    assert book.load(102, [(99.0, 1.0)], [(101.0, 1.0)], whole=True) is Outcome.APPLIED
    assert book.update_id == 108
    assert book.best() == (99.0, 1.0, 100.0, 7.0)
    assert 50.0 not in book.bids
    assert 51.0 not in book.bids


def test_diff_that_ends_at_the_snapshot_is_applied() -> None:
    book = loaded(100)
    assert book.apply(Diff(90, 100, 80, [(99.0, 4.0)])) is Outcome.APPLIED
    assert book.apply(Diff(101, 110, 100)) is Outcome.APPLIED


def test_quiet_symbol_whose_next_diff_begins_after_the_snapshot_continues_it() -> None:
    book = loaded(100)
    assert book.apply(Diff(150, 160, 100, [(99.5, 1.0)])) is Outcome.APPLIED
    assert book.best() == (99.5, 1.0, 101.0, 1.0)


def test_snapshot_older_than_the_stream_is_a_gap_and_the_diffs_wait_for_the_next() -> None:
    book = Book()
    book.apply(Diff(201, 210, 200, [(99.5, 3.0)]))
    assert book.load(100, [(99.0, 1.0)], [(101.0, 1.0)], whole=True) is Outcome.GAP
    assert not book.loaded
    assert book.load(205, [(99.0, 1.0)], [(101.0, 1.0)], whole=True) is Outcome.APPLIED
    assert book.best() == (99.5, 3.0, 101.0, 1.0)


def test_gap_loses_the_book_and_keeps_the_diff_for_the_snapshot() -> None:
    book = loaded(100)
    assert book.apply(Diff(101, 105, 100)) is Outcome.APPLIED
    assert book.apply(Diff(120, 125, 119, [(99.5, 2.0)])) is Outcome.GAP
    assert book.best() is None
    assert book.apply(Diff(126, 130, 125)) is Outcome.WAITING
    assert book.load(122, [(99.0, 1.0)], [(101.0, 1.0)], whole=True) is Outcome.APPLIED
    assert book.update_id == 130
    assert book.best() == (99.5, 2.0, 101.0, 1.0)


def test_repeated_and_late_diffs_change_nothing() -> None:
    book = loaded(100)
    first = Diff(101, 105, 100, [(99.0, 5.0)])
    assert book.apply(first) is Outcome.APPLIED
    assert book.apply(Diff(106, 110, 105, [(99.0, 6.0)])) is Outcome.APPLIED
    assert book.apply(first) is Outcome.REPEATED
    assert book.best() == (99.0, 6.0, 101.0, 1.0)


def test_removing_an_unknown_level_is_normal_and_the_best_is_found_again() -> None:
    book = loaded(100, [(99.0, 1.0), (98.0, 2.0), (97.0, 3.0)], [(101.0, 1.0), (102.0, 1.0)])
    book.apply(Diff(101, 101, 100, [(55.0, 0.0), (99.0, 0.0)], [(101.0, 0.0)]))
    assert book.best() == (98.0, 2.0, 102.0, 1.0)
    book.apply(Diff(102, 102, 101, [(98.0, 0.0), (98.5, 1.0)]))
    assert book.best() == (98.5, 1.0, 102.0, 1.0)


def test_crossed_book_is_lost() -> None:
    book = loaded(100)
    book.apply(Diff(101, 101, 100, [(101.0, 1.0)]))
    assert book.best() is None
    assert not book.loaded


def test_empty_side_has_no_best_but_keeps_the_book() -> None:
    book = loaded(100)
    book.apply(Diff(101, 101, 100, [], [(101.0, 0.0)]))
    assert book.best() is None
    assert book.loaded


def test_market_beyond_the_cut_of_its_snapshot_is_told_and_renewed_without_a_gap() -> None:
    book = Book()
    book.load(100, [(99.0, 1.0), (98.0, 1.0)], [(101.0, 1.0), (102.0, 1.0)], whole=False)
    book.apply(Diff(101, 101, 100, [(97.0, 4.0), (99.0, 0.0), (98.0, 0.0)]))
    assert book.covered
    assert book.best() == (97.0, 4.0, 101.0, 1.0)
    assert book.loaded
    assert not book.covered
    assert book.apply(Diff(102, 102, 101, [(97.0, 5.0)])) is Outcome.APPLIED
    # The snapshot was made before the last diff came, and brings a level the stream never mentioned.
    assert book.load(101, [(97.5, 2.0), (97.0, 4.0)], [(101.0, 1.0)], whole=False) is Outcome.APPLIED
    assert book.update_id == 102
    assert book.covered
    assert book.best() == (97.5, 2.0, 101.0, 1.0)
    assert book.bids[97.0] == 5.0


def test_levels_are_bounded_and_the_far_half_goes() -> None:
    book = loaded(100, [(1_000_000.0, 1.0)], [(2_000_000.0, 1.0)])
    most = book_module.MAX_LEVELS
    for at in range(3 * most):
        levels = [(1000.0 + at, 1.0)]
        book.apply(Diff(101 + at, 101 + at, 100 + at, levels, [(3_000_000.0 + at, 1.0)]))
        assert len(book.bids) <= most
        assert len(book.asks) <= most
    assert book.best() == (1_000_000.0, 1.0, 2_000_000.0, 1.0)
    assert book.covered
    assert 3_000_000.0 in book.asks
    assert 3_000_000.0 + 3 * most - 1 not in book.asks or len(book.asks) < most


def test_r26_diffs_that_wait_are_bounded_and_few_while_no_snapshot_is_on_its_way() -> None:
    book = Book()
    most = book_module.MAX_WAITING
    for at in range(most):
        book.apply(Diff(at + 1, at + 1, at))
    assert len(book._waiting) == book_module.IDLE_WAITING
    book.expecting = True
    for at in range(most, 3 * most):
        book.apply(Diff(at + 1, at + 1, at))
    assert len(book._waiting) == most
    assert book.load(3 * most - 10, [(1.0, 1.0)], [(2.0, 1.0)], whole=True) is Outcome.APPLIED
    assert book.update_id == 3 * most


def test_r26_what_waited_for_a_snapshot_that_did_not_come_is_let_go() -> None:
    book = Book()
    book.expecting = True
    for at in range(100):
        book.apply(Diff(at + 1, at + 1, at))
    book.expecting = False
    book.apply(Diff(101, 101, 100))
    assert len(book._waiting) == book_module.IDLE_WAITING
