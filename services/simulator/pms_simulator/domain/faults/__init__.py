"""What can be made to go wrong, one kind a file. A new kind: its file, and one line in ``KINDS``.

Owns deciding whether a fault strikes and what it does to a request. Never does it: the adapters act on verdicts.
"""

from collections.abc import Mapping
from typing import Any

from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults.base import Call, Fault, Verdict
from pms_simulator.domain.faults.delay import Delay
from pms_simulator.domain.faults.disconnect import Disconnect
from pms_simulator.domain.faults.drop_response import DropResponse
from pms_simulator.domain.faults.error import ErrorReply

KINDS: dict[str, type[Fault]] = {fault.kind: fault for fault in (Delay, Disconnect, DropResponse, ErrorReply)}
MAX_ACTIVE = 100

__all__ = ["KINDS", "Call", "Fault", "Faults", "Verdict", "parse"]


def parse(body: Mapping[str, Any], now_ms: int) -> Fault:
    """The fault a control request asks for; -1100 naming the field where it makes no sense."""
    kind = KINDS.get(str(body.get("kind")))
    if kind is None:
        raise VenueError(-1100, f"Unknown fault kind '{body.get('kind')}'; known: {', '.join(sorted(KINDS))}.")
    return kind(body, now_ms)


class Faults:
    """The faults in force, oldest first; the first that strikes wins."""

    def __init__(self) -> None:
        self.active: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force; at most MAX_ACTIVE."""
        if len(self.active) >= MAX_ACTIVE:
            raise VenueError(-1100, f"More than {MAX_ACTIVE} faults.")
        self.active.append(fault)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.active.clear()

    def strike(self, call: Call, now_ms: int) -> Verdict | None:
        """What happens to ``call``, None for nothing."""
        if not self.active:
            return None
        self.active = [fault for fault in self.active if not fault.is_spent(now_ms)]
        for fault in self.active:
            if fault.strikes(call):
                return fault.verdict()
        return None
