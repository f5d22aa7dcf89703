"""The table of codes and the answer made from an error."""

import json
import re

import pytest
from tests.conftest import ROOT

from pms_common.contracts.base import encode
from pms_common.contracts.errors import EARLIER, Category, CommandError, ErrorCode, FieldError
from pms_common.contracts.exchange_codes import from_exchange
from pms_common.contracts.results import failure

LEGACY = """
VALIDATION_FAILED VALIDATION_SUBACCOUNT_REQUIRED VALIDATION_CLIENT_ORDER_ID_REQUIRED VALIDATION_TWAP_LOTS_INVALID
VALIDATION_TWAP_INVALID_SIZE VALIDATION_TWAP_PRICE_UNAVAILABLE VALIDATION_TWAP_MISSING_SIZE
VALIDATION_TWAP_INVALID_INTERVAL VALIDATION_TWAP_BASKET_LOTS_INVALID POSITION_NOT_FOUND POSITION_SIDE_MISMATCH
OWNERSHIP_FORBIDDEN RISK_REJECTED RISK_VALIDATION_ERROR AMBIGUOUS_CLOSE_REJECTED AMBIGUOUS_RESULT EXCHANGE_REJECTED
INFRA_TIMEOUT INFRA_REDIS_UNAVAILABLE INFRA_UNAVAILABLE INFRA_PROXY_FAILURE INFRA_CHASE_UNAVAILABLE
INFRA_SCALPER_UNAVAILABLE INFRA_TWAP_UNAVAILABLE INFRA_TRAIL_STOP_UNAVAILABLE ACCOUNT_NOT_FOUND ACCOUNT_FROZEN
INSUFFICIENT_MARGIN MAX_LEVERAGE_EXCEEDED MAX_NOTIONAL_EXCEEDED MAX_EXPOSURE_EXCEEDED MARGIN_RATIO_EXCEEDED NO_PRICE
POSITION_CLOSED SCALE_INVALID_ORDER SCALE_INVALID_RANGE EXCHANGE_MIN_NOTIONAL EXCHANGE_MARGIN_INSUFFICIENT
EXCHANGE_PRECISION EXCHANGE_INVALID_ORDER EXCHANGE_QTY_TOO_SMALL NO_FILL_PRICE DESYNC_CLOSE_FAILED EXECUTION_ERROR
MAX_LEVERAGE MAX_NOTIONAL REQUEST_ID_REUSED EXPIRED_COMMAND INFRA_OVERLOADED EXCHANGE_CAPACITY CANCELLED_BEFORE_SEND
"""


@pytest.mark.parametrize("code", LEGACY.split())
def test_every_code_that_callers_know_exists(code: str) -> None:
    assert ErrorCode[code].name == code


def test_every_code_that_is_documented_is_given_somewhere_and_no_other() -> None:
    text = "".join(
        path.read_text()
        for folder in ("libs", "services")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "errors.py" and "reference" not in path.parts
    )
    given = set(re.findall(r"\b(?:ErrorCode|_E|_C)\.([A-Z][A-Z_]+)", text))
    assert given == {code.name for code in ErrorCode if code not in EARLIER}


def test_every_code_has_a_meaning_and_a_fitting_category() -> None:
    prefixes = {
        "VALIDATION_": {Category.VALIDATION},
        "EXCHANGE_": {Category.EXCHANGE},
        "INFRA_": {Category.INFRA, Category.TIMEOUT},
        "AMBIGUOUS_": {Category.AMBIGUITY},
        "OWNERSHIP_": {Category.OWNERSHIP},
    }
    for code in ErrorCode:
        assert re.fullmatch(r"[A-Z][A-Z_]+", code.name)
        assert code.meaning.endswith(".")
        for prefix, categories in prefixes.items():
            assert not code.name.startswith(prefix) or code.category in categories
    assert {code.category for code in ErrorCode} == set(Category)


@pytest.mark.parametrize(
    ("exchange_code", "code"),
    [
        (-4164, ErrorCode.EXCHANGE_MIN_NOTIONAL),
        (-2019, ErrorCode.EXCHANGE_MARGIN_INSUFFICIENT),
        (-1111, ErrorCode.EXCHANGE_PRECISION),
        (-1116, ErrorCode.EXCHANGE_INVALID_ORDER),
        (-4003, ErrorCode.EXCHANGE_QTY_TOO_SMALL),
        (-2022, ErrorCode.EXCHANGE_REDUCE_ONLY),
        (-5022, ErrorCode.EXCHANGE_POST_ONLY),
        (-1007, ErrorCode.AMBIGUOUS_RESULT),
        (-1001, ErrorCode.EXCHANGE_UNAVAILABLE),
        (-9999, ErrorCode.EXCHANGE_REJECTED),
    ],
)
def test_exchange_codes_map_to_ours(exchange_code: int, code: ErrorCode) -> None:
    assert from_exchange(exchange_code) is code


def test_a_failure_tells_all_and_error_is_a_string() -> None:
    errors = (FieldError(code="VALIDATION_FAILED", message="side must be BUY or SELL", field="side"),)
    error = CommandError(ErrorCode.VALIDATION_FAILED, "side must be BUY or SELL", errors=errors, details={"a": 1})
    assert json.loads(encode(failure(error, "r-1", ["unknown field x"]))) == {
        "success": False,
        "requestId": "r-1",
        "error": "side must be BUY or SELL",
        "errorCode": "VALIDATION_FAILED",
        "errorCategory": "VALIDATION",
        "retryable": False,
        "errors": [{"code": "VALIDATION_FAILED", "message": "side must be BUY or SELL", "field": "side"}],
        "details": {"a": 1},
        "warnings": ["unknown field x"],
    }


def test_a_bare_error_says_what_its_code_means() -> None:
    body = json.loads(encode(failure(CommandError(ErrorCode.NO_PRICE), "r-1")))
    assert body["error"] == ErrorCode.NO_PRICE.meaning
    assert body["errors"] == [{"code": "NO_PRICE", "message": ErrorCode.NO_PRICE.meaning}]
    assert body["retryable"] is True
    assert "details" not in body
    assert "warnings" not in body
