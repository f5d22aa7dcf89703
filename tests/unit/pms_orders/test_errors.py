"""R-02: what every error code of the venue says about the request."""

import pytest

from pms_orders.domain.errors import CLASSES, Outcome, VenueError, judge


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
        (400, -9999, "something new", Outcome.NOT_EXECUTED),
    ],
)
def test_r02_each_code_has_its_class(status: int, code: int, message: str, outcome: Outcome) -> None:
    assert judge(VenueError(status, code, message)) is outcome


def test_r02_only_proven_codes_may_be_sent_again() -> None:
    assert {code for code, outcome in CLASSES.items() if outcome is Outcome.AGAIN} == {-1001, -1008}
