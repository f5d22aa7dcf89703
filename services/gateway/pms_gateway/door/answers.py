"""Results as HTTP responses: the body is the result itself, the status follows from its code.

Owns the mapping of codes and categories to statuses.
"""

import msgspec
from aiohttp import web

from pms_common.contracts.base import encode
from pms_common.contracts.errors import Category, CommandError, ErrorCode
from pms_common.contracts.results import failure

_BY_CATEGORY = {
    Category.VALIDATION: 400,
    Category.OWNERSHIP: 403,
    Category.RISK: 422,
    Category.EXCHANGE: 502,
    Category.AMBIGUITY: 409,
    Category.TIMEOUT: 504,
    Category.INFRA: 503,
}
_BY_CODE = {
    ErrorCode.VALIDATION_UNKNOWN_COMMAND: 404,
    ErrorCode.VALIDATION_PAYLOAD_TOO_LARGE: 413,
    ErrorCode.SYMBOL_UNKNOWN: 404,
    ErrorCode.ACCOUNT_NOT_FOUND: 404,
    ErrorCode.POSITION_NOT_FOUND: 404,
    ErrorCode.ORDER_NOT_FOUND: 404,
    ErrorCode.ALGO_NOT_FOUND: 404,
    ErrorCode.REQUEST_ID_REUSED: 409,
    ErrorCode.EXPIRED_COMMAND: 422,
    ErrorCode.AUTH_RATE_LIMITED: 429,
}


class _Outcome(msgspec.Struct, rename="camel"):
    success: bool
    error_code: str = ""


_outcome = msgspec.json.Decoder(_Outcome)


def json_response(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON response."""
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def result_response(body: bytes) -> web.Response:
    """A result as its owner wrote it."""
    outcome = _outcome.decode(body)
    if outcome.success:
        return json_response(body)
    code = ErrorCode.__members__.get(outcome.error_code, ErrorCode.INFRA_INTERNAL)
    return json_response(body, status_of(code))


def outcome_of(answer: web.Response) -> str:
    """`success`, or the code of the failure."""
    outcome = _outcome.decode(bytes(answer.body or b""))  # type: ignore[arg-type]  # always bytes here
    return "success" if outcome.success else outcome.error_code


def refusal(error: CommandError, request_id: str = "", status: int | None = None) -> web.Response:
    """A failure of the door's own."""
    body = encode(failure(error, request_id or error.request_id))
    return json_response(body, status or status_of(error.code))


def status_of(code: ErrorCode) -> int:
    """The HTTP status of a failure."""
    return _BY_CODE.get(code) or _BY_CATEGORY[code.category]
