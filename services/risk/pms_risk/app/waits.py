"""Requests that risk ends itself: those that wait for their orders' end, and those whose answer lists several orders.

Owns what such a request waits for, kept in a Redis hash with the outputs that created it, so that a restart goes on
waiting. At most 5 seconds; then the answer says that the outcome is not known yet. Used by the command handlers (begin)
and the order feed (progress).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

import msgspec

from pms_common.answers import Answers
from pms_common.bus import Outbox
from pms_common.contracts.base import PositionSide, encode
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import OrderUpdate, OrderView
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.results import CloseDone, ClosedPosition, CloseTrade, OrderDone, OrderResult
from pms_common.decimals import ZERO
from pms_risk.app.state import RiskState
from pms_risk.domain.booking import Booking
from pms_risk.domain.snapshot import shown

FINAL_WAIT_MS = 5_000
UNDECIDED = ("placing", "unknown")
"""States in which the exchange has not said, or may not have said, that it took the order."""


class Outcome(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of one order of a request: the newest view, by the order service's epoch and its version."""

    view: OrderView | None = None
    epoch: int = 0
    commission: Decimal = ZERO
    profit: Decimal = ZERO
    error_code: str | None = None
    error: str | None = None

    @property
    def final(self) -> bool:
        """Whether the order has ended."""
        return self.view is not None and self.view.state in FINAL_STATES


