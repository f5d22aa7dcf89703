"""Wiring of the order service."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.answers import Answers
from pms_common.bus import Bus, Consumer, LagSampler, Trimmer, UpdatesWriter
from pms_common.clock import monotonic_ms, now_ms
from pms_common.db import GroupCommit, Retention, TableSizes, create_engine, take_epoch
from pms_common.db.cursors import PgCursorStore
from pms_common.histories import Histories
from pms_common.inlet import CommandInlet
from pms_common.joining import join
from pms_common.lease import Lease, lead
from pms_common.lease.record import Store
from pms_common.marks import Marks
from pms_common.names import Names
from pms_common.service import Lifecycle, run
from pms_common.topology import kept_by, topology
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_client import ExchangeClient
from pms_orders.adapters.binance.queries import Queries
from pms_orders.adapters.binance.trading_socket import TradingSocket
from pms_orders.adapters.binance.transport import Transport
from pms_orders.adapters.closed_orders import closed_orders
from pms_orders.adapters.journal import STATEMENTS, Journal
from pms_orders.adapters.months import Months
from pms_orders.adapters.pending_orders import adopt
from pms_orders.adapters.retention import remove_orders
from pms_orders.app.account import ExchangeFacts
from pms_orders.app.cancels import Cancels
from pms_orders.app.configuration import Configuration
from pms_orders.app.dead_man import DeadMan
from pms_orders.app.figures import Figures
from pms_orders.app.foreign import ForeignOrders
from pms_orders.app.fundings import Fundings
from pms_orders.app.intake import Intake
from pms_orders.app.manager import OrderManager
from pms_orders.app.missing import MissingExecutions, alarms
from pms_orders.app.outcomes import Outcomes
from pms_orders.app.owners import Owners
from pms_orders.app.publisher import Publisher
from pms_orders.app.readiness import Readiness
from pms_orders.app.reconciler import Reconciler
from pms_orders.app.resolver import Resolver
from pms_orders.app.retelling import Retelling
from pms_orders.app.rules import Rules
from pms_orders.app.sender import Sender
from pms_orders.app.session import Session
from pms_orders.app.snapshots import Snapshots
from pms_orders.app.startup import known, recover, tombstones
from pms_orders.app.supervision import Supervision
from pms_orders.domain.configuration import Wanted
from pms_orders.domain.gates import Gates
from pms_orders.domain.rate import Budget
from pms_orders.domain.resolution import RECV_WINDOW_MS
from pms_orders.domain.tracker import OrderTracker
from pms_orders.exchange import lines, stand_by

SERVICE = "orders"
URGENT, WORK = CONSUMERS = "orders:urgent", "orders:work"
"""What is read beside each other: cancels, closes and gates; and everything else."""
FENCE_S = RECV_WINDOW_MS / 1000 + 0.2
"""From when on the exchange refuses the last request of a predecessor, for a clock that is 0.2 s ahead."""
TICK_S = 0.2
RETRY_S = 1.0
GATHER_S = 0.1
"""At 200 orders a second a transaction of 10 ms has two orders, and costs as much as they do. Nobody waits for it: what
a crash leaves unacknowledged is asked about, at most 20 orders instead of 2."""
MAX_JOURNAL_LAG_S = 5.0
"""Past it no new risk is sent, so that what a crash would have to recover stays small."""


async def wire(life: Lifecycle) -> None:
    """Build the service and start its tasks."""
    settings = life.settings
    names = Names(settings.namespace, settings.feed_namespace)
    bus = await join(life, names)
    engine = _engine(life)
    signer, clock, budget, rest, rules_keeper, stream, keeper, standby = await stand_by(life, names, bus)
    lease = await lead(life, bus, SERVICE, fence_s=FENCE_S)
    rules = rules_keeper.rules
    clock.may_send = lease.held
    epoch = await _lead_from(life, engine, lease)
    journal = await _journal(life, engine, epoch)

    updates = UpdatesWriter(bus.outbox, names.updates(SERVICE), epoch)
    marks = Marks(bus, names, SERVICE)
    await _there(life, lambda: marks.load(now_ms()))
    answers = Answers(names, bus.outbox, updates, marks)
    inlet = CommandInlet(bus.outbox, marks, answers, now_ms, require_account=settings.require_account)
    publisher = Publisher(updates, bus.outbox, answers, journal, tombstones(names))
    readiness = Readiness(updates, life.ready)

    tracker, gates = OrderTracker(), Gates()
    manager = OrderManager(
        tracker=tracker,
        gates=gates,
        specs=rules.specs,
        publisher=publisher,
        journal=journal,
        now_ms=now_ms,
        hedge_mode=rules.hedge_mode,
    )
    outcomes = Outcomes(manager, budget, keeper.measure_soon, now_ms, journal, clock.told_ms)
    socket, trading_rest = lines(life, signer, clock, budget, outcomes)
    transport = Transport(socket, trading_rest, partial(readiness.set, "trading"), lease.held)
    lease.idle = lambda: not transport.in_flight and outcomes.quiet_for(FENCE_S)
    sender = manager.sender = Sender(budget, gates, transport, manager.bar, now_ms, rules.specs)
    transport.on_open = sender.wake
    readiness.on_change = sender.open
    resolver = Resolver(manager, rest, monotonic_ms, stream.doubt)
    facts = ExchangeFacts(updates, clock.now_ms)
    foreign, fundings = (
        ForeignOrders(manager, _owners(engine, bus, names), Queries(rest), updates, rules.specs),
        Fundings(Queries(rest), updates, clock.now_ms, lambda: reconciler.known_ms),
    )
    reconciler = Reconciler(
        *(manager, resolver, rest, facts, foreign, rules.specs, updates, clock.now_ms),
        partial(bus.outbox.command, "SET", known(names)),
    )
    session = Session(manager, reconciler, facts, foreign, fundings, readiness)
    retelling = Retelling(
        engine=engine,
        journal=journal,
        tracker=tracker,
        publisher=publisher,
        outbox=bus.outbox,
        now_ms=now_ms,
        incarnation=lambda: bus.incarnation.identity,
        hears=partial(_hears, life),
        on_lost=session.told_in_vain,
    )
    snapshots = Snapshots(
        tracker=tracker,
        rules=rules,
        facts=facts,
        readiness=readiness,
        updates=updates,
        publisher=publisher,
        outbox=bus.outbox,
        retelling=retelling,
        told_in_vain=session.told_in_vain,
        compare=reconciler.compare,
        spawn=life.spawn,
        now_ms=now_ms,
    )
    intake = Intake(manager, gates, publisher, journal)
    cancels = Cancels(manager, gates, inlet, answers, journal, marks, engine, life.spawn, bus.outbox, names)
    commands = {
        names.cmd("cancel"): inlet.route("cancel", cancels.cancel),
        names.cmd("cancel_all"): inlet.route("cancel_all", cancels.cancel_all),
    }
    # The bound on what is unacknowledged is each consumer's own: while the journal is away, changes that fill theirs
    # must not shut out cancels and closes, which are read even where the journal is full of what can wait.
    urgent = bus.consumer(
        SERVICE,
        {names.urgent(SERVICE): intake.work, **commands, names.op("trading_state"): intake.trading_state},
        cursors=PgCursorStore(engine, SERVICE),
        public=frozenset(commands),
        dead=inlet.bury,
        part=URGENT,
        handed_out=manager.sender.settle,
    )
    work = bus.consumer(
        SERVICE,
        {
            names.changes(SERVICE): intake.work,
            names.requests(SERVICE): intake.work,
            names.queries(SERVICE): _histories(life, engine, bus, updates).beside(snapshots.query),
        },
        cursors=PgCursorStore(engine, SERVICE),
        dead=inlet.bury,
        part=WORK,
        room=journal,
        handed_out=manager.sender.settle,
    )

    reconciler.known_ms = await _there(life, lambda: recover(engine, bus.redis, names, manager, gates, publisher))
    rules_keeper.tell = snapshots.tell_reference
    snapshots.tell_reference()
    await _watch_over_orders(life, bus, lease, manager, rest, clock, foreign)
    standby.lead(session, readiness)
    readiness.set("clock", clock.known)
    lease.tell(partial(readiness.set, "lease"))
    _begin(
        life,
        trading_socket=socket,
        trading_rest=trading_rest,
        session=session,
        foreign=foreign,
        fundings=fundings,
        resolver=resolver,
        retelling=retelling,
        configuration=_configuration(life, rest, rules, readiness, session),
        supervision=Supervision(Store(bus.redis, names.lease("risk")), sender.supervise),
    )
    life.spawn(_tick(manager, socket, journal, readiness, MissingExecutions(bus.outbox, alarms(names))), "tick")
    _keep(life, bus, names, engine, tracker, budget)
    _read(life, session, lease, urgent, work)


def _read(life: Lifecycle, session: Session, lease: Lease, *consumers: Consumer) -> None:
    held = asyncio.Event()
    lease.tell(lambda ok, _why: held.set() if ok else None)
    for part, consumer in zip(CONSUMERS, consumers, strict=True):
        life.ready(f"consumer:{part}", False, "waits for the first reconciliation")
        life.spawn(_consume(life, consumer, session, held), "consumer")


def _owners(engine: AsyncEngine, bus: Bus, names: Names) -> Owners:
    return Owners(engine, bus.redis, (names.requests(SERVICE), names.urgent(SERVICE), names.changes(SERVICE)))


T = TypeVar("T")


async def _there(life: Lifecycle, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask Redis or PostgreSQL until they are there: one that is down makes the service not ready, not dead."""
    while True:
        try:
            found = await ask()
        except ProgrammingError:  # it is there, and not what it should be
            raise
        except (OSError, DBAPIError, RedisError) as error:
            life.ready("servers", False, str(error))
            await asyncio.sleep(RETRY_S)
        else:
            life.ready("servers", True)
            return found


