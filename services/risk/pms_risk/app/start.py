"""A start: the books from PostgreSQL, reservations from what is approved and not taken, and the order service's word.

Owns the sequence, and the reservations of orders that were approved before the start and of which nothing was heard
since: they are released once their entry is acknowledged, because whoever acknowledged them has told the rest.
Used by `main`.
"""

import asyncio

import msgspec

from pms_common.bus import Bus
from pms_common.contracts.bus.orders import PlaceOrder, order_work
from pms_common.decimals import ZERO
from pms_common.logging import get_logger
from pms_common.names import Names
from pms_risk.adapters.postgres.store import Store
from pms_risk.adapters.unconsumed import unconsumed
from pms_risk.app.state import RiskState
from pms_risk.app.updates import OrdersUpdates
from pms_risk.app.waits import Waits
from pms_risk.domain.orders import LiveOrder

log = get_logger(__name__)

ASK_AGAIN_S = 2.0
"""Between two requests for a snapshot, while nobody answers."""
SWEEP_S = 5.0


class Start:
    """Brings the service to where it was."""

    def __init__(self, state: RiskState, store: Store, bus: Bus, names: Names) -> None:
        self._state = state
        self._store = store
        self._bus = bus
        self._streams = (names.requests("orders"), names.urgent("orders"))
        self._silent: set[tuple[str, str]] = set()

    async def load(self) -> None:
        """The books and trading states from the database."""
        await self._store.load_books(self._state.books)
        await self._store.load_gates(self._state.gates)
        log.info("books_loaded", accounts=len(self._state.books.accounts))

    async def reserve(self) -> None:
        """Reserve for approved orders that the order service has not acknowledged; before its updates are read."""
        for placed in await self._approved():
            account = self._state.books.accounts.get(placed.account_id)
            if account is not None and placed.client_order_id not in account.orders:
                account.put_order(_reservation(placed))
                self._silent.add((placed.account_id, placed.client_order_id))
        log.info("reserved_again", orders=len(self._silent))

    async def resume_waits(self, waits: Waits, key: str) -> None:
        """Go on waiting for the orders of requests that were waiting, with what their fills came to so far."""
        waiting = waits.restore(await self._bus.redis.hvals(key))
        for order_id, executed in (await self._store.executed(waiting)).items():
            outcome = waits.outcome(order_id)
            if outcome is not None:
                outcome.commission, outcome.profit = executed.commission, executed.profit

    async def hear(self, updates: OrdersUpdates) -> None:
        """Ask the order service for everything until it has answered."""
        while not updates.completed.is_set():
            updates.ask_snapshot()
            try:
                async with asyncio.timeout(ASK_AGAIN_S):
                    await updates.completed.wait()
            except TimeoutError:
                log.warning("order_service_silent")

    async def sweep(self) -> None:
        """Release, one by one, what was reserved again and is acknowledged without a word since."""
        while self._silent:
            await asyncio.sleep(SWEEP_S)
            there = {(placed.account_id, placed.client_order_id) for placed in await self._approved()}
            for account_id, order_id in list(self._silent):
                order = self._state.books.accounts[account_id].orders.get(order_id)
                if order is not None and order.view is None and (account_id, order_id) in there:
                    continue
                self._silent.discard((account_id, order_id))
                if order is not None and order.view is None:
                    log.info("reservation_released", client_order_id=order_id)
                    self._state.books.accounts[account_id].drop_order(order_id)

    async def _approved(self) -> list[PlaceOrder]:
        found = []
        for stream in self._streams:
            for data in (await unconsumed(self._bus.redis, stream, "orders")).values():
                try:
                    work = order_work.decode(data)
                except msgspec.DecodeError:
                    continue  # not ours to judge: the order service sends it to the dead stream
                if isinstance(work, PlaceOrder):
                    found.append(work)
        return found


def _reservation(placed: PlaceOrder) -> LiveOrder:
    capped = placed.notional_cap / placed.quantity if placed.notional_cap is not None else ZERO
    return LiveOrder(
        client_order_id=placed.client_order_id,
        account_id=placed.account_id,
        symbol=placed.symbol,
        leg=placed.position_side,
        side=placed.side,
        order_type=placed.order_type,
        reduce_only=placed.reduce_only,
        quantity=placed.quantity,
        price=placed.price,
        bound=max(capped, placed.price or ZERO),
        leverage=placed.leverage,
        origin=placed.origin,
        parent_id=placed.parent_id,
        approved_ms=placed.approved_ms,
    )
