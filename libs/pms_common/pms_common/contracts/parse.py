"""A raw public command → a checked command, or a refusal that names every field at fault.

Owns decoding, the envelope's rules, warnings and the body hash. Never looks at an account, a price or the clock.
Used by risk, orders and algos on their command streams, by the gateway and by the CLI.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec

from pms_common.contracts.commands import COMMANDS, Command
from pms_common.contracts.errors import CommandError, ErrorCode, NotJson
from pms_common.contracts.rules import Report
from pms_common.contracts.shapes import Shape, shape_of

MAX_PAYLOAD_BYTES = 64 * 1024
MAX_ERRORS_IN_SENTENCE = 5

_NOT_HASHED = ("created_at_ms", "expires_at_ms", "wait_for", "traceparent")

_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_find_request_id = re.compile(rb'"requestId"\s*:\s*"([^"\\\x00-\x1f]{1,128})"').search


class Parsed(msgspec.Struct, frozen=True):
    """A command that may be acted on.

    `warnings` name unknown fields. `body_hash` is equal for two commands that ask for the same, whatever their
    request id, times, `waitFor`, `traceparent`, order of fields or form. `expires_at_ms` is None for what never
    expires.
    """

    command: Command
    warnings: tuple[str, ...]
    body_hash: str
    expires_at_ms: int | None

    @property
    def request_id(self) -> str:
        """Idempotency key of the command, per account."""
        return self.command.request_id

    def expired(self, now_ms: int) -> bool:
        """Whether it is too late to act on it. Asked only after a look for an earlier result of the request."""
        return self.expires_at_ms is not None and now_ms > self.expires_at_ms


def parse_command(
    type_: str, payload: bytes | Mapping[str, str], entry_id: str, *, require_account: bool = False
) -> Parsed:
    """Check one command of a stream `…:cmd:{type}` or `…:op:{type}`.

    `payload`: the JSON of the entry's `data`, or its flat fields. `entry_id`: "ms-seq"; its time is where the
    default life begins, and `{type}-{entry_id}` is the request id of a command without one.
    `require_account` (PMS_REQUIRE_ACCOUNT) wants `subAccountId` also where an object tells the account.
    Raises CommandError with all violations found, NotJson when there is no JSON object.
    """
    cls = COMMANDS.get(type_)
    if cls is None:
        raise CommandError(ErrorCode.VALIDATION_UNKNOWN_COMMAND, f"there is no command {type_[:128]}")
    default_id = f"{type_}-{entry_id}"
    body = _object(payload, default_id)
    report = Report()
    given = _shape(cls).read(body, "", report)
    if "sub_account_id" not in given and _account_required(cls, require_account):
        report.refuse("subAccountId", "is required", ErrorCode.VALIDATION_SUBACCOUNT_REQUIRED)
    cls.settle(given, report)
    request_id = given.pop("request_id", None) or default_id
    if report.errors:
        raise _refusal(report, request_id, given.get("traceparent") or "")
    envelope = {name: given.pop(name) for name in _NOT_HASHED if name in given}
    body_hash = blake2b(_canonical((type_, given)), digest_size=16).hexdigest()
    command = cls(request_id=request_id, **envelope, **given)
    expires_at_ms = command.expires_at_ms
    if expires_at_ms is None and cls.LIFE_MS is not None:
        expires_at_ms = int(entry_id.partition("-")[0]) + cls.LIFE_MS
    return Parsed(command, tuple(report.warnings), body_hash, expires_at_ms)


@cache
def _shape(cls: type[Command]) -> Shape:
    """The class's shape, in which the request id may be missing."""
    return Shape(
        tuple(
            field._replace(required=False) if field.attribute == "request_id" else field
            for field in shape_of(cls).fields
        )
    )


def _account_required(cls: type[Command], require_account: bool) -> bool:
    return cls.ACCOUNT == "required" or (require_account and cls.ACCOUNT == "by_object")


def _object(payload: bytes | Mapping[str, str], default_id: str) -> Mapping[str, Any]:
    if not isinstance(payload, bytes):
        if sum(map(len, payload.values())) > MAX_PAYLOAD_BYTES:
            raise _too_large(payload.get("requestId") or default_id)
        return payload
    if len(payload) > MAX_PAYLOAD_BYTES:
        begin, end = payload[:MAX_PAYLOAD_BYTES], payload[-MAX_PAYLOAD_BYTES:]
        raise _too_large(_request_id_in(begin) or _request_id_in(end) or default_id)
    try:
        body = _decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        body = _tolerant(payload)
    if type(body) is not dict:
        raise NotJson("the payload is JSON but not an object", _request_id_in(payload))
    return body


class _NotFinite:
    """Stands for a literal NaN or Infinity, which some encoders write and no rule accepts."""

    def __init__(self, literal: str) -> None:
        self.literal = literal


def _tolerant(payload: bytes) -> Any:
    """What the strict decoder refuses, read so that a field that holds NaN, Infinity or a huge integer is named."""
    try:
        return json.loads(payload.decode(), parse_float=Decimal, parse_int=_integer, parse_constant=_NotFinite)
    except (ValueError, RecursionError) as why:
        raise NotJson(f"the payload is not JSON: {why}"[:200], _request_id_in(payload)) from None


def _integer(digits: str) -> int | Decimal:
    """Above 18 digits a Decimal: the bounds of every rule refuse it, and no time goes into converting it."""
    return int(digits) if len(digits) <= 18 else Decimal(digits)


def _request_id_in(payload: bytes) -> str | None:
    found = _find_request_id(payload)
    text = found[1].decode(errors="replace") if found else ""
    return text if text and text.isprintable() else None


def _too_large(request_id: str) -> CommandError:
    return CommandError(ErrorCode.VALIDATION_PAYLOAD_TOO_LARGE, request_id=request_id[:128])


def _refusal(report: Report, request_id: str, traceparent: str) -> CommandError:
    """One code when all violations share it, else VALIDATION_FAILED; the sentence names the first few."""
    codes = {error.code for error in report.errors}
    code = ErrorCode[codes.pop()] if len(codes) == 1 else ErrorCode.VALIDATION_FAILED
    sentences = [error.message for error in report.errors[:MAX_ERRORS_IN_SENTENCE]]
    if len(report.errors) > MAX_ERRORS_IN_SENTENCE:
        sentences.append(f"and {len(report.errors) - MAX_ERRORS_IN_SENTENCE} more")
    return CommandError(
        code,
        "; ".join(sentences),
        field=report.errors[0].field,
        errors=tuple(report.errors),
        request_id=request_id,
        traceparent=traceparent,
    )
