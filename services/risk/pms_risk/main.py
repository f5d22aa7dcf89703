"""Wiring of the risk service."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common import ids
from pms_common.answers import Answers
from pms_common.bus import Bus, Consumer, LagSampler, Trimmer, UpdatesWriter
from pms_common.bus.handling import Handler
from pms_common.clock import now_ms
from pms_common.contracts.bus.common import Tick
from pms_common.db import GroupCommit, TableSizes, create_engine, take_epoch
from pms_common.histories import Histories
from pms_common.inlet import CommandInlet
from pms_common.joining import join
from pms_common.lease import lead
from pms_common.marks import Marks
from pms_common.metrics import gauge
from pms_common.names import Names
from pms_common.service import Lifecycle, run
from pms_common.settings import Settings
from pms_common.topology import RISK_COMMANDS, kept_by, topology
from pms_risk.adapters.postgres import history
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.adapters.postgres.left_out import LeftOut
from pms_risk.adapters.postgres.shared_accounts import SharedAccounts
from pms_risk.adapters.postgres.shared_writes import SharedWrites, adopt
from pms_risk.adapters.postgres.statements import ALL
from pms_risk.adapters.postgres.store import Cursors, Store
from pms_risk.adapters.unconsumed import amending, approved
from pms_risk.app import sentinel
from pms_risk.app.accounts import Accounts
from pms_risk.app.administration import Administration
from pms_risk.app.algos_updates import AlgosUpdates
from pms_risk.app.amends import Amends
from pms_risk.app.approvals import Approvals
from pms_risk.app.assignments import Assignments
from pms_risk.app.caches import TURN_S, Caches
from pms_risk.app.cash_flows import CashBook
from pms_risk.app.children import Children
from pms_risk.app.clearing import Clearing
from pms_risk.app.closes import Closes
from pms_risk.app.closings import Closings
from pms_risk.app.events import Events
from pms_risk.app.exchange import CHECK_S, Exchange
from pms_risk.app.exposure import Exposure
from pms_risk.app.fee_values import FeeValues
from pms_risk.app.first_prices import FirstPrices
from pms_risk.app.foreign_fills import ForeignFills
from pms_risk.app.late import Late
from pms_risk.app.liquidation_events import LiquidationEvents
from pms_risk.app.liquidator import Liquidator, takes_of
from pms_risk.app.lost_orders import LostOrders
from pms_risk.app.order_feed import OrderFeed
from pms_risk.app.pool import PoolWatch
from pms_risk.app.sentinel import Sentinel
from pms_risk.app.sets import Sets
from pms_risk.app.snapshots import Snapshots
from pms_risk.app.start import Start
from pms_risk.app.state import RiskState
from pms_risk.app.takeovers import Takeovers
from pms_risk.app.trading import Trading
from pms_risk.app.trading_states import TradingStates
from pms_risk.app.updates import OrdersUpdates
from pms_risk.app.waits import Waits
from pms_risk.app.watches import Watches
from pms_risk.app.watching import Watching
from pms_risk.domain.books import Books
from pms_risk.domain.liquidation.decision import Tiers
from pms_risk.domain.liquidation.watch import Guards

SERVICE = "risk"
TEND_S = 0.05
"""Between two looks at what waits for a price or an end: well under the limits of 2 s and 5 s."""
GATHER_S = 0.25
"""A transaction of risk is a dozen statements, however few executions it has, and each answer to one of them holds up
what trades. Who waits for it hurries it; what a crash leaves unacknowledged is recognised when it comes again.
"""

_accounts = gauge("risk_accounts", "Virtual accounts")


async def wire(life: Lifecycle) -> None:
    """Build the service, bring it to where it was, and let commands in."""
    settings = life.settings
    names = Names(settings.namespace, settings.feed_namespace)
    engine = create_engine(settings.database_url, SERVICE)
    life.on_stop(engine.dispose)
    bus = await join(life, names)
    await lead(life, bus, SERVICE)
    epoch = await take_epoch(engine, SERVICE)
    shared = await adopt(engine, settings.db_symbols)
    journal = _journal(life, bus, epoch, shared)
    journal.positions_again(await shared.positions_left_behind(engine))
    sampler = _measure(life, bus, names)
    state = RiskState(
        books=Books(lambda owner, leg, reference: f"pos_{ids.token(names.namespace, owner, leg, reference)}"),
        namespace=names.namespace,
        mode=settings.position_mode,
        now_ms=now_ms,
        journal_lag_s=lambda: journal.lag_s,
        overloaded=lambda: sampler.overloaded(names.requests("orders")),
    )
    state.set_leverage = settings.exchange_leverage
    _accounts.set_function(lambda: len(state.books.accounts))
    service = _Service(life, bus, names, state, journal, engine, epoch)
    await service.start(SharedAccounts(engine) if shared.enrolment is not None else None)
    life.spawn(LeftOut(engine, shared.again).run(), "left_out")
    life.spawn(TableSizes(engine, "pms_risk").run(), "table_sizes")


class _Service:
    """The handlers, made in the order in which they need each other."""

    def __init__(
        self,
        life: Lifecycle,
        bus: Bus,
        names: Names,
        state: RiskState,
        journal: Journal,
        engine: AsyncEngine,
        epoch: int,
    ) -> None:
        self.life, self.bus, self.names, self.state = life, bus, names, state
        self.store = store = Store(engine)
        outbox = bus.outbox
        self.marks = Marks(bus, names, SERVICE)
        self.updates = UpdatesWriter(outbox, names.updates(SERVICE), epoch)
        self.answers = Answers(names, outbox, self.updates, self.marks)
        self.histories = Histories(engine, history.KINDS, outbox, self.updates, now_ms)
        required = life.settings.require_account
        self.inlet = CommandInlet(outbox, self.marks, self.answers, now_ms, require_account=required)
        self.journal = journal
        self.cursors = Cursors(store, journal)
        self.events = Events(self.updates, state.brackets)
        self.waits_key = names.own(SERVICE, "waits")
        self.waits = Waits(state, outbox, self.answers, self.waits_key)
        self.late = Late()
        self.fees_key = names.own(SERVICE, "fee_values")
        self.fees = FeeValues(state, outbox, journal, self.fees_key)
        state.books.fee_value = self.fees.value
        self.assignments = Assignments(state, journal, self.events, store.held_by_house, store.is_assigned)
        self.approvals = Approvals(state, outbox, names)
        self.takeovers = takeovers = Takeovers(state, journal, self.events)
        self.closings_key = names.own(SERVICE, "closings")
        self.closings = Closings(
            state, self.approvals, self.waits, takeovers, journal, outbox, names, self.closings_key
        )
        self.clearing = Clearing(state, self.closings, outbox, names)
        tools = (state, outbox, journal, self.events)
        self.feed = OrderFeed(*tools, self.waits, self.closings, self.late.ask, store.is_booked, self.fees)
        self.closes = Closes(*(self.state, self.approvals, self.waits, self.closings), self.clearing, self.answers)
        self.amends = Amends(*(state, self.approvals, self.waits, self.closings, self.feed.has_ended, outbox, names))
        self.exchange = Exchange(state, outbox, journal, self.events)
        foreign = ForeignFills(*tools, self.closings, self.late.ask, store.is_booked, self.fees)
        self.cash = CashBook(*tools, self.late.ask, store.is_flow_booked, store.moved_between)
        self.orders_updates = OrdersUpdates(
            *(state, outbox, names, self.marks, self.feed, self.exchange, foreign, self.cash)
        )
        self.watching = Watching(state, bus.feed_outbox, names)
        self.caches = Caches(state, outbox, self.updates, names)
        told = LiquidationEvents(state, self.events)
        self.liquidator = Liquidator(state, outbox, journal, told, self.clearing, self.closings, takeovers, names)
        self.feed.on_progress = self.liquidator.on_progress
        tiers, guards = _limits(life.settings)
        self.watches = Watches(outbox, names.own(SERVICE, "watches"))
        self.sentinel = Sentinel(state, self.liquidator, told, self.watches, tiers, guards)
        self.pool = PoolWatch(state, self.liquidator, self.events, tiers)

    async def start(self, shared: SharedAccounts | None) -> None:
        """The books and what the JS application changed meanwhile, then the order service's word, then commands."""
        life, names = self.life, self.names
        approved_streams = (names.requests("orders"), names.urgent("orders"))
        start = Start(self.state, self.store, self.bus, approved_streams)
        await self.marks.load(now_ms())
        await start.load()
        self.fees.restore(await self.bus.redis.hgetall(self.fees_key))
        await start.reserve()
        await start.resume_waits(self.waits, self.waits_key)
        self.closings.restore(await self.bus.redis.hvals(self.closings_key))
        self.clearing.restore(await self.bus.redis.hvals(self.clearing.key))
        self.watches.restore(await self.bus.redis.hgetall(self.watches.key))
        courses = await self.bus.redis.hvals(self.liquidator.key)
        self.liquidator.restore(courses, await self.store.moved(takes_of(courses)))

        tools = (self.journal, self.events, self.takeovers, self.clearing, self.liquidator, self.caches)
        administration = Administration(self.state, shared, *tools) if shared is not None else None
        if administration is not None:
            await administration.open()
        life.spawn(self.late.run(), "late")
        life.spawn(self.cash.run(), "fundings")
        life.spawn(self.assignments.run(), "assignments")
        heard = {
            names.updates("orders"): self.orders_updates.on_entry,
            names.updates("algos"): AlgosUpdates(
                self.bus.outbox, self.clearing.on_algos, self.liquidator.on_algos
            ).on_entry,
        }
        self._read(self.bus.consumer(SERVICE, heard, cursors=self.cursors), "updates")
        life.spawn(self.bus.ticks_reader(names.ticks, SERVICE, self._on_ticks).run(), "ticks")
        life.spawn(_every(life, TEND_S, self.watching.tend), "watching")
        life.ready("orders", False, "waiting for the order service's snapshot")
        await self.orders_updates.hear()
        self.amends.restore(await amending(self.bus.redis, approved_streams))
        self.closings.resume()
        life.ready("orders", True)

        if administration is not None:
            life.spawn(administration.run(), "administration")
        self.liquidator.resume()
        life.spawn(self.sentinel.run(), "sentinel")
        life.spawn(Exposure(*self.sentinel.seen).run(), "exposure")
        life.spawn(self.pool.run(), "pool")
        life.spawn(_every(life, sentinel.TEND_S, self.sentinel.tend), "changes")
        life.spawn(_every(life, TEND_S, self.liquidator.tend), "liquidations")
        await self._let_commands_in()
        life.spawn(_every(life, TEND_S, self.waits.expire), "waits")
        life.spawn(_every(life, TEND_S, self.closings.tend), "closings")
        life.spawn(_every(life, TURN_S, self.clearing.tend), "barriers")
        life.spawn(_every(life, TURN_S, self.caches.turn), "caches")
        check = partial(self.exchange.check, self.orders_updates.doubt)
        life.spawn(_every(life, CHECK_S, check), "reconciliation")
        waiting = partial(approved, self.bus.redis, approved_streams)
        life.spawn(
            LostOrders(self.state, self.bus.outbox, self.orders_updates, self.closings, waiting).run(), "lost_orders"
        )

    def _on_ticks(self, ticks: list[Tick]) -> None:
        self.watching.on_ticks(ticks)
        self.sentinel.on_ticks(ticks)

    async def _let_commands_in(self) -> None:
        names, state, outbox = self.names, self.state, self.bus.outbox
        public = self._public_routes()
        children = Children(state, self.approvals, self.closings, self.watching, outbox, self.updates)
        snapshots = Snapshots(state, self.caches, outbox, self.updates)
        self.life.spawn(snapshots.run(), "snapshots")
        self.life.spawn(self.histories.run(), "histories")
        asked = {
            names.requests(SERVICE): children.on_request,
            names.queries(SERVICE): self.histories.beside(snapshots.on_request),
        }
        operators = await self._operator_routes()
        taken = self.bus.consumer(
            SERVICE,
            {**public, **operators, **asked},
            cursors=self.cursors,
            public=public.keys() | operators.keys(),
            dead=self.inlet.bury,
            room=self.journal,
        )
        self._read(taken, "commands")

    def _public_routes(self) -> Mapping[str, Handler]:
        first_prices = FirstPrices(self.state, self.watching, self.answers, self.inlet)
        trading = Trading(self.state, self.approvals, self.waits, first_prices, self.answers)
        sets = Sets(self.state, self.approvals, self.waits, first_prices)
        decisions = {
            "trade": trading.trade,
            "limit": trading.limit,
            "close": self.closes.close,
            "limit_close": self.closes.limit_close,
            "close_all": self.closes.close_all,
            "amend": self.amends.amend,
            "scale": sets.scale,
            "basket": sets.basket,
            "validate": trading.validate,
        }
        return {self.names.cmd(type_): self.inlet.route(type_, decisions[type_]) for type_ in RISK_COMMANDS}

    async def _operator_routes(self) -> Mapping[str, Handler]:
        transferred = await self.store.operator_requests(now_ms())
        tools = (self.state, self.journal, self.events, self.answers, self.inlet)
        decisions = {
            "account": Accounts(*tools, transferred, self.closes.take_over, self.assignments.ask).decide,
            "trading_state": TradingStates(*tools, self.updates).decide,
        }
        return {self.names.op(type_): self.inlet.route(type_, decide) for type_, decide in decisions.items()}

    def _read(self, consumer: Consumer, name: str) -> None:
        self.life.on_stop(consumer.stop)
        self.life.spawn(consumer.run(), name)


