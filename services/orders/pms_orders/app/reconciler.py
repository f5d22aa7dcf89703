"""Reconciliation: after every (re)connection of the user stream, what was missed is asked for and told.

Owns the comparison of our live orders with the exchange's open orders, the fetching of their missing trades, and the
account's facts. What it finds is told with the keys the feed would have used. Runs beside the feed: reports are
monotone, so an older answer changes nothing. Until it is done no new risk is sent.
"""

import asyncio

from pms_common.logging import get_logger
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.exchange_client import ExchangeClient
from pms_orders.app.account import ExchangeFacts
from pms_orders.app.manager import OrderManager
from pms_orders.app.resolver import Resolver
from pms_orders.domain.order import OrderState
from pms_orders.domain.resolution import settled

log = get_logger(__name__)


AT_ONCE = 10
"""Orders asked about at the same time."""


class Reconciler:
    """Compares and heals."""

    def __init__(self, manager: OrderManager, resolver: Resolver, rest: ExchangeClient, facts: ExchangeFacts) -> None:
        self._manager = manager
        self._resolver = resolver
        self._rest = rest
        self._facts = facts

    async def run(self) -> None:
        """One reconciliation. Raises `VenueRefused` or `VenueUnreachable`; then it has to be run again."""
        ours = [order for order in self._manager.tracker.live() if order.sent_ms]
        listed = {order.client_order_id: order for order in await self._rest.open_orders()}
        doubtful: list[OrderState] = []
        for order in ours:
            queried = listed.pop(order.client_order_id, None)
            if queried is None or queried.executed_qty > order.booked:
                doubtful.append(order)
            else:
                self._manager.report([wire.query_report(queried)])
        for start in range(0, len(doubtful), AT_ONCE):
            await asyncio.gather(*(self._ask(order) for order in doubtful[start : start + AT_ONCE]))
        self._facts.replace(await self._rest.balances(), await self._rest.positions())
        log.info("reconciled", orders=len(ours), asked=len(doubtful), foreign=len(listed))

    async def _ask(self, order: OrderState) -> None:
        if settled(order) and order.final:
            return  # the feed has told its end meanwhile
        found = await self._resolver.ask(order)
        if found is None:  # queries lag behind the engine: only the resolver may conclude
            self._manager.cases.open(order, self._manager.now_ms())
