"""The exchange's error codes: what each says about the request that got it, and the public code it becomes.

Owns that one table (source: the venue's pages Error-Code and General-Info, November 2026). Never judges a status or a
text: the order service does, for answers without a code. Used by it and by the generated page of codes.
"""

from enum import StrEnum
from typing import NamedTuple

from pms_common.contracts.errors import ErrorCode


class Outcome(StrEnum):
    """What is known about a request that was answered with an error."""

    NOT_EXECUTED = "not_executed"  # refused for a reason of its own: final
    AGAIN = "again"  # proven not executed, for a passing reason: may be sent again
    UNKNOWN = "unknown"  # may have been executed
    RATE = "rate"  # refused at the door, not executed: a limit, wait
    CLOCK = "clock"  # refused for its time stamp, not executed: measure again
    FATAL = "fatal"  # refused at the door, not executed: key, signature, permission, or a service that has gone
    NO_OP = "no_op"  # already so: a success
    GONE = "gone"  # no such open order: it has ended, or never was


class Meaning(NamedTuple):
    """What a code says about its request, and its public code."""

    outcome: Outcome
    error: ErrorCode


_O, _E = Outcome, ErrorCode
_ROWS: tuple[tuple[Outcome, ErrorCode, tuple[int, ...]], ...] = (
    # -1000 "unknown error while processing", -1006 unexpected answer of the bus, -1007 timeout of the backend
    (_O.UNKNOWN, _E.AMBIGUOUS_RESULT, (-1000, -1006, -1007)),
    # the id rests already: an earlier try of ours was executed, so its truth has to be asked for
    (_O.UNKNOWN, _E.EXCHANGE_DUPLICATE_ID, (-4116,)),
    (_O.AGAIN, _E.EXCHANGE_UNAVAILABLE, (-1001, -1008)),
    (_O.RATE, _E.EXCHANGE_RATE_LIMITED, (-1003, -1015, -1034)),
    (_O.CLOCK, _E.EXCHANGE_CLOCK, (-1021, -5028)),
    (_O.FATAL, _E.EXCHANGE_UNAVAILABLE, (-1016,)),
    (_O.FATAL, _E.EXCHANGE_AUTH, (-1002, -1011, -1022, -1099, -2014, -2015, -2017)),
    (_O.NO_OP, _E.EXCHANGE_REJECTED, (-4046, -4059, -4171, -5027)),
    (_O.GONE, _E.EXCHANGE_UNKNOWN_ORDER, (-2011, -2012, -2013)),
    (_O.GONE, _E.EXCHANGE_REJECTED, (-1125,)),  # the listen key has ended
    (_O.NOT_EXECUTED, _E.EXCHANGE_MIN_NOTIONAL, (-4164, -5029)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_MARGIN_INSUFFICIENT, (-2018, -2019, -4118)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_PRECISION, (-1111, -4014, -4023)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_QTY_TOO_SMALL, (-4003, -4004)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_QTY_TOO_LARGE, (-4005,)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_PRICE_RANGE, (-4001, -4002, -4013, -4016, -4024, -4131)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_REDUCE_ONLY, (-2022,)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_POST_ONLY, (-5022,)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_FOK, (-5021,)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_MAX_ORDERS, (-2025, -4045)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_MAX_POSITION, (-2027, -2028)),
    # symbol unknown, closed, settling, reduce-only or under a quantitative rule; account archived
    (
        _O.NOT_EXECUTED,
        _E.EXCHANGE_SYMBOL,
        (-1121, -1122, -4105, -4106, -4107, -4109, -4140, -4141, -4192, -4400, -4401, -5024),
    ),
    # a parameter, a combination or a kind of order the venue does not take: ours to mend
    (_O.NOT_EXECUTED, _E.EXCHANGE_INVALID_ORDER, (-1013, -1014, -1020, -1112, *range(-1106, -1099))),
    (_O.NOT_EXECUTED, _E.EXCHANGE_INVALID_ORDER, (*range(-1120, -1113), -1126, -1128, -1130, -1136)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_INVALID_ORDER, (-2020, -2021, -2026, -4015, -4060, -4061, -4062, -4087, -4088)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_INVALID_ORDER, (-4117, -4120, -4135, -4137, -4138, -4142, -4183, -4184, -4189)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_INVALID_ORDER, (-4210, -4211, -5025, -5026, *range(-5041, -5036), -5043, -5047)),
    (_O.NOT_EXECUTED, _E.EXCHANGE_REJECTED, (-2010, -2023, -2024, -4402)),
    # settings of the account, which we read and never change in passing
    (_O.NOT_EXECUTED, _E.EXCHANGE_REJECTED, (-4028, -4047, -4048, -4067, -4068, -4082, -4161, -4531)),
)
MEANINGS: dict[int, Meaning] = {code: Meaning(outcome, error) for outcome, error, codes in _ROWS for code in codes}


def from_exchange(code: int) -> ErrorCode:
    """The public code for one of the exchange's own (negative) codes; EXCHANGE_REJECTED for one not listed."""
    known = MEANINGS.get(code)
    return known.error if known is not None else ErrorCode.EXCHANGE_REJECTED
