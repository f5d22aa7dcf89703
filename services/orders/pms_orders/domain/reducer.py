"""The reducer: an order and what happened to it → the order after it, and what follows from it.

Owns every change of an order's state, quantities and fills. Pure: no I/O, no clock; what is to be told or fetched comes
back as actions. State moves by `table` only; executed quantity only grows; a fill is booked once by its trade id (both
sides of a self-match share one: they are two orders, each with its own). An order ends when its executions are known.
Used by the order manager for the feed, for answers and for queries alike, so the same fact gives the same key.
"""

from dataclasses import dataclass
from decimal import Decimal

from pms_common.contracts.bus.base import FINAL_STATES, OrderStatus
from pms_common.contracts.bus.orders import Cause, Fill
from pms_orders.domain.order import End, Flight, Operation, OrderState, Terms
from pms_orders.domain.table import TABLE, Kind

_ENDS: dict[Kind, OrderStatus] = {
    Kind.FILLED: "filled",
    Kind.FOUND_FILLED: "filled",
    Kind.CANCELLED: "cancelled",
    Kind.FOUND_CANCELLED: "cancelled",
    Kind.EXPIRED: "expired",
    Kind.FOUND_EXPIRED: "expired",
}
_END_KINDS: dict[str, Kind] = {"filled": Kind.FILLED, "cancelled": Kind.CANCELLED, "expired": Kind.EXPIRED}
_CAUSES: dict[str, Cause] = {
    "placing": "accepted",
    "active": "active",
    "unknown": "unknown",
    "cancelled": "cancelled",
    "expired": "expired",
    "rejected": "rejected",
    "failed": "failed",
}


AMENDED_BELOW_EXECUTED = "amended_below_executed"
AMENDED_THROUGH_BOOK = "amended_through_book"
"""An amendment cancels its order where the new quantity is executed already, or a post-only order would have traded."""


@dataclass(slots=True)
class Report:
    """What the exchange says of an order: an event of the feed, a trade from its list, or the answer to a query.

    `executed` is cumulative (`z`); None where the source does not know it (a line of the trade list).
    """

    kind: Kind
    symbol: str
    client_order_id: str
    exchange_order_id: int
    event_ms: int
    quantity: Decimal | None = None
    price: Decimal | None = None
    executed: Decimal | None = None
    average_price: Decimal | None = None
    fill: Fill | None = None
    reason: str | None = None


@dataclass(slots=True)
class Announce:
    """To be published: something happened to the order. `key` names the happening, whoever reported it."""

    key: str
    cause: Cause
    event_ms: int
    fill: Fill | None = None
    reason: str | None = None
    error_code: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Heal:
    """The exchange has counted more than the fills known here: fetch the missing ones."""


@dataclass(slots=True)
class Odd:
    """The pair contradicts what was known; to be counted and logged."""

    kind: Kind
    state: str


Action = Announce | Heal | Odd


def apply_report(order: OrderState, report: Report) -> list[Action]:
    """Apply what the exchange says of an order (feed, trade list or query)."""
    actions: list[Action] = []
    if order.exchange_order_id is None:
        order.exchange_order_id = report.exchange_order_id
    changed = _take_terms(order, report)
    fill = _book(order, report)
    if report.executed is not None and report.executed > order.executed:
        order.executed = report.executed
    before = order.status
    acknowledged = changed and before == "amending" and order.flight is None
    answered = _land(order, report) or acknowledged
    order.status = _following(order, report, answered, actions)
    if fill is not None:
        _touch(order, report.event_ms)
        actions.append(_announce_fill(report, fill))
        _end(order, actions)
    elif order.status != before:
        _touch(order, report.event_ms)
        if before != "amending" or order.status != "active":
            reason = _reason(order, before, order.status, report.reason)
            actions.append(_announce_state(order, report.event_ms, reason))
    told = fill is not None or order.status != before
    amended = answered or (report.kind is Kind.AMENDED and report.event_ms == order.terms_ms)
    if (amended or (changed and not told)) and order.status not in FINAL_STATES:
        if not told:
            _touch(order, report.event_ms)
        actions.append(_announce_terms(order, report.event_ms))
    if not order.whole:
        actions.append(Heal())
    return actions


