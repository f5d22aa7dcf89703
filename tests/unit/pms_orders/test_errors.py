"""R-02: what every error code of the venue says about the request."""

import pytest

from pms_common.contracts.errors import ErrorCode
from pms_common.contracts.exchange_codes import MEANINGS, Outcome, from_exchange
from pms_orders.domain.errors import VenueError, judge


@pytest.mark.parametrize(
    ("status", "code", "message", "outcome"),
    [
        (400, -2019, "Margin is insufficient.", Outcome.NOT_EXECUTED),
        (400, -5022, "Post only", Outcome.NOT_EXECUTED),
        (400, -5021, "FOK", Outcome.NOT_EXECUTED),
        (400, -4164, "min notional", Outcome.NOT_EXECUTED),
        (503, -1001, "Internal error; unable to process your request. Please try again.", Outcome.AGAIN),
        (503, -1008, "Request throttled by system-level protection.", Outcome.AGAIN),
        (503, 0, "Service Unavailable.", Outcome.AGAIN),
        (503, 0, "Unknown error, please check your request or try again later.", Outcome.UNKNOWN),
        (200, -1006, "", Outcome.UNKNOWN),
        (408, -1007, "Timeout waiting for response from backend server.", Outcome.UNKNOWN),
        (408, 0, "", Outcome.UNKNOWN),
        (500, 0, "Request occur unknown error.", Outcome.UNKNOWN),
        (502, 0, "Bad gateway", Outcome.UNKNOWN),
        (520, -9999, "something new", Outcome.UNKNOWN),
        (200, 0, "", Outcome.UNKNOWN),
        (200, -9999, "something new", Outcome.UNKNOWN),
        (302, 0, "Moved", Outcome.UNKNOWN),
        (0, 0, "", Outcome.UNKNOWN),
        (400, -4116, "clientOrderId is duplicated", Outcome.UNKNOWN),
        (429, -1003, "Too many requests", Outcome.RATE),
        (429, 0, "", Outcome.RATE),
        (418, 0, "", Outcome.RATE),
        (403, 0, "<html>", Outcome.RATE),
        (400, -1015, "Too many new orders", Outcome.RATE),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", Outcome.CLOCK),
        (400, -5028, "Timestamp is outside of the ME recvWindow.", Outcome.CLOCK),
        (401, -2015, "Invalid API-key", Outcome.FATAL),
        (401, 0, "", Outcome.FATAL),
        (400, -1022, "Signature is not valid.", Outcome.FATAL),
        (400, -2011, "Unknown order sent.", Outcome.GONE),
        (400, -2013, "Order does not exist.", Outcome.GONE),
        (400, -5027, "No need to modify the order.", Outcome.NO_OP),
        (503, -1001, "Unknown error, please check your request or try again later.", Outcome.UNKNOWN),
        (400, -9999, "something new", Outcome.UNKNOWN),
        (404, 0, "<html>", Outcome.UNKNOWN),
        (504, 0, "Gateway timeout", Outcome.UNKNOWN),
        (503, 0, "", Outcome.UNKNOWN),
    ],
)
def test_r02_each_code_has_its_class(status: int, code: int, message: str, outcome: Outcome) -> None:
    assert judge(VenueError(status, code, message)) is outcome


# The venue's list of November 2026, as its documentation groups it.
DOCUMENTED = {
    Outcome.UNKNOWN: (-1006, -1007),
    Outcome.AGAIN: (-1001, -1008),
    Outcome.RATE: (-1003, -1015),
    Outcome.CLOCK: (-1021, -5028),
    Outcome.FATAL: (-1016, -1002, -1022, -2014, -2015, -2017, -1011, -1099),
    Outcome.NO_OP: (-4046, -4059, -4171, -5027),
    Outcome.GONE: (-2011, -2012, -2013, -1125),
    Outcome.NOT_EXECUTED: (
        *range(-1106, -1099), -1111, -1114, -1115, -1116, -1117, -1121, -1128, -1130, -1136, -4015, -4060, -4061, -4062,
        -2010, -2018, -2019, -2020, -2021, -2022, -2023, -2024, -2025, -2026, -2027, -2028, -4001, -4002, -4003, -4004,
        -4005, -4013, -4014, -4016, -4024, -4023, -4045, -4087, -4088, -4105, -4106, -4107, -4109, -4117, -4118, -4120,
        -4131, -4135, -4137, -4138, -4140, -4141, -4142, -4164, -4183, -4184, -4189, -4192, -4210, -4211, -4400, -4401,
        -4402, -5021, -5022, *range(-5041, -5036), -5024, -5025, -5026, -5029, -5043, -5047,
    ),
}  # fmt: skip


@pytest.mark.parametrize("outcome", DOCUMENTED)
def test_r02_every_documented_code_has_its_class_whatever_status_it_comes_with(outcome: Outcome) -> None:
    for code in DOCUMENTED[outcome]:
        assert from_exchange(code) is MEANINGS[code].error
        for status in (200, 400, 408, 500, 503):
            assert judge(VenueError(status, code, "")) is outcome


def test_r02_only_proven_codes_may_be_sent_again() -> None:
    assert {code for code, meaning in MEANINGS.items() if meaning.outcome is Outcome.AGAIN} == {-1001, -1008}


def test_r02_a_duplicate_id_proves_that_an_earlier_try_rests() -> None:
    assert MEANINGS[-4116] == (Outcome.UNKNOWN, ErrorCode.EXCHANGE_DUPLICATE_ID)


def test_r02_a_public_code_says_proven_only_where_it_is() -> None:
    for meaning in MEANINGS.values():
        ambiguous = meaning.error is ErrorCode.AMBIGUOUS_RESULT
        assert not ambiguous or meaning.outcome is Outcome.UNKNOWN
