"""Reconciliation: what the user stream has not told is asked for and told.

Owns the asking: of everything after every (re)connection, until which no new risk is sent, and every few seconds of
what is in play, because an event can be missed on a connection that lives. What it finds is told with the keys the feed
would have used; every object of the exchange ends matched, adopted or quarantined (`domain.reconciliation`). Runs
beside the feed: reports are monotone, so an older answer changes nothing.

What has changed while nobody listened is found from one list of cash flows, the positions and the open orders; trades
are fetched of those symbols only.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

from pms_common import metrics
from pms_common.bus import UpdatesWriter
from pms_common.contracts.bus.exchange import CashFlow, CashFlows, Reconciled, Tally
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.logging import get_logger
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.exchange_client import ALL_OPEN_ORDERS_WEIGHT, KEPT_MS, ExchangeClient
from pms_orders.adapters.binance.queries import TRADES_WEIGHT, Queries
from pms_orders.app.account import ExchangeFacts
from pms_orders.app.foreign import ForeignOrders
from pms_orders.app.manager import OrderManager
from pms_orders.app.resolver import Resolver
from pms_orders.domain.order import OrderState
from pms_orders.domain.reconciliation import (
    compare_orders,
    compare_trades,
    judge_positions,
    other_flows,
    traded_symbols,
)
from pms_orders.domain.reducer import Report
from pms_orders.domain.resolution import settled
from pms_orders.domain.table import Kind

log = get_logger(__name__)

AT_ONCE = 10
"""Questions asked at the same time."""
PERIOD_S = 3.0
WEIGHT_PER_S = 15.0
"""At most: 900 of the venue's 2,400 a minute, with orders on 40 symbols or more; fewer cost less. It lets a look come
every 3.4 s at the latest, so that with the lag of the queries a missed event is found within 5 s."""
FACTS_WEIGHT = 10
QUIET_S = 60.0
"""Between two looks at an account with neither orders nor positions: money can be moved by hand."""
FLOWS_S = 60.0
"""Between two looks at the list of cash flows while no wallet is amiss; 30 weight, which delays no look. It tells a
payment, or a trade forth and back on a connection that was dead, where no position shows it."""
MAX_FLOW_LOOKS = 10
"""How often that list is asked at once for a payment that the feed has told; later it comes with the others."""
MAX_FIRST_LOOKS = 20
"""At the very first look, until the account was still while it was asked for: an execution a second leaves room."""
HEARD_S = 300.0
"""Longer than that list reaches back."""
LAG_MS = 1_500
"""Queries were seen to lag by 1.1 to 1.5 s behind the engine: what changed since is compared the next time."""
MARGIN_MS = 60_000
"""How far before the last known moment is asked: the clocks of exchange and machines differ, and rows of the journal
follow what they tell by less than this."""

_healed = metrics.counter("reconciliation_healed", "Orders whose news came from a comparison, not from the feed")
_objects = metrics.counter(
    "reconciliation_objects", "Objects of the exchange that were compared, and what became of them", ["sort", "outcome"]
)


class Reconciler:
    """Compares and heals."""

    def __init__(
        self,
        manager: OrderManager,
        resolver: Resolver,
        rest: ExchangeClient,
        facts: ExchangeFacts,
        foreign: ForeignOrders,
        specs: dict[str, SymbolSpec],
        updates: UpdatesWriter,
        venue_ms: Callable[[], int],
        on_known: Callable[[int], None],
    ) -> None:
        """`on_known` is told of each new `known_ms`, for a successor."""
        self._manager = manager
        self._resolver = resolver
        self._rest = rest
        self._queries = Queries(rest)
        self._facts = facts
        self._foreign = foreign
        self._specs = specs
        self._updates = updates
        self._venue_ms = venue_ms
        self._on_known = on_known
        self._facts_s = 0.0
        self._flows_s = time.monotonic()
        self._flow_ms = 0
        self._awaited_ms = self._looks = 0
        self.known_ms: int | None = None
        """Until when everything is known, at a start by the last writer; None where nobody ever knew."""

    async def run(self) -> None:
        """Compare everything. Raises errors of venue, database and Redis; then it has to be run again."""
        began_ms, began_s = self._venue_ms(), time.monotonic()
        since_ms = self._since_ms(began_ms)
        ours = [order for order in self._manager.tracker.live() if order.sent_ms]
        listed = list(map(wire.query_report, await self._rest.open_orders()))
        compared = compare_orders(ours, listed, self._manager.tracker.find_reported)
        self._manager.report(compared.reports)
        flows, until_ms = await self._queries.flows_since(since_ms, began_ms)
        first = not self._facts_s
        moved = await self._ask_facts(since_ms)
        unexplained = self._facts.unexplained()
        if not first:  # else every position is
            moved |= unexplained
        doubted = {order.place.symbol for order in compared.doubtful}
        trades = await self._trades(traded_symbols(flows) | moved | doubted, since_ms)
        await self._ask_all(compared.doubtful)
        judged = await self._foreign.judge_orders(compared.unknown, all_symbols=True)
        orders = Tally(matched=compared.matched, adopted=judged.adopted, quarantined=judged.quarantined)
        positions = self._judge_positions()
        self._tell_flows(flows)
        self._facts.tell_all("reconciliation")
        _count(orders=orders, positions=positions, trades=trades)
        self._updates.publish(
            Reconciled(epoch=0, n=0, orders=orders, positions=positions, trades=trades, event_ms=began_ms)
        )
        self._facts.stirred = True  # queries lag: what came just before the connection shows in the next look
        self._know(began_ms, since_ms, until_ms)
        log.info(
            "reconciled",
            orders=_text(orders),
            positions=_text(positions),
            trades=_text(trades),
            asked=len(compared.doubtful),
            seconds=round(time.monotonic() - began_s, 3),
        )

    def _since_ms(self, now_ms: int) -> int:
        """From when on something may have happened that is not known here."""
        if self.known_ms is None:  # what was before the first start shows in the positions
            return now_ms
        return max(min(self.known_ms, now_ms) - MARGIN_MS, now_ms - KEPT_MS)

    def _know(self, began_ms: int, since_ms: int, until_ms: int | None) -> None:
        """Everything is known until now, or as far as the list of cash flows has come."""
        if until_ms is None or until_ms - MARGIN_MS <= since_ms:  # all of them; or the next list would be the same
            until_ms = began_ms
        self.known_ms = until_ms
        self._on_known(self.known_ms)

    def forget_since(self, at_ms: int) -> None:
        """What was told since then may have been lost: the next comparison tells it again."""
        self.known_ms = at_ms if self.known_ms is None else min(self.known_ms, at_ms)

    def _tell_flows(self, flows: Collection[CashFlow]) -> None:
        self._flows_s = time.monotonic()
        if told := other_flows(flows):
            self._flow_ms = max(flow.time_ms for flow in told)
            self._updates.publish(CashFlows(epoch=0, n=0, flows=told))

    async def compare(self, symbols: Sequence[str], since_ms: int) -> None:
        """Look at the executions of some symbols since then, for who doubts: those of others are told again.

        Raises errors of venue and database.
        """
        if symbols:
            self._foreign.forget()
            _count(trades=await self._trades(symbols, max(since_ms, self._venue_ms() - KEPT_MS)))

    async def look_again(self) -> float:
        """Compare what is in play, and nothing where nothing is; the seconds to wait before the next time.

        Raises errors of venue, database and Redis.
        """
        live = list(self._manager.tracker.live())
        for order in filter(self._overlooked, live):
            log.error("order_overlooked", client_order_id=order.client_order_id, status=order.status)
            self._manager.clear_up(order)
        calm = [order for order in live if self._calm(order)]
        symbols = sorted({order.place.symbol for order in calm})
        weight = min(len(symbols), ALL_OPEN_ORDERS_WEIGHT)
        if symbols:
            await self._look_at_orders(calm, symbols)
        if symbols or self._facts.exposed or self._facts.stirred or time.monotonic() - self._facts_s > QUIET_S:
            weight += FACTS_WEIGHT + await self._look_at_facts()
        return max(PERIOD_S, weight / WEIGHT_PER_S)

    async def _look_at_orders(self, calm: list[OrderState], symbols: list[str]) -> None:
        listed = list(map(wire.query_report, await self._open_orders(symbols)))
        compared = compare_orders(calm, listed, self._manager.tracker.find_reported)
        self._manager.report(compared.reports)
        for order, found in zip(compared.doubtful, await self._ask_all(compared.doubtful), strict=True):
            if found is not None and found.kind is not Kind.FOUND_OPEN:
                _healed.inc()
                log.warning("event_missed", client_order_id=order.client_order_id, found=found.kind)
                self._resolver.stream_missed()
        await self._foreign.judge_orders(compared.unknown, all_symbols=False)

    async def _look_at_facts(self) -> int:
        """Balances and positions; where the feed has not told a change, or not what made it, the trades, too. Their
        weight.
        """
        began_ms = self._venue_ms()
        since_ms = self._since_ms(began_ms)
        moved = await self._ask_facts(since_ms) | self._facts.unexplained()
        differed = self._facts.differed
        asks_flows = self._facts.paid or self._awaits_flow() or time.monotonic() - self._flows_s > FLOWS_S
        if asks_flows:
            flows, until_ms = await self._queries.flows_since(since_ms, began_ms)
            moved |= self._facts.unheard(traded_symbols(flows), HEARD_S)
        if moved:
            _count(trades=await self._trades(moved, since_ms))
        if asks_flows:
            self._tell_flows(flows)  # after the trades: the fee of a liquidation goes to those it closed
            self._know(began_ms, since_ms, until_ms)
        if differed:
            self._judge_positions()
            self._facts.tell_all("reconciliation")
        return len(moved) * TRADES_WEIGHT

    def _awaits_flow(self) -> bool:
        """Whether the feed has told a payment that the list of cash flows may not have shown yet."""
        if self._facts.paid_ms <= self._flow_ms:
            return False
        if self._facts.paid_ms != self._awaited_ms:
            self._awaited_ms, self._looks = self._facts.paid_ms, MAX_FLOW_LOOKS
        self._looks -= 1
        return self._looks >= 0

    def _calm(self, order: OrderState) -> bool:
        """Whether nothing is under way about the order, and nothing was so lately that a query may not know it."""
        if not order.sent_ms or order.flight is not None or order.final or not settled(order):
            return False
        return not self._changed_lately(order)

    def _overlooked(self, order: OrderState) -> bool:
        """Whether the order is unclear and nobody asks about it: a fault, which must not leave it unclear for ever."""
        flying = order.flight is not None and not order.flight.lost
        awaited = order in self._manager.cases or order in self._manager.expectations
        if not order.sent_ms or flying or settled(order) or awaited:
            return False
        return not self._changed_lately(order)

    def _changed_lately(self, order: OrderState) -> bool:
        return 0 <= self._manager.now_ms() - order.updated_ms < LAG_MS

    async def _open_orders(self, symbols: list[str]) -> list[wire.QueriedOrder]:
        if len(symbols) >= ALL_OPEN_ORDERS_WEIGHT:
            return await self._rest.open_orders()
        found: list[wire.QueriedOrder] = []
        for start in range(0, len(symbols), AT_ONCE):
            for page in await asyncio.gather(*map(self._rest.open_orders, symbols[start : start + AT_ONCE])):
                found += page
        return found

    async def _trades(self, symbols: Collection[str], since_ms: int) -> Tally:
        """Book our missing executions on these symbols, and tell those of others."""
        chosen, now_ms = sorted(symbols), self._venue_ms()
        total = Tally()
        for start in range(0, len(chosen), AT_ONCE):
            asked = [self._queries.executions_since(name, since_ms, now_ms) for name in chosen[start : start + AT_ONCE]]
            for executions in await asyncio.gather(*asked):
                found = compare_trades(executions, self._manager.tracker.find_reported)
                self._manager.report(found.missing)
                judged = await self._foreign.judge_executions(found.unknown)
                total = Tally(
                    matched=total.matched + found.matched + judged.matched,
                    adopted=total.adopted + len(found.missing) + judged.adopted,
                    quarantined=total.quarantined + judged.quarantined,
                )
        return total

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

    async def _ask_facts(self, since_ms: int) -> set[str]:
        """Learn balances and positions; the symbols whose position is another one than was known, changed since."""
        asked_s, still = time.monotonic(), False
        if self.known_ms is None:
            balances, positions, still = await self._ask_first()
        else:
            balances, positions = await asyncio.gather(self._rest.balances(), self._rest.positions())
        self._facts_s = asked_s
        return self._facts.replace(balances, positions, asked_s, since_ms, of_one_moment=still)

    async def _ask_first(self) -> tuple[list[wire.Asset], list[wire.PositionRisk], bool]:
        """Balances and positions for books that begin with them, and whether they are of one moment: no wallet changed
        between both. Where it never was so, what the feed tells meanwhile counts more than they do."""
        balances = await self._rest.balances()
        for _ in range(MAX_FIRST_LOOKS):
            positions, before = await self._rest.positions(), balances
            balances = await self._rest.balances()
            if balances == before:
                return balances, positions, True
        log.error("account_not_still", looks=MAX_FIRST_LOOKS)
        return balances, positions, False

    def _judge_positions(self) -> Tally:
        tally, strange = judge_positions(self._facts.positions(), self._specs)
        if strange:
            log.warning("positions_not_tradable", symbols=strange[:10], count=len(strange))
        return tally


def _count(**tallies: Tally) -> None:
    for sort, tally in tallies.items():
        for outcome in Tally.__struct_fields__:
            _objects.labels(sort, outcome).inc(getattr(tally, outcome))


def _text(tally: Tally) -> str:
    return f"{tally.matched} matched, {tally.adopted} adopted, {tally.quarantined} quarantined"