def _limits(settings: Settings) -> tuple[Tiers, Guards]:
    tiers = Tiers(settings.liquidation_warning, settings.liquidation_escalation, settings.liquidation_fraction)
    cooldown_ms = int(settings.liquidation_cooldown_s * 1_000)
    spread, gap = settings.liquidation_max_spread_pct / 100, settings.liquidation_max_mark_gap_pct / 100
    return tiers, Guards(settings.liquidation_hold_ms, cooldown_ms, spread, gap)


def _journal(life: Lifecycle, bus: Bus, epoch: int, shared: SharedWrites) -> Journal:
    url = life.settings.database_url
    statements = (*ALL, *shared.statements)
    report = partial(life.ready, "journal")
    commit = GroupCommit(url, SERVICE, epoch, statements, report, gather_s=GATHER_S)
    life.spawn(commit.run(), "commit")
    journal = Journal(commit, bus.outbox, shared)
    life.on_stop(journal.close)
    life.spawn(journal.run(), "journal")
    return journal


def _measure(life: Lifecycle, bus: Bus, names: Names) -> LagSampler:
    """Trim and measure what risk reads and writes; measure the stream it must not overfill."""
    own, filled = kept_by(names, SERVICE), names.requests("orders")
    sampler = LagSampler(bus.redis, [*own, *(stream for stream in topology(names) if stream.name == filled)])
    life.spawn(sampler.run(), "lag")
    life.spawn(Trimmer(bus.redis, own).run(), "trim")
    return sampler


async def _every(life: Lifecycle, seconds: float, act: Callable[[], None]) -> None:
    """Call `act` regularly until the service stops."""
    while not life.stopping.is_set():
        act()
        await asyncio.sleep(seconds)


def main() -> None:
    """Run risk in the foreground."""
    run(SERVICE, wire)


if __name__ == "__main__":
    main()
