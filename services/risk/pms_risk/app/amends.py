"""The command amend: new price, new quantity or both of an account's resting limit order.

Owns that the new terms are put to the rules and reserved for before they are asked for, on top of the old ones, and
that what falls free is given back only when the exchange has them (by the order feed). Where the exchange cannot amend,
the order service cancels and places what is left anew. Used by the command inlet.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

from pms_common import ids
from pms_common.bus import Outbox
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.orders import AmendOrder, SymbolSpec
from pms_common.contracts.commands.orders import Amend
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.inlet import Request, Taken
from pms_common.names import Names
from pms_risk.app.approvals import Approvals, Ask
from pms_risk.app.closings import Closings
from pms_risk.app.sizing import Sized, sized
from pms_risk.app.state import RiskState
from pms_risk.app.wait import FINAL_WAIT_MS, Amendment, Outcome, Wait
from pms_risk.app.waits import Waits
from pms_risk.domain.account import Account
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.plan import claim
from pms_risk.domain.reserve import reserve


class Amends:
    """Decides amend."""

    def __init__(
        self,
        state: RiskState,
        approvals: Approvals,
        waits: Waits,
        closings: Closings,
        has_ended: Callable[[str], bool],
        outbox: Outbox,
        names: Names,
    ) -> None:
        self._state = state
        self._approvals = approvals
        self._waits = waits
        self._closings = closings
        self._has_ended = has_ended
        self._outbox = outbox
        self._requests = names.requests("orders")
        self._urgent = names.urgent("orders")

    def amend(self, request: Request) -> Taken:
        """Reserve for the new terms and ask the order service for them."""
        command = request.command
        assert isinstance(command, Amend)
        account, order = self._find(command.client_order_id, command.sub_account_id)
        old_price = self._refuse_unamendable(order)
        spec = self._state.spec(order.symbol)
        size = sized(command.quantity, spec.step_size) if command.quantity is not None else Sized(order.quantity)
        price = command.price if command.price is not None else old_price
        if size.quantity <= order.executed:
            message = f"quantity is the order's total, of which {order.executed} is executed"
            raise CommandError(ErrorCode.VALIDATION_FAILED, message, field="quantity")
        self._reserve(request, account, order, spec, price, size.quantity)
        self._ask(request, order, price, size)
        return Taken.NOW

    def restore(self, amends: Iterable[AmendOrder]) -> None:
        """Reserve again, after a restart, for terms of which the order service has not told the outcome."""
        for amend in amends:
            account = self._state.books.accounts.get(amend.account_id)
            order = account.orders.get(amend.client_order_id) if account is not None else None
            if account is not None and order is not None and order.parent_id is None:
                _raise(account, order, amend.price, amend.quantity, max(order.bound, amend.price))

    def _find(self, order_id: str, given_account: str | None) -> tuple[Account, LiveOrder]:
        for account in self._state.books.accounts.values():
            order = account.orders.get(order_id)
            if order is None:
                continue
            if given_account and given_account != account.id:
                raise CommandError(ErrorCode.OWNERSHIP_FORBIDDEN, field="orderId")
            return account, order
        code = ErrorCode.ORDER_ALREADY_FINAL if self._has_ended(order_id) else ErrorCode.ORDER_NOT_FOUND
        raise CommandError(code, "The order has ended" if code is ErrorCode.ORDER_ALREADY_FINAL else None)

    def _refuse_unamendable(self, order: LiveOrder) -> Decimal:
        """Refuse what a person may not amend; the price that the order has."""
        if order.parent_id is not None:
            raise CommandError(ErrorCode.RISK_REJECTED, "The order belongs to an algo, which alone moves it")
        if order.price is None:
            raise CommandError(ErrorCode.EXCHANGE_INVALID_ORDER, "Only limit orders can be amended")
        if self._closings.way.gives_way(order.client_order_id):
            raise CommandError(ErrorCode.RISK_REJECTED, "The order gives way to a close of its position")
        return order.price

    def _reserve(
        self, request: Request, account: Account, order: LiveOrder, spec: SymbolSpec, price: Decimal, quantity: Decimal
    ) -> None:
        """Put the new terms to the rules as if the order were new, and reserve the larger of both."""
        remaining = quantity - order.executed
        ask = Ask(
            account=account,
            spec=spec,
            side=order.side,
            quantity=remaining,
            leverage=order.leverage,
            order_type="LIMIT",
            price=price,
            reduce_only=order.reduce_only,
            asked_ms=request.entry.ms,
        )
        bound = self._approvals.bound(ask)
        ask.lowers = remaining <= order.remaining and bound <= order.bound
        account.drop_order(order.client_order_id)
        try:
            equity = self._approvals.check(ask)
            claim(account.holding(order.symbol, order.leg), order.side, remaining, order.reduce_only)
            if not ask.lowers:
                reserve(account, [replace(order, quantity=quantity, bound=bound)], equity, self._state.taker_fee)
        finally:
            account.put_order(order)
        _raise(account, order, price, quantity, bound)

    def _ask(self, request: Request, order: LiveOrder, price: Decimal, size: Sized) -> None:
        order_id = order.client_order_id
        kind = ids.ORDER_TYPES["LIMIT"]
        successor = ids.client_order_id(self._state.namespace, order.account_id, kind, request.request_id)
        amend = AmendOrder(
            client_order_id=order_id,
            account_id=order.account_id,
            symbol=order.symbol,
            price=price,
            quantity=size.quantity,
            replace_as=successor,
            traceparent=request.traceparent,
        )
        # in the stream of its order, which it must not overtake
        self._outbox.add(self._urgent if order.reduce_only else self._requests, encode(amend))
        self._waits.supersede(order_id)
        wait = Wait(
            request_id=request.request_id,
            given_account=request.account_id,
            account_id=order.account_id,
            command=request.type,
            until=request.wait_for,
            deadline_ms=self._state.now_ms() + FINAL_WAIT_MS,
            orders={order_id: Outcome(), successor: Outcome()},
            warnings=(*request.warnings, *size.warnings),
            amends=Amendment(order_id=order_id, successor=successor, price=price, quantity=size.quantity),
            traceparent=request.traceparent,
        )
        self._waits.begin(wait)


def _raise(account: Account, order: LiveOrder, price: Decimal, quantity: Decimal, bound: Decimal) -> None:
    """Reserve the larger of what the order has and what is asked for."""
    order.wished_price, order.wished_quantity, order.wished_bound = price, quantity, bound
    quantity, bound = max(order.quantity, quantity), max(order.bound, bound)
    account.change_order(order, quantity=quantity, bound=bound, executed=order.executed)
