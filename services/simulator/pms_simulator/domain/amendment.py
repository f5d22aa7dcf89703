"""Amending a resting limit order: what is refused, and which changes the venue turns into a cancel.

Owns the rules of the venue's modify endpoint. Changes nothing itself: ``engine`` does.
"""

from dataclasses import dataclass

from pms_simulator.domain.account import Account
from pms_simulator.domain.admission import check_margin, room_to_close
from pms_simulator.domain.errors import refuse
from pms_simulator.domain.filters import check_percent_price, check_price, check_quantity
from pms_simulator.domain.matching import crosses
from pms_simulator.domain.orders import Order
from pms_simulator.domain.positions import Holding
from pms_simulator.domain.state import Market


@dataclass(frozen=True, slots=True)
class Amendment:
    """The wanted order: new price and new total quantity in units."""

    price: int
    quantity: int
    modify_id: int | None = None
    reduce_only: bool = False


def check_amendment(account: Account, held: Holding, market: Market, order: Order, wanted: Amendment) -> None:
    """Raise the venue's refusal; the order then stays as it was."""
    spec = market.spec
    if spec.status != "TRADING":
        raise refuse(-5024)
    if order.order_type != "LIMIT":
        raise refuse(-5025)
    if order.amendments >= spec.max_amendments:
        raise refuse(-5026)
    if wanted.reduce_only and not order.reduce_only:
        raise refuse(-5047)
    if wanted.price == order.price and wanted.quantity == order.quantity:
        raise refuse(-5027)
    check_price(spec, wanted.price)
    check_quantity(spec.lot, wanted.quantity)
    check_percent_price(spec, order.side, wanted.price, market.mark)
    if not wanted.reduce_only and wanted.price * wanted.quantity < spec.min_notional:
        raise refuse(-5029)
    if wanted.quantity <= order.executed:
        return
    if order.closing:
        if wanted.quantity - order.executed > room_to_close(held, order):
            raise refuse(-4118)
    else:
        held.count(order, -order.remaining)
        try:
            check_margin(account, held, market, order.side, wanted.price, wanted.quantity - order.executed)
        finally:
            held.count(order, order.remaining)


def is_cancelled_by(market: Market, order: Order, wanted: Amendment) -> bool:
    """A total at or below what is filled, or a post-only order that would take: the venue cancels."""
    if order.executed and wanted.quantity <= order.executed:
        return True
    return order.tif == "GTX" and crosses(market.book, order.side, wanted.price)
