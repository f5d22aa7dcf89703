"""User events leave in another order: ``size`` of them (default 4) are kept, then sent shuffled by ``seed``, or
(``order`` = "reverse") last first. What is kept for ``ms`` (default 200) leaves even if fewer came."""

from random import Random
from typing import Any, ClassVar

from pms_simulator.domain.faults.base import EventFault
from pms_simulator.domain.faults.fields import Fields, wrong

MOST = 1000


class ReorderEvents(EventFault):
    """Mixed up."""

    kind: ClassVar[str] = "reorder_events"

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        size = fields.whole("size")
        self._size = 4 if size is None else size
        if not 2 <= self._size <= MOST:
            raise wrong("size", f"2 to {MOST}")
        wait = fields.whole("ms")
        self.hold_ms = 200 if wait is None else wait
        self._reverse = fields.choice("order", {"shuffle", "reverse"}, "shuffle") == "reverse"
        self._dice = Random(fields.whole("seed") or 0)
        self._kept: list[Any] = []

    def pass_on(self, frame: Any) -> list[tuple[int, Any]]:
        """Nothing until enough are there, then all."""
        self._kept.append(frame)
        return [(0, kept) for kept in self.release()] if len(self._kept) >= self._size else []

    def release(self) -> list[Any]:
        """All that is kept, in its new order."""
        kept, self._kept = self._kept, []
        if self._reverse:
            kept.reverse()
        else:
            self._dice.shuffle(kept)
        return kept
