"""User events on their way out, when faults are in force: lost, doubled, late, in another order.

Owns what is held back and the timers that let it go. ``domain.faults`` decides.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from pms_simulator.domain.events import Event
from pms_simulator.domain.faults import EventFault, Faults, Notice


class Reader(Protocol):
    """A socket that user events are written to."""

    def send_event(self, payload: bytes) -> None:
        """Write one encoded event."""


Frame = tuple[tuple[Reader, ...], bytes]


def notice_of(account: str, event: Event) -> Notice:
    """An event as faults see it."""
    body = event.get("o", event)
    execution = body.get("x") or event.get("a", {}).get("m", "")
    legs = event.get("a", {}).get("P") or [{}]
    return Notice(account, event["e"], execution, body.get("s") or legs[0].get("s", ""), body.get("c", ""))


class Disturbance:
    """Passes events on to readers as the faults in force will have it."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._waiting: set[EventFault] = set()

    def send(self, account: str, event: Event, readers: Sequence[Reader], payload: bytes, now_ms: int) -> None:
        """Send one event to ``readers``, oldest first; without any no fault is used up."""
        if not readers:
            return
        fault = self._faults.strike_event(notice_of(account, event), now_ms)
        if fault is None:
            self._to((tuple(readers), payload))
            return
        chosen = {"all": readers, "oldest": readers[:1], "newest": readers[-1:]}[fault.reader]
        self._to((tuple(reader for reader in readers if reader not in chosen), payload))
        for wait_ms, frame in fault.pass_on((tuple(chosen), payload)):
            if wait_ms:
                asyncio.get_running_loop().call_later(wait_ms / 1000, self._to, frame)
            else:
                self._to(frame)
        if fault.hold_ms and fault not in self._waiting:
            self._waiting.add(fault)
            asyncio.get_running_loop().call_later(fault.hold_ms / 1000, self._release, fault)

    def _release(self, fault: EventFault) -> None:
        self._waiting.discard(fault)
        for frame in fault.release():
            self._to(frame)

    def _to(self, frame: Frame) -> None:
        readers, payload = frame
        for reader in readers:
            reader.send_event(payload)
