"""Requests that risk ends itself: those that wait for their orders' end, and those whose answer lists several orders.

Owns what such a request waits for, kept in a Redis hash with the outputs that created it, so that a restart goes on
waiting. At most 5 seconds; then the answer says that the outcome is not known yet. Used by the command handlers
(begin), the closings (orders that follow) and the order feed (progress). What the answer says: `results`.
"""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from pms_common.answers import Answers
from pms_common.bus import Outbox
from pms_common.contracts.base import encode
from pms_common.contracts.bus.orders import OrderUpdate
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.decimals import ZERO
from pms_risk.app import results
from pms_risk.app.state import RiskState
from pms_risk.app.wait import Outcome, Wait
from pms_risk.domain.booking import Booking
from pms_risk.domain.position import Position

_decode = msgspec.json.Decoder(Wait).decode
_encode = msgspec.json.Encoder().encode


class Waits:
    """All requests that wait, by request and by order."""

    def __init__(self, state: RiskState, outbox: Outbox, answers: Answers, key: str) -> None:
        self._state = state
        self._outbox = outbox
        self._answers = answers
        self._key = key
        self._by_order: dict[str, list[Wait]] = {}
        self._all: dict[str, Wait] = {}

    def begin(self, wait: Wait) -> None:
        """Wait for the orders of a request, from the stretch in which they are sent."""
        self._remember(wait)
        self._keep(wait)

    def restore(self, stored: Iterable[bytes | str]) -> list[str]:
        """Go on after a restart; the orders that are waited for.

        What their fills came to is told by the database, and by those fills that it does not have: they come again.
        """
        for value in stored:
            wait = _decode(value)
            for outcome in wait.orders.values():
                outcome.commission = outcome.profit = ZERO
            self._remember(wait)
        return list(self._by_order)

    def any_of(self, account_id: str, command: str) -> bool:
        """Whether a command of this type is waited for on behalf of an account."""
        return any(wait.account_id == account_id and wait.command == command for wait in self._all.values())

    def supersede(self, client_order_id: str) -> None:
        """Newer terms are asked for: who waits for older ones is content with any."""
        for wait in self._by_order.get(client_order_id, ()):
            if wait.amends is not None:
                wait.amends.superseded = True
                self._keep(wait)

    def outcomes(self, client_order_id: str) -> list[Outcome]:
        """What is known of an order, in each request that waits for it."""
        return [wait.orders[client_order_id] for wait in self._by_order.get(client_order_id, ())]

    def join(self, name: str, client_order_id: str, item: str, position: Position) -> None:
        """A further order of a request has been sent, to close `position`."""
        wait = self._all.get(name)
        if wait is None:
            return
        if not wait.items[item].position_id:
            wait.items[item].position_id, wait.items[item].side = position.id, position.side
        wait.orders[client_order_id] = Outcome(item=item)
        self._by_order.setdefault(client_order_id, []).append(wait)
        self._keep(wait)

    def took(self, name: str, item: str, quantity: Decimal, price: Decimal, profit: Decimal) -> None:
        """The house has taken over what could not be sent."""
        wait = self._all.get(name)
        if wait is None:
            return
        taken = wait.items[item]
        taken.taken_quantity += quantity
        taken.taken_value += quantity * price
        taken.taken_profit += profit
        self._keep(wait)

    def settle(self, name: str, item: str, error: CommandError | None = None) -> None:
        """No further order follows for one item of a request; `error` says why one could not be sent."""
        wait = self._all.get(name)
        if wait is None:
            return
        settled = wait.items[item]
        settled.open = False
        if error is not None:
            settled.error_code, settled.error = error.code.name, error.message
        self._keep(wait)
        if wait.over:
            self._end(wait)

    def progress(self, update: OrderUpdate, booking: Booking | None) -> None:
        """An order has changed."""
        for wait in list(self._by_order.get(update.order.client_order_id, ())):
            self._progress(wait, wait.orders[update.order.client_order_id], update, booking)

    def _progress(self, wait: Wait, outcome: Outcome, update: OrderUpdate, booking: Booking | None) -> None:
        if outcome.view is None or (update.epoch, update.order.version) >= (outcome.epoch, outcome.view.version):
            outcome.view, outcome.epoch = update.order, update.epoch
        outcome.cause = update.cause
        outcome.error_code, outcome.error = update.error_code or outcome.error_code, update.error or outcome.error
        if booking is not None and update.fill is not None:
            outcome.commission += booking.paid
            outcome.profit += booking.profit
        if wait.over:
            self._end(wait)
        elif outcome.final:
            self._keep(wait)  # nobody tells its end again

    def expire(self) -> None:
        """Answer what has waited too long."""
        now_ms = self._state.now_ms()
        for wait in [wait for wait in self._all.values() if wait.deadline_ms <= now_ms]:
            names = list(wait.orders)
            asked = f"ask for order {names[0]}, or read its events" if names else "read the events of its position"
            error = CommandError(
                ErrorCode.AMBIGUOUS_RESULT, f"No final state yet: {asked}", details={"clientOrderIds": names}
            )
            self._answers.fail(wait.request_id, wait.given_account, wait.command, error, wait.traceparent)
            self._forget(wait)

    def _end(self, wait: Wait) -> None:
        try:
            answer = results.success(self._state, wait)
        except CommandError as error:
            self._answers.fail(wait.request_id, wait.given_account, wait.command, error, wait.traceparent)
        else:
            self._answers.end(wait.request_id, wait.given_account, wait.command, encode(answer), wait.traceparent)
        self._forget(wait)

    def _keep(self, wait: Wait) -> None:
        self._outbox.command("HSET", self._key, wait.name, _encode(wait))

    def _remember(self, wait: Wait) -> None:
        self._all[wait.name] = wait
        for client_order_id in wait.orders:
            self._by_order.setdefault(client_order_id, []).append(wait)

    def _forget(self, wait: Wait) -> None:
        self._outbox.command("HDEL", self._key, wait.name)
        del self._all[wait.name]
        for client_order_id in wait.orders:
            waiting = self._by_order[client_order_id]
            waiting.remove(wait)
            if not waiting:
                del self._by_order[client_order_id]
