"""What an error answer of the exchange means for the request that got it.

Owns the judgement of statuses and texts; codes have one table, `pms_common.contracts.exchange_codes`. What nothing
proves is unknown: an order is never taken for refused because its answer is new to us. Used wherever an answer is
judged.
"""

from dataclasses import dataclass

from pms_common.contracts.exchange_codes import MEANINGS, Outcome


@dataclass(frozen=True, slots=True)
class VenueError:
    """An error answer: HTTP or WebSocket API status, the venue's code and text, and how long it wants no more."""

    status: int
    code: int
    message: str
    wait_ms: int | None = None


# HTTP 503 comes with one of four texts: these three say that nothing was executed, "Unknown error" says nothing.
_CERTAIN_503 = ("Service Unavailable", "Request throttled", "Internal error")
_UNCERTAIN_503 = "Unknown error"
_RATE_STATUSES = (403, 418, 429)
"""Refused at the door: the venue's firewall, its ban, its limit."""


def judge(error: VenueError) -> Outcome:
    """What the error says about the request. A code or status that is not listed proves nothing."""
    if error.status == 503 and error.message.startswith(_UNCERTAIN_503):
        return Outcome.UNKNOWN
    known = MEANINGS.get(error.code)
    if known is not None:
        return known.outcome
    if error.status in _RATE_STATUSES:
        return Outcome.RATE
    if error.status == 401:
        return Outcome.FATAL
    if error.status == 503 and error.message.startswith(_CERTAIN_503):
        return Outcome.AGAIN
    return Outcome.UNKNOWN
