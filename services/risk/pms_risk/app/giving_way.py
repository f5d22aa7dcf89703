"""Orders that give way to a close: cancelled, or made smaller, and asked again until they have.

Owns the asking. Which orders give way, and how much they keep, `domain.closing` says. Used by the closings, by what
cancels all orders of an account, and by the exchange's own closes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from pms_common.bus import Outbox
from pms_common.contracts.bus.base import FINAL_STATES, PositionSide, Side, encode
from pms_common.contracts.bus.orders import AmendOrder, CancelOrder, OrderUpdate
from pms_common.decimals import ZERO
from pms_common.names import Names
from pms_risk.app.state import RiskState
from pms_risk.domain.closing import trims
from pms_risk.domain.holding import CLOSING
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.pauses import lasts

ASK_AGAIN_MS = 1_000
"""Before an order is cancelled again that the exchange would not cancel."""
UNHEARD_MS = 10_000
"""After which an order that has not given way is asked again: Redis may have lost the request with its last second."""
GAVE_WAY = "closing"
"""Why an order was cancelled that had to give way to a close."""

SIDES: tuple[Side, Side] = ("BUY", "SELL")


@dataclass(slots=True)
class Asked:
    """An order that gives way: how large it may be (0: it is cancelled), why, and when it is asked again."""

    order: LiveOrder
    quantity: Decimal
    reason: str
    again_ms: int


class GivingWay:
    """The orders that were asked to give way."""

    def __init__(self, state: RiskState, outbox: Outbox, names: Names) -> None:
        self._state = state
        self._outbox = outbox
        self._urgent = names.urgent("orders")
        self._asked: dict[str, Asked] = {}
        """Until they have."""

    def fit(self, account_id: str, symbol: str, leg: PositionSide) -> None:
        """Make resting closers as small as what others leave of a position that the exchange has made smaller."""
        account = self._state.books.accounts[account_id]
        holding = account.holding(symbol, leg)
        for side in SIDES:
            orders = holding.side(side)
            if orders.reduce_only or (orders and side == CLOSING.get(leg)):
                at_once = sum((order.remaining for order in orders if order.order_type != "LIMIT"), ZERO)
                self.trim(orders, holding.closable(side) - at_once, symbol)

    def gives_way(self, client_order_id: str) -> bool:
        """Whether an order was asked to give way to a close."""
        return client_order_id in self._asked

    def cancel(self, order: LiveOrder, reason: str = GAVE_WAY) -> None:
        """Have an order cancelled."""
        self._asked[order.client_order_id] = Asked(order, ZERO, reason, self._state.now_ms() + UNHEARD_MS)
        cancel = CancelOrder(
            client_order_id=order.client_order_id, account_id=order.account_id, symbol=order.symbol, reason=reason
        )
        self._outbox.add(self._urgent, encode(cancel))

    def trim(self, orders: Iterable[LiveOrder], allowed: Decimal, symbol: str) -> None:
        """Have resting orders give way until they claim no more than `allowed`."""
        for trim in trims(orders, allowed, self._state.specs.get(symbol)):
            asked = self._asked.get(trim.order.client_order_id)
            if asked is None or asked.quantity > trim.order.executed + trim.keep:
                self._ask_way(trim.order, trim.keep)

    def _ask_way(self, order: LiveOrder, keep: Decimal, reason: str = GAVE_WAY) -> None:
        if not keep or order.price is None:
            self.cancel(order, reason)
            return
        quantity = order.executed + keep
        self._asked[order.client_order_id] = Asked(order, quantity, reason, self._state.now_ms() + UNHEARD_MS)
        amend = AmendOrder(
            client_order_id=order.client_order_id,
            account_id=order.account_id,
            symbol=order.symbol,
            price=order.price,
            quantity=quantity,
        )
        self._outbox.add(self._urgent, encode(amend))

    def progress(self, update: OrderUpdate) -> None:
        """An order has changed: it may have given way, or the exchange has refused that."""
        order_id, final = update.order.client_order_id, update.order.state in FINAL_STATES
        asked = self._asked.get(order_id)
        if asked is None:
            return
        if final or (asked.quantity and update.cause == "amended"):
            del self._asked[order_id]
        elif asked.quantity and update.cause == "amend_failed":
            self.cancel(asked.order, asked.reason)
        elif not asked.quantity and update.cause == "cancel_failed":
            asked.again_ms = self._state.now_ms() + ASK_AGAIN_MS

    def tend(self) -> None:
        """Forget who has given way unheard; ask again who has not."""
        now_ms = self._state.now_ms()
        for order_id, asked in list(self._asked.items()):
            account = self._state.books.accounts.get(asked.order.account_id)
            gone = account is None or account.orders.get(order_id) is not asked.order
            if gone or (asked.quantity and asked.order.quantity <= asked.quantity):
                del self._asked[order_id]  # it has ended, or was made smaller, unheard
            elif not lasts(asked.again_ms, now_ms, UNHEARD_MS):
                self._ask_way(asked.order, max(ZERO, asked.quantity - asked.order.executed), asked.reason)
