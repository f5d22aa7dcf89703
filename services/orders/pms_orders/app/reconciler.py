"""Reconciliation: what the user stream has not told is asked for and told.

Owns the comparison of our live orders with the exchange's open orders, the fetching of their missing trades, and the
account's facts: of everything after every (re)connection, until which no new risk is sent, and every few seconds of
what is in play, because an event can be missed on a connection that lives. What it finds is told with the keys the feed
would have used. Runs beside the feed: reports are monotone, so an older answer changes nothing.
"""

import asyncio
import time
from collections.abc import Iterable

from pms_common import metrics
from pms_common.logging import get_logger
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.exchange_client import ALL_OPEN_ORDERS_WEIGHT, ExchangeClient
from pms_orders.app.account import ExchangeFacts
from pms_orders.app.manager import OrderManager
from pms_orders.app.resolver import Resolver
from pms_orders.domain.order import OrderState
from pms_orders.domain.reducer import Report
from pms_orders.domain.resolution import settled
from pms_orders.domain.table import Kind

log = get_logger(__name__)

AT_ONCE = 10
"""Questions asked at the same time."""
PERIOD_S = 3.0
WEIGHT_PER_S = 10.0
"""A quarter of the venue's 2,400 a minute."""
FACTS_WEIGHT = 10
QUIET_S = 60.0
"""Between two looks at an account with neither orders nor positions: money can be moved by hand."""
LAG_MS = 1_500
"""Queries were seen to lag by 1.1 to 1.5 s behind the engine: what changed since is compared the next time."""

_healed = metrics.counter("reconciliation_healed", "Orders whose news came from a comparison, not from the feed")


class Reconciler:
    """Compares and heals."""

    def __init__(self, manager: OrderManager, resolver: Resolver, rest: ExchangeClient, facts: ExchangeFacts) -> None:
        self._manager = manager
        self._resolver = resolver
        self._rest = rest
        self._facts = facts
        self._facts_s = 0.0

    async def run(self) -> None:
        """Compare everything. Raises `VenueRefused` or `VenueUnreachable`; then it has to be run again."""
        ours = [order for order in self._manager.tracker.live() if order.sent_ms]
        listed = await self._rest.open_orders()
        doubtful = self._compare(ours, listed)
        await self._ask_all(doubtful)
        await self._ask_facts()
        self._facts.tell_all("reconciliation")
        log.info("reconciled", orders=len(ours), asked=len(doubtful))

    async def look_again(self) -> float:
        """Compare what is in play, and nothing where nothing is; the seconds to wait before the next time.

        Raises `VenueRefused` or `VenueUnreachable`.
        """
        calm = [order for order in self._manager.tracker.live() if self._calm(order)]
        symbols = sorted({order.place.symbol for order in calm})
        weight = min(len(symbols), ALL_OPEN_ORDERS_WEIGHT)
        doubtful = self._compare(calm, await self._open_orders(symbols)) if symbols else []
        for order, found in zip(doubtful, await self._ask_all(doubtful), strict=True):
            if found is not None and found.kind is not Kind.FOUND_OPEN:
                _healed.inc()
                log.warning("event_missed", client_order_id=order.client_order_id, found=found.kind)
                self._resolver.stream_missed()
        if symbols or self._facts.exposed or time.monotonic() - self._facts_s > QUIET_S:
            weight += FACTS_WEIGHT
            if await self._ask_facts():
                self._facts.tell_all("reconciliation")
        return max(PERIOD_S, weight / WEIGHT_PER_S)

    def _calm(self, order: OrderState) -> bool:
        """Whether nothing is under way about the order, and nothing was so lately that a query may not know it."""
        if not order.sent_ms or order.flight is not None or order.final or not settled(order):
            return False
        return not 0 <= self._manager.now_ms() - order.updated_ms < LAG_MS

    async def _open_orders(self, symbols: list[str]) -> list[wire.QueriedOrder]:
        if len(symbols) >= ALL_OPEN_ORDERS_WEIGHT:
            return await self._rest.open_orders()
        found: list[wire.QueriedOrder] = []
        for start in range(0, len(symbols), AT_ONCE):
            for page in await asyncio.gather(*map(self._rest.open_orders, symbols[start : start + AT_ONCE])):
                found += page
        return found

    def _compare(self, ours: Iterable[OrderState], listed: list[wire.QueriedOrder]) -> list[OrderState]:
        """Apply what is listed; the orders that are not, or of which executions are missing."""
        by_name = {order.client_order_id: order for order in listed}
        doubtful: list[OrderState] = []
        for order in ours:
            queried = by_name.get(order.client_order_id)
            if queried is None or queried.executed_qty > order.booked:
                doubtful.append(order)
            else:
                self._manager.report([wire.query_report(queried)])
        return doubtful

    async def _ask_all(self, orders: list[OrderState]) -> list[Report | None]:
        found: list[Report | None] = []
        for start in range(0, len(orders), AT_ONCE):
            found += await asyncio.gather(*map(self._ask, orders[start : start + AT_ONCE]))
        return found

    async def _ask(self, order: OrderState) -> Report | None:
        """What the feed has not told of an order; None where it has told its end meanwhile, or nothing is proven."""
        if settled(order) and order.final:
            return None
        found = await self._resolver.ask(order)
        if found is None:  # queries lag behind the engine: only the resolver may conclude
            self._manager.clear_up(order, doubted=True)
        return found

    async def _ask_facts(self) -> bool:
        asked_s = time.monotonic()
        balances, positions = await asyncio.gather(self._rest.balances(), self._rest.positions())
        self._facts_s = asked_s
        return self._facts.replace(balances, positions, asked_s)
