"""Price-time matching of an incoming order against the book, with self-trade prevention.

Owns who trades with whom at which price. Books nothing on accounts: it changes the book and the orders'
executed quantities and tells what happened, in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pms_simulator.domain.book import Background, Book, Resting
from pms_simulator.domain.orders import Order

# Self-trade prevention does not act on fill-or-kill and post-only orders.
STP_EXEMPT = frozenset({"FOK", "GTX"})


@dataclass(slots=True)
class Execution:
    """``quantity`` traded at ``price``; ``maker`` is None where background liquidity was hit."""

    maker: Order | None
    price: int
    quantity: int


@dataclass(slots=True)
class Prevented:
    """A resting order that self-trade prevention removed (its record still has to be ended)."""

    maker: Order


@dataclass(slots=True)
class TakerExpired:
    """Self-trade prevention ended the incoming order; always the last step."""


Step = Execution | Prevented | TakerExpired


def crosses(book: Book, side: int, price: int) -> bool:
    """Whether an order of ``side`` at ``price`` would trade at once."""
    best = book.ladder(-side).best()
    return best is not None and (best.price - price) * side <= 0


def fillable(book: Book, side: int, limit: int | None, wanted: int) -> int:
    """How much of ``wanted`` could trade now at ``limit`` or better."""
    found = 0
    for level in book.ladder(-side).best_first():
        if found >= wanted or (limit is not None and (level.price - limit) * side > 0):
            break
        found += level.total
    return min(found, wanted)


def match(book: Book, taker: Order, limit: int | None, now_ms: int) -> Iterator[Step]:
    """Trade ``taker`` against the opposite side up to ``limit`` (None: any price).

    At each step book and orders stand as of that step. Does not rest the remainder.
    """
    side = taker.side
    ladder = book.ladder(-side)
    prevention = "NONE" if taker.tif in STP_EXEMPT else taker.stp
    while taker.remaining:
        level = ladder.best()
        if level is None or (limit is not None and (level.price - limit) * side > 0):
            return
        seq, entry = next(iter(level.queue.items()))
        if prevention != "NONE" and isinstance(entry, Order) and entry.account == taker.account:
            if prevention != "EXPIRE_TAKER":
                book.remove(entry)
                yield Prevented(entry)
            if prevention != "EXPIRE_MAKER":
                yield TakerExpired()
                return
            continue
        quantity = min(taker.remaining, entry.remaining)
        execution = _execute(book, -side, level.price, seq, entry, quantity, now_ms)
        taker.fill(level.price, quantity, now_ms)
        yield execution


def sweep(book: Book, side: int, limit: int | None, quantity: int, now_ms: int) -> list[Execution]:
    """A background taker: trade ``quantity`` against the opposite side up to ``limit``."""
    done: list[Execution] = []
    ladder = book.ladder(-side)
    while quantity:
        level = ladder.best()
        if level is None or (limit is not None and (level.price - limit) * side > 0):
            break
        seq, entry = next(iter(level.queue.items()))
        traded = min(quantity, entry.remaining)
        done.append(_execute(book, -side, level.price, seq, entry, traded, now_ms))
        quantity -= traded
    return done


def quote_through(book: Book, side: int, price: int, quantity: int, now_ms: int) -> list[Execution]:
    """Background ``quantity`` now rests at ``price``: what stands in its way gives way first.

    Opposite background at or through the price is gone (the market moved). Accounts' orders there are filled
    by the arriving quantity; where it does not suffice, they keep the level and nothing of it rests.
    """
    done: list[Execution] = []
    ladder = book.ladder(-side)
    left = quantity
    while (level := ladder.best()) is not None and (level.price - price) * side <= 0:
        if level.background:
            book.set_background(-side, level.price, 0)
            continue
        if not left:
            break
        seq, entry = next(iter(level.queue.items()))
        traded = min(left, entry.remaining)
        done.append(_execute(book, -side, level.price, seq, entry, traded, now_ms))
        left -= traded
    best = ladder.best()
    blocked = best is not None and (best.price - price) * side <= 0
    book.set_background(side, price, 0 if blocked else left)
    return done


def _execute(book: Book, side: int, price: int, seq: int, entry: Resting, quantity: int, now_ms: int) -> Execution:
    level = book.ladder(side).levels[price]
    book.take(side, level, seq, entry, quantity)
    if isinstance(entry, Background):
        return Execution(None, price, quantity)
    entry.fill(price, quantity, now_ms)
    return Execution(entry, price, quantity)
