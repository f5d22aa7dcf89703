"""A start: the books from PostgreSQL, reservations from what is approved and not taken, and the order service's word.

Owns the sequence of a start. Used by `main`.
"""

from collections.abc import Sequence

from pms_common.bus import Bus
from pms_common.contracts.bus.orders import PlaceOrder
from pms_common.decimals import ZERO
from pms_common.logging import get_logger
from pms_risk.adapters.postgres.store import Store
from pms_risk.adapters.unconsumed import approved
from pms_risk.app.state import RiskState
from pms_risk.app.waits import Waits
from pms_risk.domain.activity import DAY_MS
from pms_risk.domain.orders import LiveOrder

log = get_logger(__name__)


class Start:
    """Brings the service to where it was."""

    def __init__(self, state: RiskState, store: Store, bus: Bus, approved_streams: Sequence[str]) -> None:
        self._state = state
        self._store = store
        self._bus = bus
        self._approved_streams = approved_streams

    async def load(self) -> None:
        """The books and trading states from the database."""
        await self._store.load_books(self._state.books)
        now_ms = self._state.now_ms()
        await self._store.load_results(self._state.books, now_ms - now_ms % DAY_MS)
        await self._store.load_gates(self._state.gates)
        log.info("books_loaded", accounts=len(self._state.books.accounts))

    async def reserve(self) -> None:
        """Reserve for approved orders that the order service has not acknowledged; before its updates are read."""
        orders = await approved(self._bus.redis, self._approved_streams)
        for placed in orders:
            account = self._state.books.accounts.get(placed.account_id)
            if account is not None:
                account.put_order(_reservation(placed))
        log.info("reserved_again", orders=len(orders))

    async def resume_waits(self, waits: Waits, key: str) -> None:
        """Go on waiting for the orders of requests that were waiting, with what their fills came to so far."""
        waiting = waits.restore(await self._bus.redis.hvals(key))
        for order_id, executed in (await self._store.executed(waiting)).items():
            for outcome in waits.outcomes(order_id):
                outcome.commission, outcome.profit = executed.commission, executed.profit


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
