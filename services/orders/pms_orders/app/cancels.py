"""The public commands `cancel` and `cancel_all`.

Owns their answers: the final state as the feed or a query decided it, never the acknowledgement; after 5 s without one,
AMBIGUITY saying how to ask. Uses the manager for the cancelling itself. Asks algos to end theirs.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.answers import Answers
from pms_common.bus import Outbox
from pms_common.contracts.base import Wire, encode
from pms_common.contracts.bus.algos import ControlAlgos
from pms_common.contracts.bus.base import encode as encode_message
from pms_common.contracts.commands.orders import Cancel, CancelAll
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.results import CancelAllDone, failure
from pms_common.contracts.traceparent import told
from pms_common.db import DATABASE_ERRORS
from pms_common.inlet import CommandInlet, Request, Taken
from pms_common.logging import get_logger
from pms_common.marks import Marks
from pms_common.names import Names
from pms_orders.adapters.journal import Journal
from pms_orders.adapters.recall import find_one
from pms_orders.app.manager import OrderManager
from pms_orders.app.publisher import order_done
from pms_orders.app.watchers import Ended
from pms_orders.domain.gates import Gates
from pms_orders.domain.order import OrderState, exchange_number
from pms_orders.domain.reducer import Announce

log = get_logger(__name__)

WAIT_S = 5.0
_CANCELLED = frozenset({"cancelled", "expired"})

Spawn = Callable[[Coroutine[Any, Any, None], str], object]


class Cancels:
    """Decides `cancel` and `cancel_all` for the command inlet."""

    def __init__(
        self,
        manager: OrderManager,
        gates: Gates,
        inlet: CommandInlet,
        answers: Answers,
        journal: Journal,
        marks: Marks,
        engine: AsyncEngine,
        spawn: Spawn,
        outbox: Outbox,
        names: Names,
    ) -> None:
        self._manager = manager
        self._gates = gates
        self._inlet = inlet
        self._answers = answers
        self._journal = journal
        self._marks = marks
        self._engine = engine
        self._spawn = spawn
        self._outbox = outbox
        self._algos = names.requests("algos")
        self._loop = asyncio.get_running_loop()

    # -- cancel

    def cancel(self, request: Request) -> Taken:
        """Cancel one order, named by client or exchange order id."""
        command = request.command
        assert isinstance(command, Cancel)
        order_id = command.client_order_id or ""
        order = self._find(order_id)
        if order is None:
            self._manager.bury(order_id)  # should it still arrive, it is not sent
            self._spawn(self._look_up(request, order_id), "cancel_look_up")
        else:
            _check_owner(request, order)
            self._loop.call_soon(self._cancel, request, order)
        return Taken.LATER

    def _find(self, order_id: str) -> OrderState | None:
        order = self._manager.tracker.find(order_id)
        if order is None and (number := exchange_number(order_id)) is not None:
            order = self._manager.tracker.find_by_exchange_id(number)
        return order

    async def _look_up(self, request: Request, order_id: str) -> None:
        """Only the journal may know an order that ended long ago, or it has arrived while the journal was asked."""
        try:
            order = await self._journalled(order_id)
            order = self._find(order_id) or order
            if order is None:
                raise CommandError(ErrorCode.ORDER_NOT_FOUND, details={"orderId": order_id})
            _check_owner(request, order)
            self._cancel(request, self._manager.tracker.find(order.client_order_id) or order)
        except CommandError as error:
            self._end(request, error)

    async def _journalled(self, order_id: str) -> OrderState | None:
        try:
            return await find_one(self._engine, order_id)
        except DATABASE_ERRORS as error:
            log.warning("journal_not_readable", error=str(error))
            text = "The order is not among those of late, and the journal cannot be asked now."
            raise CommandError(ErrorCode.INFRA_NOT_READY, text) from error

    def _cancel(self, request: Request, order: OrderState) -> None:
        if order.final:
            self._answer(request, order)
            return
        order.traceparent = request.traceparent or order.traceparent
        if request.wait_for == "ack":
            self._manager.cancel(order, "requested")
            self._tell_early(request, order)
            return
        wait = _Wait(self, request, order)
        self._manager.watchers.watch(order, wait.ended)
        wait.timer = self._loop.call_later(WAIT_S, wait.too_late)
        self._manager.cancel(order, "requested")

    def answer(self, request: Request, order: OrderState, refused: Announce | None) -> None:
        """The cancel has an outcome."""
        if refused is None:
            self._answer(request, order)
            return
        code = ErrorCode[refused.error_code or ErrorCode.EXCHANGE_REJECTED.name]
        self._end(request, CommandError(code, refused.error, details=_details(order)))

    def answer_too_late(self, request: Request, order: OrderState) -> None:
        """No outcome in time."""
        text = (
            f"The cancel of {order.client_order_id} is on its way and its outcome not known yet;"
            " a cancel with a new request id, or the order's events, tell it."
        )
        self._tell_early(request, CommandError(ErrorCode.AMBIGUOUS_RESULT, text, details=_details(order)))

    def forget(self, order: OrderState, ended: Ended) -> None:
        """Nobody waits for this order any more."""
        self._manager.watchers.unwatch(order, ended)

    def _answer(self, request: Request, order: OrderState) -> None:
        if order.status in _CANCELLED:
            self._end(request, order)
            return
        text = f"The order has ended already: it is {order.status}."
        self._end(request, CommandError(ErrorCode.ORDER_ALREADY_FINAL, text, details=_details(order)))

    def _end(self, request: Request, outcome: OrderState | CommandError) -> None:
        self._answers.end(request.request_id, request.account_id, request.type, _body(request, outcome))
        self._inlet.acknowledge(request, outcome if isinstance(outcome, CommandError) else None)

    def _tell_early(self, request: Request, outcome: OrderState | CommandError | CancelAllDone) -> None:
        """Answer now. The request ends when the journal has its cancels: until then a successor carries it out anew."""
        body = _body(request, outcome)
        self._answers.tell(request.request_id, request.account_id, request.type, body)
        self._journal.then(partial(self._close, request, body))

    def _close(self, request: Request, body: bytes) -> None:
        self._marks.end(request.account_id, request.request_id, body)
        self._inlet.acknowledge(request)

    # -- cancel_all

    def cancel_all(self, request: Request) -> Taken:
        """Cancel an account's orders (on one symbol), algo children only where asked; what is on its way to us, too."""
        command = request.command
        assert isinstance(command, CancelAll)
        account_id, symbol = request.account_id, command.symbol or ""
        self._gates.raise_barrier(account_id, symbol, command.include_algos, request.entry.ms)
        if command.include_algos:
            self._end_algos(request, symbol)
        orders = [
            order
            for order in self._manager.tracker.of_account(account_id)
            if (not symbol or order.place.symbol == symbol) and (command.include_algos or order.place.parent_id is None)
        ]
        self._spawn(self._cancel_them(request, orders), "cancel_all")
        return Taken.LATER

    def _end_algos(self, request: Request, symbol: str) -> None:
        """Told as work, which waits for algos that are down, and before the ends of their orders."""
        token = f"cancel_all:{request.request_id}"
        stop = ControlAlgos(
            token=token, account_id=request.account_id, symbol=symbol, action="stop", reason="cancelled"
        )
        self._outbox.add(self._algos, encode_message(stop))

    async def _cancel_them(self, request: Request, orders: list[OrderState]) -> None:
        await self._cancelled([order for order in orders if not order.final], request.traceparent)
        cancelled = sum(order.status in _CANCELLED for order in orders)
        done = CancelAllDone(
            request_id=request.request_id,
            cancelled=cancelled,
            failed=len(orders) - cancelled,
            total=len(orders),
            warnings=request.warnings or None,
        )
        self._tell_early(request, done)

    async def _cancelled(self, orders: list[OrderState], traceparent: str = "") -> None:
        """Cancel these and wait for their ends, `WAIT_S` at most."""
        waiting, all_ended = set(orders), asyncio.Event()

        def ended(order: OrderState, _refused: Announce | None) -> None:
            waiting.discard(order)
            if not waiting:
                all_ended.set()

        for order in orders:
            order.traceparent = traceparent or order.traceparent
            self._manager.watchers.watch(order, ended)
            self._manager.cancel(order, "requested")
        if waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(all_ended.wait(), WAIT_S)
        for order in waiting:
            self._manager.watchers.unwatch(order, ended)


