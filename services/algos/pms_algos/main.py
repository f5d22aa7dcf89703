"""The algos service: wiring only. Commands wait in their streams until every child has been looked up."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from pms_algos.adapters import store
from pms_algos.app.accounts import Accounts
from pms_algos.app.children import Children
from pms_algos.app.clock import Clock
from pms_algos.app.commands import Commands
from pms_algos.app.controls import Controls
from pms_algos.app.engine import Engine
from pms_algos.app.markets import Markets
from pms_algos.app.outputs import Outputs
from pms_algos.app.updates import Updates
from pms_algos.app.watch import Watch
from pms_common.answers import Answers
from pms_common.asking import Snapshots
from pms_common.bus import Bus, LagSampler, Trimmer, UpdatesWriter
from pms_common.clock import now_ms
from pms_common.contracts.bus.common import Tick
from pms_common.db import GroupCommit, Retention, TableSizes, create_engine, take_epoch
from pms_common.db.cursors import PgCursorStore
from pms_common.inlet import CommandInlet
from pms_common.joining import join
from pms_common.lease import lead
from pms_common.marks import Marks
from pms_common.names import Names
from pms_common.service import Lifecycle, run
from pms_common.topology import kept_by, topology


async def wire(life: Lifecycle) -> None:
    """Put the service together. Nothing is read before what a predecessor left is loaded."""
    settings = life.settings
    names = Names(settings.namespace, settings.feed_namespace)
    bus = await join(life, names)
    database = create_engine(settings.database_url, "algos", pool_size=2)
    life.on_stop(database.dispose)
    await lead(life, bus, "algos")
    epoch = await take_epoch(database, "algos")
    journal = GroupCommit(
        settings.database_url, "algos", epoch, [store.SAVE], lambda ok, why: life.ready("journal", ok, why)
    )
    life.spawn(journal.run(), "journal")

    updates = UpdatesWriter(bus.outbox, names.updates("algos"), epoch)
    marks = Marks(bus, names, "algos")
    await marks.load(now_ms())
    answers = Answers(names, bus.outbox, updates, marks)
    inlet = CommandInlet(bus.outbox, marks, answers, now_ms, require_account=settings.require_account)
    markets, accounts = Markets(), Accounts()
    outputs = Outputs(names, bus.outbox, updates, answers, marks, markets, accounts)
    engine = Engine(markets, accounts, outputs, bus.outbox, journal, Clock())
    controls = Controls(engine, outputs, journal, now_ms)
    commands = Commands(engine, controls, inlet, answers, names, now_ms)
    watch = Watch(bus.feed_outbox, names, lambda: [*engine.algos.symbols, *commands.symbols], now_ms)
    engine.on_symbols = commands.on_symbols = watch.changed
    engine.resume(await store.load(database))

    looked_up = asyncio.Event()

    def snapshot_ended(service: str) -> None:
        if service == "orders":
            engine.lookup_done()
            looked_up.set()
        else:
            controls.accounts_known()
            commands.told()

    snapshots = Snapshots(
        "algos", ("orders", "risk"), outbox=bus.outbox, names=names, report=life.ready, on_ended=snapshot_ended
    )
    children = Children(engine, outputs, bus.outbox, now_ms)
    handlers = Updates(engine, children, controls, bus.outbox, updates, snapshots, commands.told).handlers(names)
    cursors = PgCursorStore(database, "algos")

    def idle() -> bool:
        return not len(engine.algos)

    told = bus.consumer("algos", handlers, cursors=cursors, calm=idle)
    routes = commands.routes()
    asked = bus.consumer("algos", routes, cursors=cursors, public=routes.keys(), dead=inlet.bury, room=journal)

    async def take_commands() -> None:
        await looked_up.wait()
        await asked.run()

    def on_ticks(ticks: list[Tick]) -> None:
        for tick in ticks:
            engine.tick(tick)
        commands.told()

    for close in (journal.close, told.stop, asked.stop):
        life.on_stop(close)
    ticks = bus.ticks_reader(names.ticks, "algos", on_ticks, calm=idle, missed=engine.missed)
    running = {"updates": told.run(), "commands": take_commands(), "ticks": ticks.run(), "snapshots": snapshots.run()}
    for name, part in (*running.items(), ("watch", watch.run())):
        life.spawn(part, name)
    _keep(life, bus, names, database, {*handlers, *routes})


def _keep(life: Lifecycle, bus: Bus, names: Names, database: AsyncEngine, read: set[str]) -> None:
    """Trim and measure what is ours: the streams only we read, our updates, our tables."""
    ours = [stream for stream in topology(names) if stream.name in {*read, names.updates("algos")}]
    life.spawn(Trimmer(bus.redis, kept_by(names, "algos")).run(), "trimmer")
    life.spawn(LagSampler(bus.redis, ours).run(), "lag")
    if life.settings.history_days:
        life.spawn(Retention(database, life.settings.history_days, now_ms, store.remove_ended).run(), "retention")
    life.spawn(TableSizes(database, "pms_algos").run(), "table_sizes")


def main() -> None:
    """Run the algos service in the foreground."""
    run("algos", wire)
