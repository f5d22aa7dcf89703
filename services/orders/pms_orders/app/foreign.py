"""Orders on the exchange account that are not ours: told to risk, never adopted, never in our way.

Owns what is known of them (which rest where, by which name) and the judgement: an order that bears our prefix is looked
up in journal and streams first, and adopted where they know it; anything else is somebody else's, and its executions
are told once, for the house's external book. Used by the session (what the feed tells) and by the reconciliation.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from redis.exceptions import RedisError

from pms_common import metrics
from pms_common.bus import UpdatesWriter
from pms_common.contracts.bus.exchange import ForeignKind, ForeignOrder, Tally
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.exchange_codes import Outcome
from pms_common.db import DATABASE_ERRORS
from pms_common.logging import get_logger
from pms_orders.adapters.binance.exchange_client import VenueRefused
from pms_orders.adapters.binance.queries import Queries
from pms_orders.app.manager import OrderManager
from pms_orders.app.owners import Owners
from pms_orders.domain.errors import judge
from pms_orders.domain.foreign import Execution, kind_of
from pms_orders.domain.order import OrderState
from pms_orders.domain.reconciliation import trade_of
from pms_orders.domain.reducer import Report
from pms_orders.domain.table import Kind

log = get_logger(__name__)

MAX_TOLD = 50_000
"""Executions remembered as told; their keys tell readers of older ones."""
MAX_NAMES = 10_000
MAX_DOUBTS = 10_000
FEW_NAMES = 5
"""Of so many orders of a symbol the names are asked for singly, 1 weight each; of more as a list, 5 weight."""
MAX_NAME_QUERIES = 100
"""Orders of a symbol asked for singly, at most."""
LAG_S = 2.0
"""Queries were seen to lag by 1.1 to 1.5 s behind the engine, and not all by the same (binance-usdm facts, 5.7)."""
YOUNG_MS = 10_000
"""An execution of late: where its order is not found, the query lags."""
RETRY_S = 1.0

_executions = metrics.counter("foreign_executions", "Executions of orders that are not ours", ["kind"])
_orphans = metrics.counter("foreign_orphans", "Orders that bear our prefix and that nobody here knows")
_adopted = metrics.counter("foreign_adopted", "Orders that the journal or a stream knew, and the memory did not")

Key = tuple[str, int]
"""Symbol and exchange order id."""


class ForeignOrders:
    """What others do on the account. Spawn `run`."""

    def __init__(
        self,
        manager: OrderManager,
        owners: Owners,
        queries: Queries,
        updates: UpdatesWriter,
        specs: Mapping[str, SymbolSpec],
    ) -> None:
        self._manager = manager
        self._owners = owners
        self._queries = queries
        self._updates = updates
        self._specs = specs
        self._open: OrderedDict[Key, None] = OrderedDict()
        self._names: OrderedDict[Key, str] = OrderedDict()
        self._told: OrderedDict[str, None] = OrderedDict()
        self._doubts: list[tuple[Report, Execution | None]] = []
        self._doubted = asyncio.Event()

    def symbols(self) -> set[str]:
        """Where orders of others rest, as far as is known."""
        return {symbol for symbol, _ in self._open}

    def forget(self) -> None:
        """What was told may have been lost: it is told again when it is found again."""
        self._told.clear()

    # -- what the feed tells

    def hear(self, report: Report, execution: Execution | None) -> None:
        """An event about an order that is not in memory."""
        if kind_of(report.client_order_id) == "orphan":
            if len(self._doubts) < MAX_DOUBTS:  # more than one burst: the reconciliation finds the rest
                self._doubts.append((report, execution))
                self._doubted.set()
            return
        self._note(report)
        if execution is not None:
            self._tell(report.client_order_id, execution)

    async def run(self) -> None:
        """Look up what bears our prefix, until cancelled."""
        while True:
            await self._doubted.wait()
            self._doubted.clear()
            doubts, self._doubts = self._doubts, []
            try:
                strangers = await self._strangers({report.client_order_id for report, _ in doubts})
            except (*DATABASE_ERRORS, RedisError) as error:
                log.warning("owner_not_looked_up", error=str(error))
                self._doubts = [*doubts, *self._doubts][:MAX_DOUBTS]
                self._doubted.set()
                await asyncio.sleep(RETRY_S)
                continue
            for report, execution in doubts:
                if report.client_order_id in strangers or self._has_our_name_only(report):
                    self._note(report)
                    self._tell_orphan(report, execution)
                else:
                    self._apply(report)

    # -- what a reconciliation finds

    async def judge_orders(self, listed: Sequence[Report], *, all_symbols: bool) -> Tally:
        """Open orders that are not in memory: adopted, or quarantined. Raises database and Redis errors."""
        prefixed = {report.client_order_id for report in listed if kind_of(report.client_order_id) == "orphan"}
        strangers = await self._strangers(prefixed) if prefixed else set()
        if all_symbols:
            self._open.clear()
        adopted = 0
        for report in listed:
            bears_prefix = report.client_order_id in prefixed
            if bears_prefix and report.client_order_id not in strangers and not self._has_our_name_only(report):
                adopted += 1
                self._apply(report)
                continue
            self._note(report)
            if bears_prefix:
                self._tell_orphan(report, None)
        return Tally(adopted=adopted, quarantined=len(listed) - adopted)

    async def judge_executions(self, executions: Sequence[Execution]) -> Tally:
        """Executions of orders that are not in memory. Raises venue, database and Redis errors."""
        unheard = {_key(item) for item in executions} - self._names.keys()
        numbers = {number for _, number in unheard}
        found = (await self._owners.look_up((), numbers)).orders if numbers else []
        ours = {(known.place.symbol, known.exchange_order_id) for known in map(self._adopt, found)}
        await self._learn_names(unheard - ours, {_key(item) for item in executions if self._is_young(item)})
        requested = await self._requested(executions)
        matched = adopted = 0
        for execution in executions:
            name = self._names.get(_key(execution), "")
            order = self._manager.tracker.find_reported(*_key(execution), name)
            if name in requested:
                adopted += 1
            elif order is None:
                self._tell(name, execution)
            elif execution.fill.trade_id in order.trades:
                matched += 1
            else:
                adopted += 1
                self._manager.report([trade_of(order, execution)])
        return Tally(matched=matched, adopted=adopted, quarantined=len(executions) - matched - adopted)

    async def _learn_names(self, keys: set[Key], young: set[Key]) -> None:
        """Ask for the names of orders: they tell a liquidation, and an order of ours whose answer was lost."""
        for symbol in {symbol for symbol, _ in keys}:
            numbers = [number for other, number in keys if other == symbol]
            if len(numbers) > FEW_NAMES:
                for queried in await self._queries.orders_numbered(symbol, min(numbers), max(numbers)):
                    if (symbol, queried.order_id) in keys:
                        self._name((symbol, queried.order_id), queried.client_order_id)
            left = sorted({(symbol, number) for number in numbers} - self._names.keys())
            gone = await self._learn_singly(left[-MAX_NAME_QUERIES:])
            if not young.isdisjoint(gone):
                await asyncio.sleep(LAG_S)
                gone = await self._learn_singly(gone)
            for key in gone:
                self._name(key, "")

    async def _learn_singly(self, keys: Sequence[Key]) -> list[Key]:
        """Ask order by order; those that the venue does not find."""
        gone: list[Key] = []
        for key in keys:
            try:
                queried = await self._queries.order_numbered(*key)
            except VenueRefused as refusal:
                if judge(refusal.error) is not Outcome.GONE:
                    raise
                gone.append(key)
                continue
            self._name(key, queried.client_order_id)
        return gone

    async def _requested(self, executions: Sequence[Execution]) -> set[str]:
        """Adopt the orders that the journal knows; the ids of those whose request is still to be read: it will lead to
        their executions.
        """
        untold = [item for item in executions if _fill_key(item) not in self._told]
        prefixed = {name for item in untold if kind_of(name := self._names.get(_key(item), "")) == "orphan"}
        strangers = await self._strangers(prefixed) if prefixed else set()
        return {name for name in prefixed - strangers if self._manager.tracker.find(name) is None}

    async def _strangers(self, names: set[str]) -> set[str]:
        """Adopt the orders of these ids that the journal knows; the ids that neither it nor a stream knows."""
        missing = {name for name in names if self._manager.tracker.find(name) is None}
        if not missing:
            return set()
        found = await self._owners.look_up(missing)
        for order in found.orders:
            self._adopt(order)
        known = {order.client_order_id for order in found.orders}
        return {name for name in missing - known - found.requested if self._manager.tracker.find(name) is None}

    def _has_our_name_only(self, report: Report) -> bool:
        """Whether the exchange means another order by the id of one of ours: somebody has used it again."""
        tracker, name = self._manager.tracker, report.client_order_id
        known = tracker.find_reported(report.symbol, report.exchange_order_id, name)
        return known is None and tracker.find(name) is not None

    def _apply(self, report: Report) -> None:
        """Apply what is told of an order of ours, unless its request is still to be read."""
        if self._manager.tracker.find(report.client_order_id) is not None:
            self._manager.report([report])

    def _is_young(self, execution: Execution) -> bool:
        return abs(self._manager.now_ms() - execution.fill.trade_ms) < YOUNG_MS

    def _adopt(self, order: OrderState) -> OrderState:
        """Take an order into the memory; the one that is there where it came while it was looked up."""
        here = self._manager.tracker.find(order.client_order_id)
        if here is not None:
            return here
        _adopted.inc()
        log.info("order_adopted", client_order_id=order.client_order_id, status=order.status)
        if order.final and order.whole:
            self._manager.tracker.remember(order)
        else:
            self._manager.restore(order)
        return order

    # -- what is kept and told

    def _note(self, report: Report) -> None:
        key = report.symbol, report.exchange_order_id
        self._name(key, report.client_order_id)
        if report.kind in (Kind.NEW, Kind.FOUND_OPEN, Kind.AMENDED):
            self._open[key] = None
            _bound(self._open, MAX_NAMES)
        elif report.kind is not Kind.TRADE:
            self._open.pop(key, None)

    def _name(self, key: Key, client_order_id: str) -> None:
        self._names[key] = client_order_id
        _bound(self._names, MAX_NAMES)

    def _tell_orphan(self, report: Report, execution: Execution | None) -> None:
        name = report.client_order_id
        if execution is not None:
            self._tell(name, execution)
        if self._is_new(f"{name}:orphan"):
            _orphans.inc()
            log.error("orphan_order", client_order_id=name, symbol=report.symbol, number=report.exchange_order_id)
            self._updates.publish(
                ForeignOrder(
                    epoch=0,
                    n=0,
                    key=f"{name}:orphan",
                    kind="orphan",
                    symbol=report.symbol,
                    client_order_id=name,
                    exchange_order_id=report.exchange_order_id,
                    quantity=report.quantity,
                    executed_quantity=report.executed,
                    price=report.price,
                    event_ms=report.event_ms,
                )
            )

    def _tell(self, client_order_id: str, execution: Execution) -> None:
        fill, key = execution.fill, _fill_key(execution)
        if not self._is_new(key):
            return
        kind: ForeignKind = kind_of(client_order_id)
        _executions.labels(kind).inc()
        if kind != "other":
            log.warning("foreign_execution", kind=kind, symbol=execution.symbol, client_order_id=client_order_id)
        spec = self._specs.get(execution.symbol)
        self._updates.publish(
            ForeignOrder(
                epoch=0,
                n=0,
                key=key,
                kind=kind,
                symbol=execution.symbol,
                side=execution.side,
                position_side=execution.position_side,
                client_order_id=client_order_id,
                exchange_order_id=execution.exchange_order_id,
                fill=fill,
                step_size=spec.step_size if spec is not None else None,
                event_ms=fill.trade_ms,
            )
        )

    def _is_new(self, key: str) -> bool:
        if key in self._told:
            return False
        self._told[key] = None
        _bound(self._told, MAX_TOLD)
        return True


def _key(execution: Execution) -> Key:
    return execution.symbol, execution.exchange_order_id


def _fill_key(execution: Execution) -> str:
    return f"{execution.symbol}:{execution.exchange_order_id}:{execution.fill.trade_id}"


def _bound(kept: OrderedDict[Key, None] | OrderedDict[Key, str] | OrderedDict[str, None], bound: int) -> None:
    if len(kept) > bound:
        kept.popitem(last=False)