def _keep(life: Lifecycle, bus: Bus, names: Names, engine: AsyncEngine, tracker: OrderTracker, budget: Budget) -> None:
    """Trim what is ours to trim, and measure what is ours to read, to send and to follow."""
    Figures(tracker, budget)
    days = life.settings.history_days
    if days:
        life.spawn(Retention(engine, days, now_ms, remove_orders).run(), "retention")
    life.spawn(Months(engine, days, now_ms).run(), "months")
    life.spawn(TableSizes(engine, "pms_orders").run(), "table_sizes")
    life.spawn(Trimmer(bus.redis, kept_by(names, SERVICE)).run(), "trimmer")
    read = [stream for stream in topology(names) if SERVICE in stream.groups or stream.name == names.updates(SERVICE)]
    life.spawn(LagSampler(bus.redis, read).run(), "lag")


def _configuration(
    life: Lifecycle, rest: ExchangeClient, rules: Rules, readiness: Readiness, session: Session
) -> Configuration:
    """The watch over how the exchange account is configured."""
    wanted = Wanted(life.settings.position_mode == "hedge", life.settings.exchange_leverage)
    report = partial(readiness.set, "exchange_settings")
    watch = Configuration(Queries(rest), wanted, rules.specs, rules.brackets, report)
    session.on_reconfigured = watch.changed
    return watch


