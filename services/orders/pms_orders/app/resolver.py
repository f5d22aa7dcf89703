"""The resolver: asks the exchange about orders that are not clear, until they are.

Owns the asking (when and what is proven, `domain.resolution` says). Fills are fetched before an end is told. Never
sends a trading request. Spawn `run`.
"""

import asyncio
from collections.abc import Callable

from pms_common import metrics
from pms_common.contracts.exchange_codes import Outcome
from pms_common.logging import get_logger
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.exchange_client import ExchangeClient, VenueRefused, VenueUnreachable
from pms_orders.app.manager import OrderManager
from pms_orders.domain.errors import judge
from pms_orders.domain.order import OrderState
from pms_orders.domain.reducer import Report
from pms_orders.domain.resolution import Case, conclusion, settled
from pms_orders.domain.table import Kind

log = get_logger(__name__)

AT_ONCE = 10
"""Queries under way at the same time; the weight budget bounds their rate."""
POLL_S = 0.05
CLOCKS_MS = 60_000
"""How far the clock that dated an order's beginning may be ahead of the venue's."""
FORGOTTEN_AFTER_MS = 10_000
"""Past the conclusive moment: an order that was taken and lives must not be told as ended because a query lags."""

_open_cases = metrics.gauge("order_cases", "Orders being cleared up")
_queries = metrics.counter("order_queries", "Queries about single orders", ["found"])


class Resolver:
    """Clears up orders one by one."""

    def __init__(
        self, manager: OrderManager, rest: ExchangeClient, now_ms: Callable[[], int], stream_missed: Callable[[], None]
    ) -> None:
        self._manager = manager
        self._rest = rest
        self._now_ms = now_ms
        self.stream_missed = stream_missed
        _open_cases.set_function(lambda: len(manager.cases))

    async def run(self) -> None:
        """Ask about what is due, until cancelled."""
        while True:
            for case in self._manager.cases:
                if settled(case.order) and not case.doubted:
                    self._manager.cases.close(case)
            due = self._manager.cases.due(self._now_ms())
            if due:
                await asyncio.gather(*(self._clear_up(case) for case in due[:AT_ONCE]))
            else:
                await asyncio.sleep(POLL_S)

    async def _clear_up(self, case: Case) -> None:
        order, asked_ms = case.order, self._now_ms()
        unclear = not settled(order)
        case.again(asked_ms)
        try:
            found = await self.ask(order)
            taken = found is None and not order.final and order.exchange_order_id is not None
            if taken and asked_ms >= case.conclusive_ms + FORGOTTEN_AFTER_MS:
                await self._forgotten(order)
        except (VenueRefused, VenueUnreachable) as error:
            log.warning(
                "order_query_failed",
                client_order_id=order.client_order_id,
                error=str(error),
                traceparent=order.traceparent,
            )
            return
        case.doubted = case.doubted and taken
        _queries.labels(str(found is not None)).inc()
        if taken:
            return
        if found is not None and unclear and settled(order):
            self.stream_missed()  # the query knew what the feed should have told
        is_open = found is not None and found.kind is Kind.FOUND_OPEN
        if found is None or is_open:
            kind = conclusion(order, is_open, asked_ms, case)
            if kind is not None:
                log.info(
                    "order_concluded",
                    client_order_id=order.client_order_id,
                    kind=kind,
                    traceparent=order.traceparent,
                )
                self._manager.conclude(order, kind)

    async def _forgotten(self, order: OrderState) -> None:
        """End an order the exchange took and does not know any more, unless it is listed as open after all.

        The venue forgets orders that ended without an execution after three days (binance-usdm facts, 5.5).
        """
        place = order.place
        for queried in await self._rest.open_orders(place.symbol):
            if queried.order_id == order.exchange_order_id:
                self._manager.report([wire.query_report(queried)])
                return
        assert order.exchange_order_id is not None
        trades = await self._trades_of(order, order.exchange_order_id)
        end = Report(
            Kind.FOUND_CANCELLED,
            place.symbol,
            place.client_order_id,
            order.exchange_order_id,
            self._manager.now_ms(),
            reason="the exchange does not know the order any more",
        )
        self.apply_trades(order, end, trades)
        log.warning("order_forgotten", client_order_id=order.client_order_id, trades=len(trades))
        self._manager.report([end])

    async def ask(self, order: OrderState) -> Report | None:
        """Ask for one order and apply what is found, its missing fills first; None where it is not found."""
        place = order.place
        try:
            queried = await self._rest.order(place.symbol, place.client_order_id)
        except VenueRefused as refusal:
            if judge(refusal.error) is Outcome.GONE:
                return None
            raise
        report = wire.query_report(queried)
        if queried.executed_qty > order.booked:
            self.apply_trades(order, report, await self._trades_of(order, queried.order_id))
        self._manager.report([report])
        return report

    async def _trades_of(self, order: OrderState, number: int) -> list[wire.AccountTrade]:
        return await self._rest.trades_of(order.place.symbol, number, order.created_ms - CLOCKS_MS)

    def apply_trades(self, order: OrderState, found: Report, trades: list[wire.AccountTrade]) -> None:
        """Book the trades that are not known; the one that makes a filled order whole ends it."""
        for trade in sorted(trades, key=lambda trade: trade.id):
            if trade.id in order.trades:
                continue
            completes = found.kind is Kind.FOUND_FILLED and order.booked + trade.qty >= (found.executed or 0)
            report = wire.trade_report(trade, order.client_order_id, completes)
            if completes:  # it ends the order, with the terms it had then: an amendment may have been missed, too
                report.quantity, report.price = found.quantity, found.price
            self._manager.report([report])
