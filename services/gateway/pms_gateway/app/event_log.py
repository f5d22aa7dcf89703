"""The public event log: each event numbered, written, published and acknowledged in one MULTI.

Owns the writing of `pms:events` and the epoch. Sockets hear of an event only once it is in the log.
Used by `app.updates`.
"""

import asyncio
from collections.abc import Callable
from functools import cache

from pms_common import tracing
from pms_common.bus import Outbox
from pms_common.contracts.bus.common import PublicEvent
from pms_common.contracts.events import splice
from pms_common.logging import get_logger
from pms_common.metrics import counter
from pms_common.names import Names
from pms_gateway.adapters.cursors import READER, Cursors
from pms_gateway.adapters.log_store import LogStore
from pms_gateway.app.hub import Hub, LiveEvent
from pms_gateway.domain.sequencer import Sequencer, parse_id

log = get_logger(__name__)

WATCH_S = 1.0
LIFE = "life"
"""Beside the log's position: the life of Redis in which it was reached."""

_events = counter("events", "Public events written", ["type"])
_events_of = cache(_events.labels)
"""Looked up once a type."""
_repeats = counter("event_repeats", "Events whose key was seen before")


class EventLog:
    """`open` it before the first event; `run` and `watch` live as long as the service."""

    def __init__(
        self,
        *,
        store: LogStore,
        cursors: Cursors,
        outbox: Outbox,
        hub: Hub,
        names: Names,
        incarnation: Callable[[], str],
        now_ms: Callable[[], int],
    ) -> None:
        self._sequencer = Sequencer(0, (0, 0), {})
        self._store, self._cursors = store, cursors
        self._outbox, self._hub, self._names = outbox, hub, names
        self._incarnation, self._now_ms = incarnation, now_ms
        self._life = ""
        self._written: list[LiveEvent] = []
        self._unsaved: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._durable = self._sequencer.last_id

    async def open(self) -> None:
        """Go on where the log stands; in a new epoch where another life of Redis may know less than was written."""
        position, self._life = await self._store.position(), await self._store.life()
        kept = await self._cursors.load(READER)
        saved = parse_id(kept.get(self._names.events, "0-0"))
        if position.epoch == 0 or position.last_id < saved or kept.get(LIFE) != self._life:
            epoch = max(position.epoch + 1, self._now_ms())
            log.warning("event_log_epoch", epoch=epoch, known=position.last_id, written=saved)
            await self._store.set_epoch(epoch)
            position.epoch = epoch
        self._sequencer = Sequencer(position.epoch, max(position.last_id, saved), position.seqs, position.keys)
        self._durable = self._sequencer.last_id
        await self._keep()

    @property
    def epoch(self) -> int:
        """The present epoch."""
        return self._sequencer.epoch

    def take(self, event: PublicEvent) -> None:
        """Write an event, unless it is a repeat. Synchronous: leaves with the acknowledgement of its entry."""
        self._check_life()
        key = f"{event.type}|{event.account_id}|{event.key}"
        stamp = self._sequencer.take(key, event.account_id, self._now_ms())
        if stamp is None:
            _repeats.inc()
            return
        context = event.traceparent and tracing.step(event.traceparent, key)
        payload = splice(bytes(event.payload), stamp.seq, stamp.event_id, stamp.epoch, context)
        if context:
            about = {"event_id": stamp.event_id, "account_id": event.account_id}
            tracing.record(f"event {event.type}", context, event.traceparent, self._now_ms(), **about)
        fields = ("type", event.type, "data", payload, "key", key)
        self._outbox.command("XADD", self._names.events, stamp.event_id, *fields)
        self._outbox.publish(self._names.event_channel(event.type), payload)
        self._unsaved[event.account_id] = stamp.seq
        _events_of(event.type).inc()
        self._written.append(LiveEvent(self._sequencer.last_id, payload, event.account_id))
        self._wake.set()

    async def run(self) -> None:
        """Hand to sockets what has reached the log."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            written, self._written = self._written, []
            await self._outbox.flush(late=False)
            self._hub.add(written)
            self._durable = written[-1].event_id

    async def watch(self) -> None:
        """Keep the position, and begin another epoch also where nothing is written after a loss."""
        saved = (self._life, self._durable)
        while True:
            await asyncio.sleep(WATCH_S)
            self._check_life()
            self._save_numbers()
            if (self._life, self._durable) != saved:
                saved = (self._life, self._durable)
                await self._keep()

    def _save_numbers(self) -> None:
        """For accounts whose events leave the log one day; until then the log itself tells their numbers."""
        unsaved, self._unsaved = self._unsaved, {}
        for account_id, seq in unsaved.items():
            self._outbox.command("HSET", self._store.seq_key, account_id, seq)

    async def _keep(self) -> None:
        last_ms, last_n = self._durable
        await self._cursors.save(READER, {self._names.events: f"{last_ms}-{last_n}", LIFE: self._life})

    def _check_life(self) -> None:
        """Another life of Redis may have lost its last events: their numbers are never told again in their epoch.

        What the log holds cannot tell: the newest events are written before anybody has looked.
        """
        life = self._incarnation()
        if life in ("", self._life):  # empty before the bus has looked
            return
        epoch = max(self.epoch + 1, self._now_ms())
        log.error("event_log_life", before=self.epoch, epoch=epoch)
        self._life, self._sequencer.epoch = life, epoch
        self._outbox.command("SET", self._store.epoch_key, epoch)