def _take_terms(order: OrderState, report: Report) -> bool:
    """Take price and quantity unless older than those known; whether they are other ones.

    The exchange's word counts: it shrinks reduce-only orders to the position, and others may amend by hand.
    """
    if report.quantity is None or report.event_ms < order.terms_ms:
        return False
    order.terms_ms = report.event_ms
    changed = report.quantity != order.quantity or (order.price is not None and report.price != order.price)
    if changed:
        order.quantity = report.quantity
        if order.price is not None and report.price is not None:
            order.price = report.price
    return changed


def _book(order: OrderState, report: Report) -> Fill | None:
    """Book the report's fill; None where there is none or it is known."""
    fill = report.fill
    if fill is None or fill.trade_id in order.trades:
        return None
    order.trades.add(fill.trade_id)
    order.booked += fill.quantity
    order.cost += fill.quantity * fill.price
    order.executed = max(order.executed, order.booked)
    named = report.average_price if report.executed == order.booked else None
    order.average_price = named or order.cost / order.booked
    return fill


def _land(order: OrderState, report: Report) -> bool:
    """End the flight that the report shows to have arrived; whether it was an amendment."""
    flight = order.flight
    if flight is None:
        return False
    amended = flight.operation is Operation.AMEND and _shows(order, flight.terms)
    if amended or flight.operation is Operation.PLACE or report.kind in _ENDS:
        order.flight = None
    return amended


def _shows(order: OrderState, asked: Terms | None) -> bool:
    """Whether the order has the terms that were asked for, or what the exchange makes of them: less to reduce."""
    if asked is None or order.price != asked.price:
        return False
    return order.quantity == asked.quantity or (order.place.reduce_only_on_venue and order.quantity < asked.quantity)


def _following(order: OrderState, report: Report, answered: bool, actions: list[Action]) -> OrderStatus:
    kind, status = report.kind, order.status
    end = _ENDS.get(kind)
    if end is not None and not order.whole and status not in FINAL_STATES:
        if order.end is None or end == "filled":
            order.end = End(end, report.event_ms, _reason(order, status, end, report.reason))
        return status
    cell = TABLE[kind][status]
    if cell.odd:
        actions.append(Odd(kind, status))
    if kind is Kind.AMENDED and status == "amending" and order.flight is not None:
        return "amending"  # an earlier amendment; a later one is still on its way
    if answered and status == "amending" and cell.state == "amending":
        return "active"  # a query, or a fill, shows the new terms: the amendment's own event was missed
    if cell.state != status and order.error_code is not None:
        order.error_code = order.error = None  # it was not refused after all
    return cell.state


def _end(order: OrderState, actions: list[Action]) -> None:
    """Let the end that was held back happen: with this execution all are known."""
    end = order.end
    if end is None or not order.whole or order.status in FINAL_STATES:
        return
    before = order.status
    order.end, order.flight = None, None
    order.status = TABLE[_END_KINDS[end.status]][before].state
    if order.status != "filled":  # of a filled order the execution itself is the end
        _touch(order, end.event_ms)
        actions.append(_announce_state(order, end.event_ms, end.reason))


def _reason(order: OrderState, before: OrderStatus, after: OrderStatus, told: str | None) -> str | None:
    """Why the exchange has ended the order: because we cancelled it, by our amendment, or as it says itself."""
    if before == "cancelling" and after == "cancelled" and order.cancel_reason:
        return order.cancel_reason
    if before == "amending" and told in ("CANCELED", "EXPIRED"):
        if order.executed:
            return AMENDED_BELOW_EXECUTED
        if order.place.time_in_force == "GTX":
            return AMENDED_THROUGH_BOOK
    return told


def _announce_fill(report: Report, fill: Fill) -> Announce:
    key = f"{report.symbol}:{report.exchange_order_id}:{fill.trade_id}"
    return Announce(key, "fill", report.event_ms, fill=fill)


def _announce_state(order: OrderState, event_ms: int, reason: str | None) -> Announce:
    cause: Cause = "fill" if order.status == "filled" else _CAUSES[order.status]
    return Announce(f"{order.client_order_id}:{order.status}", cause, event_ms, reason=reason)


def _announce_terms(order: OrderState, event_ms: int) -> Announce:
    key = f"{order.client_order_id}:amended:{event_ms}:{order.price}:{order.quantity}"
    return Announce(key, "amended", event_ms)


def _touch(order: OrderState, event_ms: int) -> None:
    order.version += 1
    order.updated_ms = max(order.updated_ms, event_ms)


