"""Who signed a request, and when: signature, timestamp and recvWindow.

Owns the signature rules of REST and WebSocket API. Never knows what a request does.
"""

import hmac
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote

from pms_simulator.domain.errors import VenueError, illegal, mandatory, refuse

DEFAULT_WINDOW_MS = 5_000
MAX_WINDOW_MS = 60_000
AHEAD_MS = 1_000  # how far a timestamp may be ahead of the venue's clock


class Verifier(Protocol):
    """What an API key's signatures are checked with; ``kind`` is hmac, rsa or ed25519."""

    kind: str

    def verify(self, payload: str, signature: str) -> bool:
        """Whether ``signature`` is of ``payload``."""


class HmacSecret:
    """An HMAC-SHA256 secret made ready: copying it is cheaper than keying anew for every request."""

    kind = "hmac"

    def __init__(self, secret: str) -> None:
        self._keyed = hmac.new(secret.encode(), digestmod="sha256")

    def sign(self, payload: str) -> str:
        """The signature of ``payload`` in lower-case hex."""
        keyed = self._keyed.copy()
        keyed.update(payload.encode())
        return keyed.hexdigest()

    def verify(self, payload: str, signature: str) -> bool:
        """Upper case is accepted too."""
        keyed = self._keyed.copy()
        keyed.update(payload.encode())
        return keyed.hexdigest() == signature.lower()


def unsigned(query: str, body: str) -> str:
    """What a REST signature covers: query and body as sent, joined without a separator, without the signature."""
    return _without_signature(query) + _without_signature(body)


def _without_signature(part: str) -> str:
    if "signature=" not in part:
        return part
    return "&".join(pair for pair in part.split("&") if not pair.startswith("signature="))


def check_rest(key: Verifier, query: str, body: str, signature: str | None) -> None:
    """-1102 without a signature, -1022 with a wrong one."""
    if not signature:
        raise mandatory("signature")
    if not key.verify(unsigned(query, body), signature):
        raise refuse(-1022)


def check_ws(key: Verifier, params: Mapping[str, str]) -> None:
    """The same over all parameters but the signature, sorted by name.

    A non-ASCII symbol is accepted signed raw or percent-encoded: the venue's text allows both readings.
    """
    signature = params.get("signature")
    if not signature:
        raise mandatory("signature")
    names = sorted(params)
    names.remove("signature")
    payload = "&".join([f"{name}={params[name]}" for name in names])
    if key.verify(payload, signature):
        return
    if not payload.isascii():
        encoded = "&".join([f"{name}={quote(params[name], safe='')}" for name in names])
        if key.verify(encoded, signature):
            return
    raise refuse(-1022)


def check_time(params: Mapping[str, str], now_ms: int) -> None:
    """-1102, -1100 or -1021: the request's time against the venue's clock."""
    stamp = params.get("timestamp")
    if not stamp:
        raise mandatory("timestamp")
    try:
        timestamp, window = int(stamp), int(params.get("recvWindow") or DEFAULT_WINDOW_MS)
    except ValueError:
        raise illegal("timestamp" if not stamp.isdigit() else "recvWindow") from None
    if window > MAX_WINDOW_MS:
        raise VenueError(-1131, "recvWindow must be less than 60000")
    if timestamp >= now_ms + AHEAD_MS:
        raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > window:
        raise refuse(-1021)


def check_still_in_time(params: Mapping[str, str], now_ms: int) -> None:
    """-5028: the matching engine looks at the time again when it places or modifies."""
    if now_ms - int(params["timestamp"]) > int(params.get("recvWindow") or DEFAULT_WINDOW_MS):
        raise refuse(-5028)
