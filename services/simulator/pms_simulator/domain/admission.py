"""Whether a well-formed order may enter the book: mark filters, reduce-only room, margin, price match.

Owns the refusals that depend on market and account. Changes nothing but the quantity of a closing order that is
larger than its position, which the venue shrinks instead of refusing.
"""

from decimal import Decimal

from pms_simulator.domain.account import Account
from pms_simulator.domain.book import Book
from pms_simulator.domain.errors import refuse
from pms_simulator.domain.filters import check_counterparty, check_notional, check_percent_price
from pms_simulator.domain.matching import crosses, fillable
from pms_simulator.domain.orders import BUY, Order
from pms_simulator.domain.positions import Holding
from pms_simulator.domain.state import Market


def admit(account: Account, held: Holding, market: Market, order: Order) -> None:
    """Every check of a new order that needs market or account; raises the venue's refusal."""
    if market.spec.status != "TRADING":
        raise refuse(-4140)
    same_id = account.by_client_id(market.spec.symbol, order.client_id)
    if same_id is not None and same_id.is_open:
        raise refuse(-4116)
    if order.price_match != "NONE":
        order.price = matched_price(market.book, order.side, order.price_match)
    check_market(market, order)
    if len(held.orders) >= market.spec.max_orders and order.order_type == "LIMIT":
        raise refuse(-2025)
    if order.closing:
        shrink_to_position(held, order)
    check_time_in_force(market.book, order)
    if not order.closing:
        check_margin(account, held, market, order.side, working_price(market, order), order.quantity)


def matched_price(book: Book, side: int, rule: str) -> int:
    """The price a priceMatch rule gives: OPPONENT or QUEUE, optionally _5, _10, _20; -5037, -5041."""
    name, _, rank = rule.partition("_")
    if name not in {"OPPONENT", "QUEUE"} or rank not in {"", "5", "10", "20"}:
        raise refuse(-5037)
    ladder = book.ladder(-side if name == "OPPONENT" else side)
    place = int(rank or 1)
    if len(ladder.keys) < place:
        raise refuse(-5041)
    return ladder.keys[-place] * ladder.side


def working_price(market: Market, order: Order) -> int:
    """The price an order is valued at: its own, or for a market order the best it could get."""
    if order.price:
        return order.price
    best = market.book.ladder(-order.side).best()
    return best.price if best else market.mark


def check_market(market: Market, order: Order) -> None:
    """Filters against the mark: percent price and minimum notional."""
    spec = market.spec
    if order.order_type == "MARKET":
        best = market.book.ladder(-order.side).best()
        if best is not None:
            check_counterparty(spec, order.side, best.price, market.mark)
    else:
        check_percent_price(spec, order.side, order.price, market.mark)
    if not order.reduce_only:
        check_notional(spec, (order.price or market.mark) * order.quantity)


def shrink_to_position(held: Holding, order: Order) -> None:
    """Reduce a closing order to what its position leaves open.

    -2022 without an opposite position, -4118 where resting closing orders already cover it.
    """
    room = room_to_close(held, order)
    if order.remaining > room:
        order.resize(order.executed + room)


def room_to_close(held: Holding, order: Order) -> int:
    """What is left of the position after the other resting closing orders: -2022, -4118."""
    position = held.leg(order.position_side).quantity * -order.side
    if position <= 0:
        raise refuse(-2022)
    resting = sum(
        other.remaining
        for other in held.closers.values()
        if other.side == order.side and other.position_side == order.position_side and other is not order
    )
    if position <= resting:
        raise refuse(-4118)
    return position - resting


def check_time_in_force(book: Book, order: Order) -> None:
    """Fill-or-kill that cannot fill (-5021) and post-only that would take (-5022): refused without a trace."""
    if order.tif == "FOK" and fillable(book, order.side, order.price, order.quantity) < order.quantity:
        raise refuse(-5021)
    if order.tif == "GTX" and crosses(book, order.side, order.price):
        raise refuse(-5022)


def check_margin(account: Account, held: Holding, market: Market, side: int, price: int, quantity: int) -> None:
    """Bracket and margin for ``quantity`` more at ``price``: -2027, -2019.

    Cost = additional initial margin + the loss the order would open with against the mark. A sell is valued at
    the mark where its price is lower. What does not raise the exposure needs nothing.
    """
    if side == BUY:
        after = held.exposure(extra_buys=price * quantity)
        loss = (price - market.mark) * quantity
    else:
        after = held.exposure(extra_sells=max(price, market.mark) * quantity)
        loss = (market.mark - price) * quantity
    if after <= held.exposed:
        return
    if after > held.max_exposure:
        raise refuse(-2027)
    cost = held.margin_for(after) - held.initial_margin
    if loss > 0:
        cost += held.spec.money(loss)
    if cost > max(Decimal(0), account.free):
        raise refuse(-2019)