class _Wait:
    """One cancel that waits for its order's end."""

    def __init__(self, cancels: Cancels, request: Request, order: OrderState) -> None:
        self._cancels, self._request, self._order = cancels, request, order
        self.timer: asyncio.TimerHandle | None = None

    def ended(self, order: OrderState, refused: Announce | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self._cancels.answer(self._request, order, refused)

    def too_late(self) -> None:
        self._cancels.forget(self._order, self.ended)
        self._cancels.answer_too_late(self._request, self._order)


def _check_owner(request: Request, order: OrderState) -> None:
    if request.account_id and request.account_id != order.place.account_id:
        raise CommandError(ErrorCode.OWNERSHIP_FORBIDDEN)


def _body(request: Request, outcome: OrderState | CommandError | CancelAllDone) -> bytes:
    result: Wire
    if isinstance(outcome, CommandError):
        result = failure(outcome, request.request_id, request.warnings)
    elif isinstance(outcome, CancelAllDone):
        result = outcome
    else:
        result = order_done(outcome, request.request_id, ended=True, warnings=request.warnings)
    return told(encode(result), request.traceparent)


def _details(order: OrderState) -> dict[str, Any]:
    return {
        "state": order.status,
        "clientOrderId": order.client_order_id,
        "filledQty": float(order.executed),
        "quantity": float(order.quantity),
    }
