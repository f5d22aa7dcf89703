"""What REST answers say besides their content: errors, when to come back, how much of each limit is used.

Owns the reading of headers and error bodies. Never does I/O. Used by both REST clients.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from pms_common.clock import monotonic_ms
from pms_orders.adapters.binance import trading_wire, wire
from pms_orders.domain.errors import VenueError
from pms_orders.domain.rate import LONGEST_PAUSE_MS, MINUTE_MS, Budget

_COUNTS = (
    ("X-MBX-USED-WEIGHT-1M", "REQUEST_WEIGHT", MINUTE_MS),
    ("X-MBX-ORDER-COUNT-10S", "ORDERS", 10_000),
    ("X-MBX-ORDER-COUNT-1M", "ORDERS", MINUTE_MS),
)


def note_counts(headers: Mapping[str, str], budget: Budget) -> None:
    """Correct the budget by what the venue has counted."""
    for name, limit_type, span_ms in _COUNTS:
        count = _number(headers.get(name))
        if count is not None:
            budget.told(limit_type, span_ms, count, monotonic_ms())


def read_error(status: int, body: bytes, headers: Mapping[str, str], now_ms: int) -> VenueError:
    """The error that an answer is; `now_ms` is the wall clock's."""
    try:
        told = trading_wire.error_body.decode(body)
    except wire.UNREADABLE:  # a proxy's page
        told = trading_wire.ErrorBody(0, body[:200].decode(errors="replace"))
    return VenueError(status, told.code, told.msg, _wait_ms(headers.get("Retry-After"), now_ms))


def _wait_ms(after: str | None, now_ms: int) -> int | None:
    """When to ask again, told as seconds or as a date (RFC 9110, 10.2.3)."""
    if after is None:
        return None
    seconds = _number(after)
    if seconds is not None:
        return min(seconds * 1_000, LONGEST_PAUSE_MS)
    try:
        at_ms = int(parsedate_to_datetime(after).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None
    return min(max(at_ms - now_ms, 0), LONGEST_PAUSE_MS)


def _number(text: str | None) -> int | None:
    """A header's number; None where it is missing or something else."""
    known = text is not None and text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if known and text is not None else None
