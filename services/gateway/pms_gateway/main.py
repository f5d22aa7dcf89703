"""The gateway: wiring only."""

from pms_common.asking import Snapshots
from pms_common.bus import Trimmer
from pms_common.bus.trim import AUDIT_KEPT_MS, DEAD_KEPT_MS, EVENTS_KEPT_MS
from pms_common.clock import now_ms
from pms_common.db import create_engine
from pms_common.db.cursors import PgCursorStore
from pms_common.joining import join
from pms_common.lease import lead
from pms_common.names import Names
from pms_common.service import Lifecycle, run
from pms_gateway.adapters.cursors import Cursors
from pms_gateway.adapters.log_store import LogStore
from pms_gateway.app.event_log import EventLog
from pms_gateway.app.hub import Hub
from pms_gateway.app.processes import Processes
from pms_gateway.app.updates import SOURCES, Updates
from pms_gateway.app.waiters import Waiters
from pms_gateway.domain.read_model import ReadModel
from pms_gateway.door.audit import Audit
from pms_gateway.door.commands import WAIT_S, Commands
from pms_gateway.door.history import History
from pms_gateway.door.prices import Prices
from pms_gateway.door.reads import Reads
from pms_gateway.door.server import serve
from pms_gateway.door.socket import EventSocket
from pms_gateway.door.tokens import TokenFile


async def wire(life: Lifecycle) -> None:
    """Put the gateway together."""
    settings, tokens = life.settings, TokenFile(life.settings.gateway_token_file)
    names = Names(settings.namespace, settings.feed_namespace)
    bus = await join(life, names)
    engine = create_engine(settings.database_url, "gateway", pool_size=1)
    life.on_stop(engine.dispose)
    cursors = Cursors(PgCursorStore(engine, "gateway"), life.ready)
    store, hub, model, waiters = LogStore(bus.redis, names), Hub(), ReadModel(), Waiters()
    event_log = EventLog(
        store=store,
        cursors=cursors,
        outbox=bus.outbox,
        hub=hub,
        names=names,
        incarnation=lambda: bus.incarnation.identity,
        now_ms=now_ms,
    )
    snapshots = Snapshots("gateway", tuple(SOURCES), outbox=bus.outbox, names=names, report=life.ready)
    updates = Updates(bus.outbox, event_log, model, waiters, snapshots)
    audit = Audit(bus.redis, names)
    commands = Commands(bus.redis, names, waiters, audit, now_ms, WAIT_S)
    history = History(bus.redis, names, waiters)
    processes, prices = Processes(bus.redis, names), Prices(bus.feed_redis, names)
    reads = Reads(model, history, lambda: updates.last_ms, processes, lambda: event_log.epoch)
    socket = EventSocket(hub, store, life.stopping, tokens)
    door = await serve(
        life,
        tokens,
        [*commands.routes(), *reads.routes(), *history.routes(), *prices.routes(), *audit.routes(), *socket.routes()],
    )
    life.spawn(processes.run(), "processes")
    await lead(life, bus, "gateway")
    await event_log.open()
    handlers = updates.handlers(names)
    # Events come from the others. Of the orders' own updates the lists of open orders follow, and results.
    orders = {names.updates("orders"): handlers.pop(names.updates("orders"))}
    consumers = (
        bus.consumer("gateway", handlers, cursors=cursors, part="events"),
        bus.consumer("gateway", orders, cursors=cursors, part="orders", calm=lambda: not len(waiters)),
    )
    waiters.on_waiting = consumers[1].hurry
    life.spawn(event_log.run(), "event_log")
    life.spawn(event_log.watch(), "epoch")
    for consumer in consumers:
        life.on_stop(consumer.stop)
        life.spawn(consumer.run(), "consumer")
    life.on_stop(door.cleanup)  # first of all: who waits for a result may still get it
    life.spawn(snapshots.run(), "snapshots")
    life.spawn(waiters.until(life.stopping), "waiters")
    aged = {names.events: EVENTS_KEPT_MS, names.dead: DEAD_KEPT_MS, names.audit: AUDIT_KEPT_MS}
    life.spawn(Trimmer(bus.redis, [], aged=aged).run(), "trimmer")


def main() -> None:
    """Run the gateway in the foreground. Its own door serves the probes."""
    run("gateway", wire, probes=False)
