"""Signatures and request times."""

from typing import Any

import pytest

from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.signing import HmacSecret, check_rest, check_time, check_ws, unsigned

SECRET = HmacSecret("sim-secret")
NOW_MS = 1_700_000_000_000


@pytest.mark.data
def test_recorded_signatures(signing_vector: Any) -> None:
    secret = HmacSecret(signing_vector["secret"])
    if "payload" in signing_vector:
        assert secret.sign(signing_vector["payload"]) == signing_vector["signature"]
        return
    query, body = signing_vector["query"], signing_vector["body"]
    signature = signing_vector["signature"]
    assert unsigned(query, body) == signing_vector["sign_input"]
    check_rest(secret, f"{query}&signature={signature}", body, signature)
    check_rest(secret, query, f"{body}&signature={signature}" if body else "", signature.upper())
    with pytest.raises(VenueError, match="Signature"):
        check_rest(secret, f"{query}&more=1", body, signature)


def test_websocket_signature_covers_sorted_parameters() -> None:
    params = {"symbol": "BTCUSDT", "apiKey": "sim-key", "timestamp": "1"}
    params["signature"] = SECRET.sign("apiKey=sim-key&symbol=BTCUSDT&timestamp=1")
    check_ws(SECRET, params)
    with pytest.raises(VenueError) as refusal:
        check_ws(SECRET, {**params, "symbol": "ETHUSDT"})
    assert refusal.value.code == -1022


@pytest.mark.parametrize("symbol", ["币安人生USDT", "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT"])
def test_websocket_signature_of_a_symbol_beyond_ascii(symbol: str) -> None:
    signature = SECRET.sign(f"symbol={symbol}&timestamp=1")
    check_ws(SECRET, {"symbol": "币安人生USDT", "timestamp": "1", "signature": signature})


@pytest.mark.parametrize(
    ("behind_ms", "window", "code"),
    [
        (0, None, None),
        (5_000, None, None),
        (5_001, None, -1021),
        (-999, None, None),
        (-1_000, None, -1021),
        (60_000, "60000", None),
        (0, "60001", -1131),
        (0, "x", -1100),
    ],
)
def test_request_time(behind_ms: int, window: str | None, code: int | None) -> None:
    params = {"timestamp": str(NOW_MS - behind_ms), **({"recvWindow": window} if window else {})}
    if code is None:
        check_time(params, NOW_MS)
        return
    with pytest.raises(VenueError) as refusal:
        check_time(params, NOW_MS)
    assert refusal.value.code == code


def test_request_without_time_or_signature_is_refused() -> None:
    with pytest.raises(VenueError, match="timestamp"):
        check_time({}, NOW_MS)
    with pytest.raises(VenueError, match="signature"):
        check_ws(SECRET, {})
    with pytest.raises(VenueError, match="signature"):
        check_rest(SECRET, "", "", None)
