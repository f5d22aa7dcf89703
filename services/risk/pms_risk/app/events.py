"""Public events of orders and positions, each with the account after it.

Owns which event a change of an order or a position makes, and its key: derived from the cause, so that a replay makes
the same key and the gateway drops the repeat. Decides nothing. Used by the order feed.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from pms_common.bus import UpdatesWriter
from pms_common.contracts.account import AccountSnapshot
from pms_common.contracts.base import encode
from pms_common.contracts.bus.common import PublicEvent
from pms_common.contracts.bus.orders import Fill, OrderUpdate, OrderView
from pms_common.contracts.events import Event
from pms_common.contracts.events.orders import (
    OrderActive,
    OrderCancelled,
    OrderFailed,
    OrderFilled,
    OrderPartial,
    OrderPlaced,
)
from pms_common.contracts.events.positions import PositionClosed, PositionReduced, PositionUpdated
from pms_risk.domain.account import Account
from pms_risk.domain.booking import Booking
from pms_risk.domain.execution import Step
from pms_risk.domain.maintenance import Brackets
from pms_risk.domain.snapshot import liquidation_price, shown

_VENUE_STATUS = {"cancelled": "CANCELED", "expired": "EXPIRED", "rejected": "REJECTED", "failed": "FAILED"}


class Events:
    """Writes public events to risk's updates stream."""

    def __init__(self, updates: UpdatesWriter, brackets: Brackets) -> None:
        self._updates = updates
        self._brackets = brackets

    def tell(self, key: str, event: Event, traceparent: str = "") -> None:
        """Publish one event under its key, with the trace context of what caused it."""
        self._updates.publish(
            PublicEvent(
                epoch=0,
                n=0,
                key=key,
                account_id=event.sub_account_id,
                type=str(event.__struct_config__.tag),
                payload=msgspec.Raw(encode(event)),
                traceparent=traceparent,
            )
        )

    def placed(self, update: OrderUpdate, price: Decimal) -> None:
        """The exchange has the order."""
        view = update.order
        fields = _order_fields(update, price)
        event = OrderPlaced(**fields, notional=view.quantity * price, leverage=int(view.leverage))
        self.tell(f"{view.client_order_id}:order_placed", event, view.traceparent)

    def active(self, update: OrderUpdate, price: Decimal) -> None:
        """It rests, or rests anew."""
        self.tell(f"{update.key}:order_active", OrderActive(**_order_fields(update, price)), update.order.traceparent)

    def filled(self, update: OrderUpdate, price: Decimal, account: AccountSnapshot) -> None:
        """One execution, or the end of an order that was filled."""
        view, fields = update.order, _order_fields(update, price)
        if view.state == "filled":
            key = f"{view.client_order_id}:order_filled"
            self.tell(key, OrderFilled(**fields, account=account), view.traceparent)
        else:
            self.tell(f"{update.key}:order_partial", OrderPartial(**fields, account=account), view.traceparent)

    def cancelled(self, update: OrderUpdate, price: Decimal, account: AccountSnapshot) -> None:
        """It ended without being filled."""
        reason = update.reason or _VENUE_STATUS[update.order.state]
        event = OrderCancelled(**_order_fields(update, price), reason=reason, account=account)
        self.tell(f"{update.key}:order_cancelled", event, update.order.traceparent)

    def failed(self, update: OrderUpdate, price: Decimal) -> None:
        """The exchange never had it."""
        event = OrderFailed(
            **_order_fields(update, price),
            error=update.error or update.reason or "The exchange refused the order",
            error_code=update.error_code or "EXCHANGE_REJECTED",
        )
        self.tell(f"{update.key}:order_failed", event, update.order.traceparent)

    def positions(self, occasion: "Occasion", booking: Booking, account: Account, snapshot: AccountSnapshot) -> None:
        """What an execution or a takeover did to its owner's position."""
        for step in booking.own_steps:
            event = _position_event(occasion, step, account, snapshot, self._brackets)
            self.tell(f"{occasion.key}:{event.__struct_config__.tag}:{step.position.id}", event, occasion.traceparent)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What moved positions, as their events name it."""

    key: str
    reason: str
    price: Decimal
    at_ms: int
    traceparent: str = ""


def occasion_of(update: OrderUpdate, fill: Fill, booking: Booking) -> Occasion:
    """An execution as the occasion of what it moved."""
    view = update.order
    return Occasion(update.key, _reason(view, booking.flipped), fill.price, update.event_ms, view.traceparent)


def _order_fields(update: OrderUpdate, price: Decimal) -> dict[str, Any]:
    view, fill = update.order, update.fill
    return {
        "sub_account_id": view.account_id,
        "timestamp_ms": update.event_ms,
        "client_order_id": view.client_order_id,
        "order_id": view.client_order_id,
        "exchange_order_id": str(view.exchange_order_id) if view.exchange_order_id else None,
        "symbol": view.symbol,
        "side": view.side,
        "order_type": view.order_type,
        "quantity": view.quantity,
        "price": price,
        "state": view.state,
        "filled_qty": view.executed_quantity,
        "avg_fill_price": view.average_price,
        "last_fill_price": fill.price if fill is not None else None,
        "last_fill_qty": fill.quantity if fill is not None else None,
        "fee": fill.commission if fill is not None else None,
        "fee_asset": fill.commission_asset if fill is not None else None,
        "reduce_only": view.reduce_only,
        "origin": view.origin,
        "parent_id": view.parent_id,
        "suppress_toast": view.parent_id is not None,
    }


def _reason(order: OrderView, flipped: bool) -> str:
    if flipped:
        return "FLIP"
    if order.command == "limit_close":
        return "LIMIT_CLOSE"
    if order.origin == "LIQUIDATION":
        return order.command
    return "TRAIL_STOP" if order.origin == "TRAIL_STOP" else "CLOSE"


def _position_event(
    occasion: Occasion, step: Step, account: Account, snapshot: AccountSnapshot, brackets: Brackets
) -> PositionClosed | PositionReduced | PositionUpdated:
    position = step.position
    fields: dict[str, Any] = {
        "sub_account_id": account.id,
        "timestamp_ms": occasion.at_ms,
        "position_id": position.id,
        "symbol": position.symbol,
        "side": step.side,
        "account": snapshot,
    }
    if step.kind == "closed":
        return PositionClosed(
            **fields,
            realized_pnl=step.profit,
            new_balance=account.cash,
            reason=occasion.reason,
            close_price=occasion.price,
        )
    if step.kind == "reduced":
        return PositionReduced(
            **fields,
            closed_qty=step.quantity,
            remaining_qty=abs(position.quantity),
            realized_pnl=step.profit,
            new_balance=account.cash,
            reason=occasion.reason,
        )
    return PositionUpdated(
        **fields,
        entry_price=shown(position.entry_price),
        quantity=abs(position.quantity),
        notional=shown(position.notional),
        leverage=int(position.leverage),
        margin=shown(position.margin),
        liquidation_price=liquidation_price(account, position, brackets),
    )
