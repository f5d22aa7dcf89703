"""What an error of the exchange means for the request that got it: one table of codes.

Owns the class of every code (source: the venue's error-code page and §4, §11 of its general information, November
2026). The public code of each is `pms_common.contracts.errors.from_exchange`. Used wherever an answer is judged.
"""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What is known about a request that was answered with an error."""

    NOT_EXECUTED = "not_executed"  # refused for a reason of its own: final
    AGAIN = "again"  # proven not executed, for a passing reason: may be sent again
    UNKNOWN = "unknown"  # may have been executed
    RATE = "rate"  # not executed: a limit, wait
    CLOCK = "clock"  # not executed: the timestamp, measure again
    FATAL = "fatal"  # not executed: key, signature or permission
    NO_OP = "no_op"  # already so: a success
    GONE = "gone"  # no such open order: it has ended, or never was


@dataclass(frozen=True, slots=True)
class VenueError:
    """An error answer: HTTP or WebSocket API status, the venue's code and text, and its wish to be left alone."""

    status: int
    code: int
    message: str
    retry_at_ms: int | None = None


_AMBIGUOUS = (
    -1000,  # "An unknown error occurred while processing the request"
    -1006,  # unexpected response from the bus: execution status unknown
    -1007,  # timeout of the backend: execution status unknown
    -4116,  # the id rests already: an earlier try of ours was executed, so its truth has to be asked for
)
_CODES: dict[Outcome, tuple[int, ...]] = {
    Outcome.UNKNOWN: _AMBIGUOUS,
    Outcome.AGAIN: (-1001, -1008),
    Outcome.RATE: (-1003, -1015, -1034),
    Outcome.CLOCK: (-1021, -5028),
    Outcome.FATAL: (-1002, -1011, -1022, -1099, -2014, -2015, -2017),
    Outcome.NO_OP: (-4046, -4059, -4171, -5027),
    Outcome.GONE: (-2011, -2012, -2013),
}
CLASSES: dict[int, Outcome] = {code: outcome for outcome, codes in _CODES.items() for code in codes}

# HTTP 503 comes with one of three texts, and only these two say that nothing was executed.
_CERTAIN_503 = ("Service Unavailable", "Request throttled", "Internal error")


def judge(error: VenueError) -> Outcome:
    """What the error says about the request. A code not listed is a refusal only where the status is 4xx: any other
    answer, also a success without its content, proves nothing.
    """
    known = CLASSES.get(error.code)
    if known is not None:
        return known
    if error.status in (418, 429, 403):  # 403: the venue's firewall, before any engine
        return Outcome.RATE
    if error.status == 401:
        return Outcome.FATAL
    if error.status == 503:
        return Outcome.AGAIN if error.message.startswith(_CERTAIN_503) else Outcome.UNKNOWN
    refused = 400 <= error.status < 500 and error.status != 408
    return Outcome.NOT_EXECUTED if refused else Outcome.UNKNOWN
