"""What becomes of an entry whose handler raises.

Malformed: to `pms:dead`. A public command: tried again twice, then to `pms:dead`, its owner answering (`on_dead`).
Anything else: the error goes up and the service stops, because a fill or an account fact is never skipped.
Whatever a failing handler had put into the outbox is taken back. Owns the retries. Used by the consumer.
"""

import asyncio
from collections.abc import Callable, Mapping, Set

import msgspec

from pms_common.bus.entry import Entry
from pms_common.bus.errors import BusError, Malformed
from pms_common.bus.outbox import Outbox
from pms_common.logging import get_logger
from pms_common.metrics import counter

log = get_logger(__name__)
_dead = counter("dead_entries", "Entries given up to pms:dead", ["stream"])

Handler = Callable[[Entry], None]
OnDead = Callable[[Entry, str], None]

MAX_TRIES = 3
RETRY_AFTER_S = 0.1
MAX_DEAD_BYTES = 16 * 1024
"""Of the payload kept in `pms:dead`."""


class Handling:
    """Calls handlers, one entry at a time, inside a stretch of the outbox."""

    def __init__(
        self,
        outbox: Outbox,
        handlers: Mapping[str, Handler],
        *,
        public: Set[str],
        dead_stream: str,
        on_dead: OnDead | None,
        fail: Callable[[Exception], None],
    ) -> None:
        self._outbox = outbox
        self._handlers = handlers
        self._public = public
        self._dead_stream = dead_stream
        self._on_dead = on_dead
        self._fail = fail
        self._retries: dict[Entry, asyncio.TimerHandle] = {}

    def handle(self, entry: Entry, tries: int = 1) -> None:
        """Hand the entry to its handler. Raises what must stop the service."""
        savepoint = self._outbox.savepoint()
        try:
            self._handlers[entry.tracker.stream](entry)
        except (Malformed, msgspec.DecodeError, UnicodeError) as error:
            self._outbox.rollback(savepoint)
            self.bury(entry, str(error), tries)
        except Exception as error:
            self._outbox.rollback(savepoint)
            if entry.stream not in self._public or isinstance(error, OSError | BusError):
                raise
            self._try_again(entry, error, tries)

    def bury(self, entry: Entry, reason: str, tries: int) -> None:
        """Move the entry to `pms:dead`: the copy, the answer and the acknowledgement in one MULTI."""
        payload = entry.data or msgspec.json.encode(entry.fields)
        dead_letter(self._outbox, self._dead_stream, entry.stream, entry.id, reason, tries, payload)
        if self._on_dead is not None:
            self._on_dead(entry, reason)
        self._outbox.ack(entry)

    def stop(self) -> None:
        """Give up waiting retries; their entries stay pending and come again at the next start."""
        for retry in self._retries.values():
            retry.cancel()
        self._retries.clear()

    def _try_again(self, entry: Entry, error: Exception, tries: int) -> None:
        log.error("handler_failed", stream=entry.stream, id=entry.id, tries=tries, exc_info=error)
        if tries >= MAX_TRIES:
            self.bury(entry, f"{type(error).__name__}: {error}", tries)
            return
        loop = asyncio.get_running_loop()
        self._retries[entry] = loop.call_later(RETRY_AFTER_S * tries, self._retry, entry, tries + 1)

    def _retry(self, entry: Entry, tries: int) -> None:
        del self._retries[entry]
        self._outbox.begin_stretch()
        try:
            self.handle(entry, tries)
        except Exception as error:  # noqa: BLE001 (reported: the consumer's `run` raises it)
            self._fail(error)
        finally:
            self._outbox.end_stretch()


def dead_letter(
    outbox: Outbox, dead_stream: str, stream: str, entry_id: str, reason: str, tries: int, payload: bytes
) -> None:
    """Copy what could not be handled to the dead stream."""
    _dead.labels(stream).inc()
    log.warning("entry_dead", stream=stream, id=entry_id, reason=reason, tries=tries)
    words = ("reason", reason, "stream", stream, "id", entry_id, "tries", tries)
    outbox.command("XADD", dead_stream, "*", *words, "payload", payload[:MAX_DEAD_BYTES])