def _engine(life: Lifecycle) -> AsyncEngine:
    engine = create_engine(life.settings.database_url, SERVICE)
    life.on_stop(engine.dispose)
    return engine


async def _lead_from(life: Lifecycle, engine: AsyncEngine, lease: Lease) -> int:
    """The epoch taken under the lease; before the first one nobody led."""
    epoch = await _there(life, lambda: take_epoch(engine, SERVICE))
    if epoch == 1:
        lease.first_ever()
    return epoch


async def _journal(life: Lifecycle, engine: AsyncEngine, epoch: int) -> Journal:
    pending = await _there(life, lambda: adopt(engine, life.settings.db_symbols))
    statements = (*STATEMENTS, *((pending.statement,) if pending else ()))
    report = partial(life.ready, "journal")
    commits = GroupCommit(life.settings.database_url, SERVICE, epoch, statements, report, gather_s=GATHER_S)
    life.on_stop(commits.close)
    life.spawn(commits.run(), "journal")
    return Journal(commits, pending)


def _histories(life: Lifecycle, engine: AsyncEngine, bus: Bus, updates: UpdatesWriter) -> Histories:
    histories = Histories(engine, {"orders": closed_orders}, bus.outbox, updates, now_ms)
    life.spawn(histories.run(), "histories")
    return histories


def _hears(life: Lifecycle) -> bool:
    """Whether Redis is connected for reading and for writing."""
    parts = [life.parts.get(name) for name in ("outbox", *(f"consumer:{part}" for part in CONSUMERS))]
    return all(part is not None and part.ok for part in parts)


async def _watch_over_orders(
    life: Lifecycle,
    bus: Bus,
    lease: Lease,
    manager: OrderManager,
    rest: ExchangeClient,
    clock: VenueClock,
    foreign: ForeignOrders,
) -> None:
    """The dead-man switch, where it is switched on."""
    if not life.settings.dead_man_s:
        return
    switch = DeadMan(
        countdown_ms=life.settings.dead_man_s * 1000,
        manager=manager,
        rest=rest,
        clock=clock,
        outbox=bus.outbox,
        key=bus.names.own(SERVICE, "dead_man"),
        healthy=lambda: lease.held() and _well(life),
        others_at=foreign.symbols,
    )
    await _there(life, lambda: switch.load(bus.redis))
    manager.explain = switch.explain
    life.spawn(switch.run(), "dead_man")


def _well(life: Lifecycle) -> bool:
    """Whether orders may be left to this process: it hears Redis and the exchange, and its journal is written."""
    parts = [life.parts.get(name) for name in ("outbox", "user_stream", "journal", "journal_current")]
    return all(part is not None and part.ok for part in parts)


class _Running(Protocol):
    async def run(self) -> None: ...


def _begin(life: Lifecycle, **parts: _Running) -> None:
    for name, part in parts.items():
        life.spawn(part.run(), name)


async def _consume(life: Lifecycle, consumer: Consumer, session: Session, held: asyncio.Event) -> None:
    """Requests are taken only once the truth about earlier ones is known, and no predecessor can take them any more."""
    await session.reconciled_once.wait()
    await held.wait()
    life.on_stop(consumer.stop)
    await consumer.run()


async def _tick(
    manager: OrderManager, socket: TradingSocket, journal: Journal, readiness: Readiness, missing: MissingExecutions
) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        socket.give_up_old()
        manager.tick()
        missing.look((case.order for case in manager.cases), monotonic_ms())
        current = journal.lag_s < MAX_JOURNAL_LAG_S
        readiness.set("journal_current", current, "" if current else "the journal is more than 5 s behind")


def main() -> None:
    """Run the order service in the foreground."""
    run(SERVICE, wire)


if __name__ == "__main__":
    main()
