"""The dead-man switch: which symbols' countdowns are to be set at the exchange, and what a countdown explains.

A countdown cancels all open orders of a symbol unless it is set again in time. It is armed only where own orders rest
and no foreign ones, which it would cancel, too; set again when a third of it has passed; disarmed where its reason has
gone. Pure: time, orders and what was armed are passed in.
"""

from collections.abc import Mapping, Set
from typing import NamedTuple

WEIGHT = 11
"""Of setting one countdown (10) and of looking for foreign orders before (1)."""
WEIGHT_A_MINUTE = 600
"""A quarter of the venue's 2,400: what is left out is told, not squeezed in."""
EARLY_MS = 200
LATE_MS = 5_000
"""The venue counts from when the request reached it, and looks every 10 ms."""
REASON = "dead_man"


class Countdown(NamedTuple):
    """A countdown to be set; 0 disarms."""

    symbol: str
    countdown_ms: int


def capacity(countdown_ms: int) -> int:
    """How many symbols fit into the weight."""
    return max(1, WEIGHT_A_MINUTE * countdown_ms // 3 // 60_000 // WEIGHT)


def decide(
    own: Mapping[str, int], foreign: Set[str], armed_until_ms: Mapping[str, int], now_ms: int, countdown_ms: int
) -> list[Countdown]:
    """What is to be set now, disarming first. `own`: how many of our orders rest by symbol; `armed_until_ms`: when the
    countdowns that were set end. Where not all symbols fit, those that are armed, then those with most orders do.
    """
    armed = {symbol for symbol, until_ms in armed_until_ms.items() if until_ms > now_ms}
    wanted = sorted((symbol for symbol in own if symbol not in foreign), key=lambda s: (s not in armed, -own[s], s))
    wanted = wanted[: capacity(countdown_ms)]
    disarm = [Countdown(symbol, 0) for symbol in sorted(armed.difference(wanted))]
    due_ms = now_ms + countdown_ms * 2 // 3
    return disarm + [Countdown(symbol, countdown_ms) for symbol in wanted if armed_until_ms.get(symbol, 0) <= due_ms]


def explains(first_ms: int, last_ms: int, event_ms: int) -> bool:
    """Whether a countdown that ended within that time has cancelled an order whose end the exchange dates so."""
    return first_ms - EARLY_MS <= event_ms <= last_ms + LATE_MS
