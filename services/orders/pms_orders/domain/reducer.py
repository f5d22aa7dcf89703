"""The reducer: an order and what happened to it → the order after it, and what follows from it.

Owns every change of an order's state, quantities and fills. Pure: no I/O, no clock; what is to be told or fetched comes
back as actions. State moves by `table` only; executed quantity only grows; a fill is booked once by its trade id.
Used by the order manager for the feed, for answers and for queries alike, so the same fact gives the same key.
"""

from dataclasses import dataclass
from decimal import Decimal

from pms_common.contracts.bus.base import FINAL_STATES, OrderStatus
from pms_common.contracts.bus.orders import Cause, Fill
from pms_common.decimals import ZERO
from pms_orders.domain.order import Flight, Operation, OrderState, Terms
from pms_orders.domain.table import TABLE, Kind

_FOUND_ENDED = frozenset({Kind.FOUND_FILLED, Kind.FOUND_CANCELLED, Kind.FOUND_EXPIRED})
_CAUSES: dict[str, Cause] = {
    "placing": "accepted",
    "active": "active",
    "unknown": "unknown",
    "cancelled": "cancelled",
    "expired": "expired",
    "rejected": "rejected",
    "failed": "failed",
}


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
    kind = report.kind
    actions: list[Action] = []
    if order.exchange_order_id is None:
        order.exchange_order_id = report.exchange_order_id
    amended = _take_terms(order, report)
    fill = _book(order, report)
    if report.executed is not None and report.executed > order.executed:
        order.executed = report.executed
    if kind in _FOUND_ENDED and not order.whole:
        actions.append(Heal())  # an end is told after its fills, so the fills come first
        return actions
    _land(order, report)
    before = order.status
    following = _following(order, report, amended, actions)
    if fill is not None:
        order.status = following
        _touch(order, report.event_ms)
        key = f"{report.symbol}:{report.exchange_order_id}:{fill.trade_id}"
        actions.append(Announce(key, "fill", report.event_ms, fill=fill))
    elif following != before:
        order.status = following
        _touch(order, report.event_ms)
        if before != "amending" or following != "active":
            actions.append(_announce_state(order, report))
    if amended and order.status not in FINAL_STATES:
        if fill is None and following == before:
            _touch(order, report.event_ms)
        actions.append(_announce_terms(order, report.event_ms))
    if not order.whole:
        actions.append(Heal())
    return actions


def _take_terms(order: OrderState, report: Report) -> bool:
    """Take price and quantity unless older than those known; whether the report makes an amendment known."""
    if report.quantity is None or report.event_ms < order.terms_ms:
        return False
    changed = report.quantity != order.quantity or (order.price is not None and report.price != order.price)
    order.terms_ms = report.event_ms
    if report.kind is not Kind.AMENDED and not changed:
        return False
    order.quantity = report.quantity
    if order.price is not None and report.price is not None:
        order.price = report.price
    flight = order.flight
    asked = flight is not None and flight.terms == _terms(order)
    return report.kind is Kind.AMENDED or (changed and (asked or report.kind is Kind.FOUND_OPEN))


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


def _land(order: OrderState, report: Report) -> None:
    """End the flight that the report shows to have arrived."""
    flight = order.flight
    if flight is None:
        return
    ends = TABLE[report.kind][order.status].state in FINAL_STATES
    placed = flight.operation is Operation.PLACE
    amended = flight.operation is Operation.AMEND and _terms(order) == flight.terms
    if ends or placed or amended:
        order.flight = None


def _terms(order: OrderState) -> Terms:
    return Terms(order.price or ZERO, order.quantity)


def _following(order: OrderState, report: Report, amended: bool, actions: list[Action]) -> OrderStatus:
    cell = TABLE[report.kind][order.status]
    if cell.odd:
        actions.append(Odd(report.kind, order.status))
    if report.kind is Kind.AMENDED and order.status == "amending" and order.flight is not None:
        return "amending"  # an earlier amendment; a later one is still on its way
    if amended and order.status == "amending" and order.flight is None and cell.state == "amending":
        return "active"  # a query, or a fill, shows the new terms: the amendment's own event was missed
    return cell.state


def _announce_state(order: OrderState, report: Report) -> Announce:
    cause = _CAUSES[order.status] if order.status != "filled" else "fill"
    reason = report.reason
    if cause == "cancelled" and order.cancel_reason:
        reason = order.cancel_reason
    return Announce(f"{order.client_order_id}:{order.status}", cause, report.event_ms, reason=reason)


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
    if flight.operation is Operation.AMEND:
        flight.lost = True
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
