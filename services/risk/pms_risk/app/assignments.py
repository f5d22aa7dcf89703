"""Executions that nobody knew the owner of, given to an account by an operator.

Owns the requests under way: the database says which executions of the order the house holds. Each is assigned once,
whatever is repeated. Used by the operators' account commands; spawn `run`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.logging import get_logger
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.events import Events, Occasion
from pms_risk.app.state import RiskState
from pms_risk.domain.account import Account
from pms_risk.domain.assignment import Held, assign
from pms_risk.domain.snapshot import snapshot

log = get_logger(__name__)

Find = Callable[[str, int], Awaitable[Sequence[Held]]]
"""(symbol, exchange order id) → its executions that the house holds."""
IsAssigned = Callable[[str, int, str], Awaitable[bool]]
"""(symbol, exchange order id, account id) → whether the account has its executions already."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order's executions for an account; `done` or `refuse` ends the request."""

    account: Account
    symbol: str
    exchange_order_id: int
    done: Callable[[], None]
    refuse: Callable[[CommandError], None]


class Assignments:
    """Assigns one order after the other."""

    def __init__(self, state: RiskState, journal: Journal, events: Events, find: Find, is_assigned: IsAssigned) -> None:
        self._state = state
        self._journal = journal
        self._events = events
        self._find = find
        self._is_assigned = is_assigned
        self._queue: asyncio.Queue[Wanted] = asyncio.Queue()  # bounded by the consumer's max_unacked

    def ask(self, wanted: Wanted) -> None:
        """Have the order assigned as soon as the database has answered."""
        self._queue.put_nowait(wanted)

    async def run(self) -> None:
        """Assign until cancelled; it raises what keeps it from that."""
        while True:
            wanted = await self._queue.get()
            await self._journal.committed()  # what was booked or assigned a moment ago is found, too
            found = await self._find(wanted.symbol, wanted.exchange_order_id)
            if not found and not await self._is_assigned(wanted.symbol, wanted.exchange_order_id, wanted.account.id):
                name = f"{wanted.symbol} {wanted.exchange_order_id}"
                message = f"The house holds no execution of order {name}"
                wanted.refuse(CommandError(ErrorCode.ORDER_NOT_FOUND, message, field="exchangeOrderId"))
                continue
            for held in found:
                self._assign(wanted.account, held)
            wanted.done()

    def _assign(self, account: Account, held: Held) -> None:
        booking = assign(self._state.books, account, held)
        self._journal.booking(booking, held.at_ms)
        occasion = Occasion(booking.reference, "ASSIGNED", held.price, held.at_ms)
        self._events.positions(occasion, booking, account, snapshot(account, self._state.prices.mark))
        log.warning("execution_assigned", account_id=account.id, reference=held.reference, quantity=str(held.quantity))
