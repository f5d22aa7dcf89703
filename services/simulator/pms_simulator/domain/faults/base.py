"""What all faults share: whom they concern, how often they strike.

A control request names, all optional: ``operation`` (``order.place``, or a REST route such as
``POST /fapi/v1/order``), ``transport`` (``rest`` or ``ws``), ``symbol``, and one of ``count`` (strikes left),
``seconds`` (time in force), ``probability`` with ``seed``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from pms_simulator.domain.errors import VenueError


@dataclass(frozen=True, slots=True)
class Call:
    """A request as faults see it. ``name`` is the REST route or the WebSocket method."""

    transport: str
    name: str
    operation: str
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a request: wait, execute or not, answer or not, hang up."""

    delay_before_ms: int = 0
    delay_after_ms: int = 0
    execute: bool = True
    answer: bool = True
    disconnect: bool = False
    error: VenueError | None = None


class Fault(ABC):
    """One fault in force."""

    kind: ClassVar[str]

    def __init__(self, body: Mapping[str, Any], now_ms: int) -> None:
        self._operation = body.get("operation")
        self._transport = body.get("transport")
        self._symbol = body.get("symbol")
        self._count = number(body, "count")
        seconds = number(body, "seconds")
        self._until_ms = None if seconds is None else now_ms + int(seconds * 1000)
        self._probability = number(body, "probability")
        self._random = Random(number(body, "seed") or 0)

    @property
    def sockets(self) -> str | None:
        """Sockets to close at once when the fault is put in force: a route name, ``all``, or None."""
        return None

    def is_spent(self, now_ms: int) -> bool:
        """Whether it can never strike again."""
        return (self._count is not None and self._count <= 0) or (
            self._until_ms is not None and now_ms >= self._until_ms
        )

    def strikes(self, call: Call) -> bool:
        """Whether ``call`` is hit; uses up one of ``count``."""
        if self._operation is not None and self._operation not in {call.operation, call.name}:
            return False
        if self._transport is not None and self._transport != call.transport:
            return False
        if self._symbol is not None and self._symbol != call.params.get("symbol"):
            return False
        if self._probability is not None and self._random.random() >= self._probability:
            return False
        if self._count is not None:
            self._count -= 1
        return True

    @abstractmethod
    def verdict(self) -> Verdict:
        """What a struck request suffers."""


def number(body: Mapping[str, Any], name: str) -> float | None:
    """A number that may be absent; -1100 where it is none or negative."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise VenueError(-1100, f"Illegal value for '{name}'.")
    return value
