"""What can be made to go wrong, one kind a file. A new kind: its file, and one line in ``FAULTS`` or ``ACTIONS``.

Owns deciding whether a fault strikes and what it does to a request or an event. Never does it: the adapters act on
verdicts, the user streams on what is passed on.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults.adl import Adl
from pms_simulator.domain.faults.autoclose import AutoClose
from pms_simulator.domain.faults.ban import Ban
from pms_simulator.domain.faults.base import Action, Call, EventFault, Fault, Notice, RequestFault, Stage, Verdict
from pms_simulator.domain.faults.delay import Delay
from pms_simulator.domain.faults.disconnect import CloseSockets, HangUp
from pms_simulator.domain.faults.drop_event import DropEvent
from pms_simulator.domain.faults.drop_response import DropResponse
from pms_simulator.domain.faults.duplicate_event import DuplicateEvent
from pms_simulator.domain.faults.error import ErrorReply
from pms_simulator.domain.faults.expire_listen_key import ExpireListenKey
from pms_simulator.domain.faults.fields import Fields
from pms_simulator.domain.faults.foreign_order import ForeignOrder
from pms_simulator.domain.faults.half_open import HalfOpen
from pms_simulator.domain.faults.late_event import LateEvent
from pms_simulator.domain.faults.reorder_events import ReorderEvents
from pms_simulator.domain.faults.settlement import Settlement
from pms_simulator.domain.faults.shrink_reduce_only import ShrinkReduceOnly
from pms_simulator.domain.faults.stale_query import StaleQuery

FAULTS: dict[str, type[Fault]] = {
    fault.kind: fault
    for fault in (Ban, Delay, DropEvent, DropResponse, DuplicateEvent, ErrorReply, LateEvent, ReorderEvents,
                  ShrinkReduceOnly, StaleQuery)
}  # fmt: skip
ACTIONS: dict[str, type[Action]] = {
    action.kind: action for action in (Adl, AutoClose, ExpireListenKey, ForeignOrder, HalfOpen, Settlement)
}
KINDS = sorted({*FAULTS, *ACTIONS, HangUp.kind})
MAX_ACTIVE = 1000
MAX_STRUCK = 10_000

__all__ = [
    "KINDS", "Action", "Call", "CloseSockets", "EventFault", "Fault", "Faults", "Notice", "Stage", "Verdict", "parse",
]  # fmt: skip


def parse(body: Mapping[str, Any], now_ms: int) -> Fault | Action:
    """What a control request asks for; a refusal naming the field where it makes no sense."""
    fields = Fields(body)
    kind = fields.needed("kind")
    wanted: Fault | Action
    if kind == HangUp.kind:
        wanted = HangUp(fields, now_ms) if "operation" in body else CloseSockets(fields)
    elif kind in FAULTS:
        wanted = FAULTS[kind](fields, now_ms)
    elif kind in ACTIONS:
        wanted = ACTIONS[kind](fields)
    else:
        raise VenueError(-1100, f"Unknown fault 'kind' {kind}; known: {', '.join(KINDS)}.")
    fields.finish(kind)
    return wanted


class Faults:
    """The faults in force, oldest first; the first that strikes wins. ``struck`` tells what was hit."""

    def __init__(self) -> None:
        self.requests: list[RequestFault] = []
        self.events: list[EventFault] = []
        self.struck: deque[dict[str, Any]] = deque(maxlen=MAX_STRUCK)
        self._number = 0

    @property
    def active(self) -> list[Fault]:
        """All in force."""
        return [*self.requests, *self.events]

    def add(self, fault: Fault) -> int:
        """Put a fault in force; its number. At most MAX_ACTIVE."""
        if len(self.requests) + len(self.events) >= MAX_ACTIVE:
            raise VenueError(-1100, f"More than {MAX_ACTIVE} faults.")
        self._number += 1
        fault.number = self._number
        if isinstance(fault, RequestFault):
            self.requests.append(fault)
        elif isinstance(fault, EventFault):
            self.events.append(fault)
        return fault.number

    def clear(self, account: str | None = None, number: int | None = None) -> None:
        """Nothing goes wrong any more: at all, for one account, or by one fault."""

        def stays(fault: Fault) -> bool:
            return (account is not None or number is not None) and not (
                (account is None or fault.account == account) and (number is None or fault.number == number)
            )

        self.requests = [fault for fault in self.requests if stays(fault)]
        self.events = [fault for fault in self.events if stays(fault)]

    def strike(self, call: Call, now_ms: int) -> Verdict | None:
        """What happens to ``call``, None for nothing."""
        self.requests = [fault for fault in self.requests if not fault.is_spent(now_ms)]
        for fault in self.requests:
            if fault.strikes(call):
                self._note(fault, call.operation or call.name, now_ms)
                return fault.verdict(call, now_ms)
        return None

    def strike_event(self, notice: Notice, now_ms: int) -> EventFault | None:
        """The fault that befalls an event, None for none."""
        self.events = [fault for fault in self.events if not fault.is_spent(now_ms)]
        for fault in self.events:
            if fault.strikes(notice):
                self._note(fault, notice.event, now_ms)
                return fault
        return None

    @property
    def longest_lag_ms(self) -> int:
        """How far back queries look at most, 0 where none does."""
        return max((fault.lag_ms for fault in self.requests if isinstance(fault, StaleQuery)), default=0)

    def _note(self, fault: Fault, what: str, now_ms: int) -> None:
        self.struck.append({"id": fault.number, "kind": fault.kind, "what": what, "time": now_ms})