class Wait(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A request and its orders. `given_account` is the account as the sender gave it, under which it is marked."""

    request_id: str
    given_account: str
    account_id: str
    command: str
    until: Literal["ack", "final"]
    deadline_ms: int
    orders: dict[str, Outcome]
    warnings: tuple[str, ...] = ()
    flipped: bool = False
    position_id: str = ""
    position_side: PositionSide = "LONG"

    @property
    def over(self) -> bool:
        """Whether what it waits for has happened."""
        if self.until == "final":
            return all(outcome.final for outcome in self.orders.values())
        return all(outcome.view is not None and outcome.view.state not in UNDECIDED for outcome in self.orders.values())


_decode = msgspec.json.Decoder(Wait).decode
_encode = msgspec.json.Encoder().encode


class Waits:
    """All requests that wait, by request and by order."""

    def __init__(self, state: RiskState, outbox: Outbox, answers: Answers, key: str) -> None:
        self._state = state
        self._outbox = outbox
        self._answers = answers
        self._key = key
        self._by_order: dict[str, Wait] = {}
        self._all: dict[str, Wait] = {}

    def begin(self, wait: Wait) -> None:
        """Wait for the orders of a request, from the stretch in which they are sent."""
        self._remember(wait)
        self._outbox.command("HSET", self._key, _name(wait), _encode(wait))

    def restore(self, stored: Iterable[bytes | str]) -> list[str]:
        """Go on after a restart; the orders that are waited for."""
        for value in stored:
            self._remember(_decode(value))
        return list(self._by_order)

    def outcome(self, client_order_id: str) -> Outcome | None:
        """What is known of an order that is waited for."""
        wait = self._by_order.get(client_order_id)
        return wait.orders[client_order_id] if wait is not None else None

    def progress(self, update: OrderUpdate, booking: Booking | None) -> None:
        """An order has changed."""
        wait = self._by_order.get(update.order.client_order_id)
        if wait is None:
            return
        outcome = wait.orders[update.order.client_order_id]
        if outcome.view is None or (update.epoch, update.order.version) >= (outcome.epoch, outcome.view.version):
            outcome.view, outcome.epoch = update.order, update.epoch
        outcome.error_code, outcome.error = update.error_code or outcome.error_code, update.error or outcome.error
        if booking is not None and update.fill is not None:
            outcome.commission += update.fill.commission if update.fill.commission_asset == "USDT" else ZERO
            outcome.profit += booking.profit
        if wait.over:
            self._end(wait)

    def expire(self) -> None:
        """Answer what has waited too long."""
        now_ms = self._state.now_ms()
        for wait in [wait for wait in self._all.values() if wait.deadline_ms <= now_ms]:
            names = list(wait.orders)
            error = CommandError(
                ErrorCode.AMBIGUOUS_RESULT,
                f"No final state yet: ask for order {names[0]}, or read its events",
                details={"clientOrderIds": names},
            )
            self._answers.fail(wait.request_id, wait.given_account, wait.command, error)
            self._forget(wait)

    def _end(self, wait: Wait) -> None:
        try:
            answer = self._success(wait)
        except CommandError as error:
            self._answers.fail(wait.request_id, wait.given_account, wait.command, error)
        else:
            self._answers.end(wait.request_id, wait.given_account, wait.command, encode(answer))
        self._forget(wait)

    def _success(self, wait: Wait) -> OrderDone | CloseDone:
        outcomes = list(wait.orders.values())
        _refuse_what_never_traded(wait, outcomes)
        results = tuple([_order_result(outcome, wait.until) for outcome in outcomes])
        if wait.command == "close":
            return self._close_done(wait, outcomes, results)
        last = results[-1]
        return OrderDone(
            **msgspec.structs.asdict(last),
            request_id=wait.request_id,
            warnings=wait.warnings or None,
            flipped=wait.flipped or None,
            orders=results if wait.flipped or len(results) > 1 else None,
        )

    def _close_done(self, wait: Wait, outcomes: list[Outcome], results: tuple[OrderResult, ...]) -> CloseDone:
        account = self._state.account(wait.account_id)
        position = account.position(wait.position_id)
        view = outcomes[-1].view
        assert view is not None
        quantity = sum((o.view.executed_quantity for o in outcomes if o.view is not None), ZERO)
        value = sum(
            (o.view.executed_quantity * o.view.average_price for o in outcomes if o.view and o.view.average_price), ZERO
        )
        trade = None
        if wait.until == "final":
            trade = CloseTrade(
                price=shown(value / quantity),
                quantity=quantity,
                realized_pnl=sum((outcome.profit for outcome in outcomes), ZERO),
                fee=sum((outcome.commission for outcome in outcomes), ZERO),
            )
        return CloseDone(
            request_id=wait.request_id,
            warnings=wait.warnings or None,
            client_order_id=view.client_order_id,
            order_id=view.client_order_id,
            position=ClosedPosition(
                id=wait.position_id,
                symbol=view.symbol,
                side=wait.position_side,
                status="CLOSED" if position is None else "OPEN",
                remaining_qty=abs(position.quantity) if position is not None else ZERO,
            ),
            trade=trade,
            new_balance=account.cash if trade is not None else None,
            orders=results if len(results) > 1 else None,
        )

    def _remember(self, wait: Wait) -> None:
        self._all[_name(wait)] = wait
        for client_order_id in wait.orders:
            self._by_order[client_order_id] = wait

    def _forget(self, wait: Wait) -> None:
        self._outbox.command("HDEL", self._key, _name(wait))
        del self._all[_name(wait)]
        for client_order_id in wait.orders:
            del self._by_order[client_order_id]


def _name(wait: Wait) -> str:
    return f"{wait.given_account}\x1f{wait.request_id}"


def _refuse_what_never_traded(wait: Wait, outcomes: list[Outcome]) -> None:
    """Raise where nothing was executed and the exchange refused, or a close found nothing to trade with."""
    if any(outcome.view is not None and outcome.view.executed_quantity for outcome in outcomes):
        return
    for outcome in outcomes:
        view = outcome.view
        if view is None:
            continue
        details = {"clientOrderId": view.client_order_id, "state": view.state}
        if view.state in ("rejected", "failed"):
            code = ErrorCode[outcome.error_code] if outcome.error_code else ErrorCode.EXCHANGE_REJECTED
            raise CommandError(code, outcome.error, details=details)
        if wait.command == "close" and outcome.final:
            message = f"The close ended {view.state} without an execution; the position is as it was"
            raise CommandError(ErrorCode.EXCHANGE_REJECTED, message, details=details)


def _order_result(outcome: Outcome, until: str) -> OrderResult:
    view = outcome.view
    assert view is not None
    ended = until == "final"
    return OrderResult(
        client_order_id=view.client_order_id,
        order_id=view.client_order_id,
        exchange_order_id=str(view.exchange_order_id) if view.exchange_order_id else None,
        state=view.state,
        symbol=view.symbol,
        side=view.side,
        quantity=view.quantity,
        price=view.price if view.price is not None else view.average_price,
        filled_qty=view.executed_quantity if ended else None,
        avg_fill_price=view.average_price if ended else None,
        fee=outcome.commission if ended else None,
        realized_pnl=outcome.profit if ended else None,
    )