def apply_own(
    order: OrderState,
    kind: Kind,
    now_ms: int,
    reason: str | None = None,
    error_code: str | None = None,
    error: str | None = None,
) -> list[Action]:
    """Apply what happened on this side: sent, refused, lost, absent, withdrawn (never what the feed tells)."""
    actions: list[Action] = []
    before = order.status
    cell = TABLE[kind][before]
    if cell.odd:
        actions.append(Odd(kind, before))
    amending = order.flight is not None and order.flight.operation is Operation.AMEND
    if kind is not Kind.AMEND_REFUSED or not amending:  # a newer one that was refused here says nothing of that one
        order.status = cell.state
    if kind in (Kind.CANCEL_SENT, Kind.AMEND_SENT):
        return actions
    if kind is Kind.CANCEL_REFUSED or kind is Kind.AMEND_REFUSED:
        if before not in FINAL_STATES:
            cause: Cause = "cancel_failed" if kind is Kind.CANCEL_REFUSED else "amend_failed"
            _touch(order, now_ms)
            key = f"{order.client_order_id}:{cause}:{order.version}"
            actions.append(Announce(key, cause, now_ms, reason=reason, error_code=error_code, error=error))
        return actions
    if order.status != before or (kind is Kind.ACKNOWLEDGED and before == "placing"):
        cause = _CAUSES[order.status]
        _touch(order, now_ms)
        key = f"{order.client_order_id}:{cause}"
        actions.append(Announce(key, cause, now_ms, reason=reason, error_code=error_code, error=error))
    return actions


def acknowledge(order: OrderState, exchange_order_id: int, now_ms: int) -> list[Action]:
    """The exchange took the placement. A no-op once the feed has spoken; until then `accepted` may tell it."""
    if order.exchange_order_id is None:
        order.exchange_order_id = exchange_order_id
    if order.flight is not None and order.flight.operation is Operation.PLACE:
        order.flight = None
    return [] if order.status == "placing" else apply_own(order, Kind.ACKNOWLEDGED, now_ms)


def accepted(order: OrderState, now_ms: int) -> list[Action]:
    """An acknowledged placement of which the feed has not spoken; nothing where it has."""
    return apply_own(order, Kind.ACKNOWLEDGED, now_ms) if order.status == "placing" else []


def depart(order: OrderState, operation: Operation, now_ms: int) -> list[Action]:
    """The next request of the order leaves; what was wanted becomes the flight."""
    order.flight = Flight(operation, now_ms)
    if operation is Operation.PLACE:
        order.sent_ms = now_ms
        return []
    if operation is Operation.CANCEL:
        order.cancel_reason = order.wanted_cancel
        return apply_own(order, Kind.CANCEL_SENT, now_ms)
    order.flight.terms, order.wanted_amend = order.wanted_amend, None
    return apply_own(order, Kind.AMEND_SENT, now_ms)


def lose(order: OrderState, now_ms: int) -> list[Action]:
    """Nobody will answer the request in flight. A cancel may be sent again; the others have to be resolved first."""
    flight = order.flight
    if flight is None:
        return []
    flight.lost = True  # an answer may come all the same
    if flight.operation is Operation.AMEND:
        return []
    order.flight = None
    return apply_own(order, Kind.LOST, now_ms) if flight.operation is Operation.PLACE else []


def already_amended(order: OrderState, now_ms: int) -> list[Action]:
    """The exchange has these terms already: told as an amendment, so that who asked need not wait."""
    order.flight = None
    if order.status == "amending":
        order.status = "active"
    _touch(order, now_ms)
    return [_announce_terms(order, now_ms)]


def told_fill(order: OrderState, fill: Fill) -> Announce:
    """An execution as it was told, under the same key."""
    return Announce(f"{order.place.symbol}:{order.exchange_order_id}:{fill.trade_id}", "fill", fill.trade_ms, fill=fill)


def retold(order: OrderState, fills: list[Fill]) -> list[Announce]:
    """What was told of an order, as far as its present state and fills show it, under the same keys."""
    place, told = order.place, order.updated_ms
    announces = [told_fill(order, fill) for fill in fills]
    if order.status in _CAUSES:
        key = f"{place.client_order_id}:{order.status if order.status != 'placing' else 'accepted'}"
        cause = _CAUSES[order.status]
        announces.append(Announce(key, cause, told, error_code=order.error_code, error=order.error))
    return announces
