"""The session with the exchange: the user stream's events to the manager, and a reconciliation after every gap.

Owns when the order service knows the truth (`reconciled`), when its consumer may begin, and when the truth is looked at
again. Uses the manager, the reconciliation and readiness; never touches an order itself.
"""

import asyncio
from collections.abc import Callable

from redis.exceptions import RedisError

from pms_common import metrics
from pms_common.db import DATABASE_ERRORS
from pms_common.logging import get_logger
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.exchange_client import VenueRefused, VenueUnreachable
from pms_orders.adapters.binance.user_socket import Batch
from pms_orders.app.account import ExchangeFacts
from pms_orders.app.foreign import ForeignOrders
from pms_orders.app.fundings import Fundings
from pms_orders.app.manager import OrderManager
from pms_orders.app.readiness import Readiness
from pms_orders.app.reconciler import Reconciler
from pms_orders.domain.foreign import Execution
from pms_orders.domain.reducer import Report

log = get_logger(__name__)

RETRY_S = 1.0
LOOK_AFTER_FAILURE_S = 5.0

NOT_NOW = (VenueRefused, VenueUnreachable, RedisError, *DATABASE_ERRORS)
"""What passes: somebody who has to be asked does not answer."""

_margin_calls = metrics.counter("margin_calls", "Warnings of the exchange that the pooled account nears liquidation")
_unknown = metrics.counter("user_stream_unknown_executions", "Order events of an execution type that is not known")


class Session:
    """Hears the user stream."""

    def __init__(
        self,
        manager: OrderManager,
        reconciler: Reconciler,
        facts: ExchangeFacts,
        foreign: ForeignOrders,
        fundings: Fundings,
        readiness: Readiness,
    ) -> None:
        self._manager = manager
        self._foreign = foreign
        self._fundings = fundings
        self._reconciler = reconciler
        self._facts = facts
        self._readiness = readiness
        self.on_reconfigured: Callable[[], None] | None = None
        """Told that the account's settings at the exchange were changed."""
        self._gap = asyncio.Event()
        self._connected = False
        self.reconciled_once = asyncio.Event()

    def hear(self, batch: Batch) -> None:
        """Events that arrived together."""
        reports: list[Report] = []
        for event in batch:
            if type(event) is wire.OrderTradeUpdate:
                self._hear_order(event, reports)
            elif type(event) is wire.TradeLite:
                self._manager.hint(event.symbol, event.exchange_order_id, event.client_order_id, event.trade_id)
            elif type(event) is wire.AccountUpdate:
                self._manager.report(reports)
                reports = []
                self._facts.change(event)
            elif type(event) is wire.AccountConfigUpdate:
                if self.on_reconfigured is not None:
                    self.on_reconfigured()
            elif type(event) is wire.MarginCall:
                _margin_calls.inc()
                log.error("margin_call")
        if reports:
            self._manager.report(reports)

    def _hear_order(self, event: wire.OrderTradeUpdate, reports: list[Report]) -> None:
        report, order = wire.feed_report(event), event.order
        fill = None if report is None else report.fill
        if fill is not None:
            signed = fill.quantity if order.side == "BUY" else -fill.quantity
            self._facts.executed(order.symbol, order.position_side, signed)
        if report is None:
            _unknown.inc()
            log.warning("execution_type_unknown", execution=order.execution)
        elif self._manager.tracker.find_reported(report.symbol, report.exchange_order_id, report.client_order_id):
            reports.append(report)
        else:
            execution = None
            if fill is not None:
                number = report.exchange_order_id
                execution = Execution(report.symbol, number, order.side, order.position_side, fill)
            self._foreign.hear(report, execution)

    def connected(self, ok: bool, why: str) -> None:
        """The user stream is there, or is not and events may be missed."""
        self._connected = ok
        self._readiness.set("user_stream", ok, why)
        if not ok:
            self._readiness.set("reconciled", False, "events may have been missed")
        self._gap.set()

    def told_in_vain(self, since_ms: int) -> None:
        """Readers may have lost what they were told since then: of the account, and of others on it, tell it again."""
        self._foreign.forget()
        self._fundings.tell_again(since_ms)
        self._reconciler.forget_since(since_ms)
        self._gap.set()

    async def run(self) -> None:
        """Reconcile after each gap, and look again in between, until cancelled."""
        pause_s = RETRY_S
        while True:
            try:
                async with asyncio.timeout(pause_s):
                    await self._gap.wait()
            except TimeoutError:
                pause_s = await self._look_again()
                continue
            self._gap.clear()
            if not self._connected:
                continue
            try:
                await self._reconciler.run()
            except NOT_NOW as error:
                log.warning("reconciliation_failed", error=str(error))
                self._readiness.set("reconciled", False, str(error))
                await asyncio.sleep(RETRY_S)
                self._gap.set()
                continue
            if self._connected and not self._gap.is_set():
                self._readiness.set("reconciled", True)
                self.reconciled_once.set()

    async def _look_again(self) -> float:
        """Look for a missed event; one look that fails makes nothing unknown. The seconds until the next one."""
        if not self._connected or not self.reconciled_once.is_set():
            return RETRY_S
        try:
            return await self._reconciler.look_again()
        except NOT_NOW as error:
            log.warning("look_failed", error=str(error))
            return LOOK_AFTER_FAILURE_S
