"""The order book of one symbol: price levels with a FIFO queue each.

Owns resting quantity and its priority. Background liquidity (the market nobody here trades for) rests in the
same queues as accounts' orders, so that an order waits behind what was there before it. Never books fills and
knows no accounts: ``matching`` walks the queues.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator

from pms_simulator.domain.orders import BUY, SELL, Order


class Background:
    """A run of background quantity at one place of a queue."""

    __slots__ = ("remaining",)

    def __init__(self, remaining: int) -> None:
        self.remaining = remaining


Resting = Order | Background


class Level:
    """One price: entries in time priority, their total, and how much of it is background."""

    __slots__ = ("background", "price", "queue", "total")

    def __init__(self, price: int) -> None:
        self.price = price
        self.queue: OrderedDict[int, Resting] = OrderedDict()
        self.total = 0
        self.background = 0


class Ladder:
    """One side's levels, best last. Keys are price x side, so that both sides sort alike."""

    __slots__ = ("keys", "levels", "side")

    def __init__(self, side: int) -> None:
        self.side = side
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def best(self) -> Level | None:
        """The level with the best price."""
        return self.levels[self.keys[-1] * self.side] if self.keys else None

    def obtain(self, price: int) -> Level:
        """The level at ``price``, made if missing."""
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = Level(price)
            insort(self.keys, price * self.side)
        return level

    def drop(self, price: int) -> None:
        """Forget the (empty) level at ``price``."""
        del self.levels[price]
        del self.keys[bisect_left(self.keys, price * self.side)]

    def best_first(self) -> Iterator[Level]:
        """Levels from the best price on."""
        side = self.side
        return (self.levels[key * side] for key in reversed(self.keys))


class Book:
    """Both ladders of one symbol. ``changed`` collects (side, price) of levels touched since last taken."""

    __slots__ = ("_seq", "asks", "bids", "changed", "changed_id", "update_id")

    def __init__(self) -> None:
        self.bids = Ladder(BUY)
        self.asks = Ladder(SELL)
        self.update_id = 1
        self.changed_id = 1
        self.changed: set[tuple[int, int]] = set()
        self._seq = 0

    def ladder(self, side: int) -> Ladder:
        """Where orders of ``side`` rest."""
        return self.bids if side == BUY else self.asks

    def touch(self, side: int, price: int) -> None:
        """Note that the total at a level changed."""
        self.update_id += 1
        self.changed_id = self.update_id
        self.changed.add((side, price))

    def snapshot_id(self) -> int:
        """An id of its own for a snapshot, after all changes so far.

        So a client finds a diff with U <= id <= u even where nothing changed between two snapshots. Gaps in the
        ids are normal: at the venue they are shared by all symbols.
        """
        self.update_id += 1
        return self.update_id

    def add(self, order: Order) -> None:
        """Rest ``order`` at the tail of its level."""
        level = self.ladder(order.side).obtain(order.price)
        self._seq += 1
        order.seq = self._seq
        level.queue[order.seq] = order
        level.total += order.remaining
        self.touch(order.side, order.price)

    def remove(self, order: Order) -> None:
        """Take a resting ``order`` out, whatever its place."""
        ladder = self.ladder(order.side)
        level = ladder.levels[order.price]
        del level.queue[order.seq]
        order.seq = 0
        level.total -= order.remaining
        if not level.queue:
            ladder.drop(order.price)
        self.touch(order.side, order.price)

    def shrink(self, order: Order, by: int) -> None:
        """Reduce the resting quantity of ``order`` in place; its priority stays."""
        self.ladder(order.side).levels[order.price].total -= by
        self.touch(order.side, order.price)

    def take(self, side: int, level: Level, seq: int, entry: Resting, quantity: int) -> None:
        """Remove executed ``quantity`` of ``entry`` from ``level``; an Order's own record is the caller's."""
        level.total -= quantity
        if isinstance(entry, Background):
            entry.remaining -= quantity
            level.background -= quantity
            gone = not entry.remaining
        else:
            gone = entry.remaining == quantity
        if gone:
            del level.queue[seq]
            if not level.queue:
                self.ladder(side).drop(level.price)
        self.touch(side, level.price)

    def set_background(self, side: int, price: int, quantity: int) -> None:
        """Make the background at a level ``quantity``.

        Growth joins the tail. A decrease without a trade is taken from the tail first, so that an account's
        order never advances because of it: the cautious reading of an unknown queue position.
        """
        ladder = self.ladder(side)
        level = ladder.levels.get(price)
        have = level.background if level else 0
        if quantity == have:
            return
        if quantity > have:
            self._grow(ladder.obtain(price), quantity - have)
        elif level is not None:
            self._cut(level, have - quantity)
            if not level.queue:
                ladder.drop(price)
        self.touch(side, price)

    def _grow(self, level: Level, quantity: int) -> None:
        tail = next(reversed(level.queue.values()), None)
        if isinstance(tail, Background):
            tail.remaining += quantity
        else:
            self._seq += 1
            level.queue[self._seq] = Background(quantity)
        level.total += quantity
        level.background += quantity

    @staticmethod
    def _cut(level: Level, quantity: int) -> None:
        level.total -= quantity
        level.background -= quantity
        for seq in reversed(list(level.queue)):
            entry = level.queue[seq]
            if not isinstance(entry, Background):
                continue
            cut = min(quantity, entry.remaining)
            entry.remaining -= cut
            quantity -= cut
            if not entry.remaining:
                del level.queue[seq]
            if not quantity:
                return

    def clear_background(self, side: int, beyond: int | None = None) -> None:
        """Remove background better than price ``beyond`` (all of the side where it is None)."""
        ladder = self.ladder(side)
        for key in reversed(list(ladder.keys)):
            if beyond is not None and key <= beyond * side:
                return
            self.set_background(side, key * side, 0)

    def total_at(self, side: int, price: int) -> int:
        """Resting quantity at a price, 0 where there is no level."""
        level = self.ladder(side).levels.get(price)
        return level.total if level else 0

    def quote(self) -> tuple[int, int, int, int]:
        """Best bid price and quantity, best ask price and quantity; zeros for an empty side."""
        bid, ask = self.bids.best(), self.asks.best()
        return (
            bid.price if bid else 0,
            bid.total if bid else 0,
            ask.price if ask else 0,
            ask.total if ask else 0,
        )

    def depth(self, limit: int) -> tuple[list[Level], list[Level]]:
        """The best ``limit`` levels of both sides, best first."""
        bids = [self.bids.levels[key] for key in reversed(self.bids.keys[-limit:])]
        asks = [self.asks.levels[-key] for key in reversed(self.asks.keys[-limit:])]
        return bids, asks
