"""Closing orders beyond what is left of their position: the venue shrinks or expires them, worst priority first (er 4).

Owns which order gives way and by how much. Used by ``engine`` after every change of a position.
"""

from typing import TYPE_CHECKING

from pms_simulator.domain.account import Account
from pms_simulator.domain.orders import BUY, SELL, Order
from pms_simulator.domain.positions import Holding

if TYPE_CHECKING:
    from pms_simulator.domain.engine import Engine


def fit_closers(engine: "Engine", account: Account, held: Holding, now_ms: int) -> None:
    """Bring the resting closing orders of each leg down to the leg."""
    for leg in held.legs.values():
        for side in (BUY, SELL):
            closers = [o for o in held.closers.values() if o.side == side and o.position_side == leg.side]
            excess = sum(o.remaining for o in closers) - max(0, -leg.quantity * side)
            closers.sort(key=lambda o: (o.price * o.side, -o.seq))
            for order in closers:
                if excess <= 0:
                    break
                excess -= _cut(engine, account, held, order, excess, now_ms)


def _cut(engine: "Engine", account: Account, held: Holding, order: Order, excess: int, now_ms: int) -> int:
    if not order.seq:  # still matching, not in the book
        return 0
    if order.remaining <= excess:
        cut = order.remaining
        engine.expire(account, order, now_ms, "4")
        return cut
    engine.note(account, order)
    engine.markets[order.spec.symbol].book.shrink(order, excess)
    held.count(order, -excess)
    order.resize(order.quantity - excess)
    return excess
