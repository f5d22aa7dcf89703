"""The book and its matching: never crossed, quantity conserved, first in first out."""

import itertools
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from pms_simulator.domain.book import Background, Book
from pms_simulator.domain.catalog import built_in
from pms_simulator.domain.matching import (
    Execution,
    Prevented,
    TakerExpired,
    fillable,
    match,
    quote_through,
    sweep,
)
from pms_simulator.domain.orders import BUY, SELL, Order
from pms_simulator.domain.symbols import read_symbol

SPEC = read_symbol(built_in()["symbols"][0])


def order(side: int, price: int, quantity: int, account: str = "main", stp: str = "NONE", tif: str = "GTC") -> Order:
    return Order(account, SPEC, side=side, order_type="LIMIT", price=price, quantity=quantity, stp=stp, tif=tif)  # type: ignore[arg-type]


def check(book: Book) -> None:
    """What must hold after every step."""
    bid, ask = book.bids.best(), book.asks.best()
    assert bid is None or ask is None or bid.price < ask.price
    for ladder in (book.bids, book.asks):
        assert ladder.keys == sorted(ladder.keys)
        assert {key * ladder.side for key in ladder.keys} == set(ladder.levels)
        for level in ladder.levels.values():
            assert level.queue
            assert level.total == sum(entry.remaining for entry in level.queue.values())
            assert level.background == sum(
                entry.remaining for entry in level.queue.values() if isinstance(entry, Background)
            )
            assert all(entry.remaining > 0 for entry in level.queue.values())


@dataclass
class Step:
    kind: str
    side: int
    price: int
    quantity: int


STEPS = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(["order", "cancel", "background", "quote", "sweep"]),
        side=st.sampled_from([BUY, SELL]),
        price=st.integers(90, 110),
        quantity=st.integers(1, 20),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_book_is_never_crossed_and_conserves_quantity(steps: list[Step]) -> None:
    book = Book()
    resting: list[Order] = []
    for step in steps:
        if step.kind == "order":
            taker = order(step.side, step.price, step.quantity)
            executed = 0
            for outcome in match(book, taker, taker.price, 1):
                assert isinstance(outcome, Execution)
                assert (outcome.price - taker.price) * taker.side <= 0
                executed += outcome.quantity
            assert executed == taker.executed == taker.quantity - taker.remaining
            if taker.remaining:
                book.add(taker)
                resting.append(taker)
        elif step.kind == "cancel":
            live = [item for item in resting if item.is_open]
            if live:
                victim = live[step.quantity % len(live)]
                book.remove(victim)
                victim.end("CANCELED", 1)
        elif step.kind == "background":
            best = book.ladder(-step.side).best()
            if best is None or (best.price - step.price) * step.side > 0:
                book.set_background(step.side, step.price, step.quantity)
                level = book.ladder(step.side).levels[step.price]
                assert level.background == step.quantity
        elif step.kind == "quote":
            before = {id(item): item.remaining for item in resting}
            done = quote_through(book, step.side, step.price, step.quantity, 1)
            filled = sum(execution.quantity for execution in done)
            assert filled <= step.quantity
            assert filled == sum(before[id(item)] - item.remaining for item in resting)
        else:
            done = sweep(book, step.side, step.price, step.quantity, 1)
            assert sum(execution.quantity for execution in done) <= step.quantity
        check(book)
        for item in resting:
            assert item.executed + item.remaining == item.quantity
            in_book = item.price in book.ladder(item.side).levels and item in list(
                book.ladder(item.side).levels[item.price].queue.values()
            )
            assert in_book == (item.is_open and item.remaining > 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 60))
def test_level_is_filled_first_in_first_out(quantities: list[int], taken: int) -> None:
    book = Book()
    queue = [order(SELL, 100, quantity) for quantity in quantities]
    for item in queue:
        book.add(item)
    done = sweep(book, BUY, 100, taken, 1)
    assert [execution.maker for execution in done] == queue[: len(done)]
    for earlier, later in itertools.pairwise(queue):
        assert later.executed == 0 or earlier.remaining == 0


def test_an_order_waits_behind_the_background_that_was_there_before() -> None:
    book = Book()
    book.set_background(BUY, 100, 5)
    mine = order(BUY, 100, 2)
    book.add(mine)
    book.set_background(BUY, 100, 9)
    sweep(book, SELL, 100, 5, 1)
    assert mine.executed == 0
    sweep(book, SELL, 100, 1, 1)
    assert mine.executed == 1


def test_background_that_shrinks_without_a_trade_leaves_from_the_tail() -> None:
    book = Book()
    book.set_background(BUY, 100, 5)
    mine = order(BUY, 100, 2)
    book.add(mine)
    book.set_background(BUY, 100, 9)
    book.set_background(BUY, 100, 3)
    sweep(book, SELL, 100, 4, 1)
    assert mine.executed == 1


def test_fillable_counts_only_prices_within_the_limit() -> None:
    book = Book()
    book.set_background(SELL, 100, 3)
    book.set_background(SELL, 101, 4)
    assert [fillable(book, BUY, limit, 10) for limit in (99, 100, 101, None)] == [0, 3, 7, 7]


def run_stp(mode: str) -> tuple[Order, Order, list[object]]:
    book = Book()
    maker = order(SELL, 100, 2)
    book.add(maker)
    book.set_background(SELL, 100, 3)
    taker = order(BUY, 100, 4, stp=mode)
    steps: list[object] = list(match(book, taker, 100, 1))
    check(book)
    return maker, taker, steps


def test_self_trade_prevention_follows_the_taker() -> None:
    maker, taker, steps = run_stp("EXPIRE_MAKER")
    assert isinstance(steps[0], Prevented) and taker.executed == 3 and maker.executed == 0
    maker, taker, steps = run_stp("EXPIRE_TAKER")
    assert [type(step) for step in steps] == [TakerExpired] and taker.executed == 0
    maker, taker, steps = run_stp("EXPIRE_BOTH")
    assert [type(step) for step in steps] == [Prevented, TakerExpired]
    maker, taker, steps = run_stp("NONE")
    assert maker.executed == 2 and taker.executed == 4
