"""The parser's envelope: ids, accounts, times, forms that are not JSON, sizes, hashes, and recorded payloads."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.errors import CommandError, ErrorCode, NotJson
from pms_common.contracts.parse import MAX_PAYLOAD_BYTES, parse_command

ENTRY = "1771683000000-7"
TRADE = {"subAccountId": "a", "symbol": "BTCUSDT", "side": "BUY", "quantity": 0.001, "leverage": 10}


def trade(**fields: Any) -> Any:
    return parse_command("trade", json.dumps(TRADE | fields).encode(), ENTRY)


def refused(command: str, payload: Any, **options: bool) -> CommandError:
    with pytest.raises(CommandError) as caught:
        parse_command(command, payload, ENTRY, **options)
    return caught.value


def test_numbers_are_exact_decimals() -> None:
    raw = b'{"subAccountId":"a","symbol":"BTCUSDT","side":"BUY","quantity":0.0014925373134328358,"leverage":10.0}'
    command: Any = parse_command("trade", raw, ENTRY).command
    assert command.quantity == Decimal("0.0014925373134328358")
    assert type(command.leverage) is int
    assert trade(quantity="0.10").command.quantity == Decimal("0.1")


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "9" * 5000, "1e400", "-1e-400"])
def test_a_number_that_is_none_is_refused_by_its_field(literal: str) -> None:
    body = json.dumps(TRADE | {"requestId": "r-9"}).replace("0.001", literal)
    error = refused("trade", body.encode())
    assert [e.field for e in error.errors] == ["quantity"]
    assert error.request_id == "r-9"


@pytest.mark.parametrize("side", ["BUY", "buy", "LONG", "long"])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "btcusdt", "BTC/USDT", "BTC/USDT:USDT", "btc/usdt:usdt"])
def test_symbols_and_sides_come_out_native(symbol: str, side: str) -> None:
    command = trade(symbol=symbol, side=side).command
    assert (command.symbol, command.side) == ("BTCUSDT", "BUY")


def test_scalper_legs_say_long_and_short() -> None:
    body = {"subAccountId": "a", "symbol": "BTCUSDT", "side": "sell", "leverage": 5, "shortSizeUsd": 10}
    command: Any = parse_command("scalper", json.dumps(body).encode(), ENTRY).command
    assert command.start_side == "SHORT"


def test_a_missing_request_id_is_made_from_the_entry() -> None:
    assert trade().request_id == f"trade-{ENTRY}"
    assert trade(requestId=None).request_id == f"trade-{ENTRY}"
    assert refused("trade", b"{}").request_id == f"trade-{ENTRY}"


@pytest.mark.parametrize("bad", ["", "a" * 129, "a\nb", 5, True, [1]])
def test_a_request_id_that_cannot_be_used_is_refused_under_the_entrys(bad: object) -> None:
    error = refused("trade", json.dumps(TRADE | {"requestId": bad}).encode())
    assert error.request_id == f"trade-{ENTRY}"
    assert error.errors[0].field == "requestId"


def test_the_account_is_required_where_no_object_tells_it() -> None:
    for command, cls in COMMANDS.items():
        errors = {require: refused_fields(command, require) for require in (False, True)}
        assert ("subAccountId" in errors[False]) == (cls.ACCOUNT == "required")
        assert ("subAccountId" in errors[True]) == (cls.ACCOUNT != "free")
    assert refused("close_all", b"{}").code is ErrorCode.VALIDATION_SUBACCOUNT_REQUIRED


def refused_fields(command: str, require_account: bool) -> list[str | None]:
    body = b'{"name":"n","action":"create"}' if command == "account" else b'{"state":"halted"}'
    try:
        parse_command(command, body, ENTRY, require_account=require_account)
    except CommandError as error:
        return [e.field for e in error.errors]
    return []


@pytest.mark.parametrize(
    ("command", "life_ms"),
    [("trade", 10_000), ("close", 60_000), ("close_all", 60_000), ("limit_close", 60_000), ("cancel", None)],
)
def test_default_lives_count_from_the_entrys_time(command: str, life_ms: int | None) -> None:
    body = TRADE | {"positionId": "p", "price": 1, "clientOrderId": "c", "createdAt": 1771682000000}
    del body["quantity"]
    if command == "trade":
        body["quantity"] = 1
    parsed = parse_command(command, json.dumps(body).encode(), ENTRY)
    assert parsed.expires_at_ms == (life_ms and 1771683000000 + life_ms)
    assert not parsed.expired(1771683000000 + (life_ms or 10**9))
    assert parsed.expired(1771683000001 + (life_ms or 0)) == (life_ms is not None)


def test_expires_at_is_kept_and_checked() -> None:
    parsed = trade(expiresAt=1771683000500)
    assert parsed.expires_at_ms == 1771683000500
    assert parsed.expired(1771683000501)
    assert not parsed.expired(1771683000500)
    assert refused("trade", json.dumps(TRADE | {"expiresAt": 1771683000}).encode()).errors[0].field == "expiresAt"


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_result_waits_for(command: str) -> None:
    assert ("final" if command in ("cancel", "close", "close_all") else "ack") == COMMANDS[command].WAIT_FOR
    assert trade(waitFor="final").command.waits_for == "final"
    assert trade().command.waits_for == "ack"


NOT_OBJECTS = [b"", b"null", b"5", b'"x"', b"[1]", b"{", b'{"a":1,}', b"\xff\xfe", b"[" * 60_000, b'{"a":"\xff"}']


@pytest.mark.parametrize("raw", NOT_OBJECTS, ids=range(len(NOT_OBJECTS)))
def test_what_is_no_json_object_says_so(raw: bytes) -> None:
    with pytest.raises(NotJson) as caught:
        parse_command("trade", raw, ENTRY)
    assert caught.value.request_id is None


def test_a_request_id_is_found_in_what_is_no_json() -> None:
    for raw in (b'{"requestId": "r-1", "symbol": ', b'[{"requestId":"r-1"}]', b'\xff"requestId"\n:"r-1"'):
        with pytest.raises(NotJson) as caught:
            parse_command("trade", raw, ENTRY)
        assert caught.value.request_id == "r-1"


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_garbage_never_raises_anything_else(raw: bytes) -> None:
    with pytest.raises((NotJson, CommandError)):
        parse_command("trade", raw, ENTRY)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@settings(deadline=None)
@given(st.sampled_from(sorted(COMMANDS)), st.data())
def test_any_json_object_is_a_command_or_a_refusal_that_names_fields(command: str, data: st.DataObject) -> None:
    names = ["symbol", "side", "quantity", "legs", "orders", "levels", "action", "lots", "clientOrderId", "requestId"]
    body = data.draw(st.dictionaries(st.sampled_from(names) | st.text(), json_values, max_size=8))
    try:
        parsed = parse_command(command, json.dumps(body).encode(), ENTRY)
    except CommandError as error:
        assert error.errors
        assert all(e.field for e in error.errors)
        assert error.request_id
    else:
        assert parsed.request_id


def test_payloads_are_bounded() -> None:
    raw = json.dumps(TRADE | {"requestId": "r-1", "note": "x" * MAX_PAYLOAD_BYTES}).encode()
    error = refused("trade", raw)
    assert (error.code, error.request_id) == (ErrorCode.VALIDATION_PAYLOAD_TOO_LARGE, "r-1")
    last = json.dumps(TRADE | {"note": "x" * MAX_PAYLOAD_BYTES, "requestId": "r-2"}).encode()
    assert refused("trade", last).request_id == "r-2"
    flat = {"requestId": "r-1", "note": "x" * (MAX_PAYLOAD_BYTES + 1)}
    assert refused("trade", flat).code is ErrorCode.VALIDATION_PAYLOAD_TOO_LARGE


def test_warnings_are_bounded() -> None:
    warnings = trade(**{f"x{i}": i for i in range(1000)}, **{"y" * 500: 1}).warnings
    assert len(warnings) == 17
    assert all(len(warning) < 150 for warning in warnings)
    assert warnings[-1] == "further unknown fields are not named"


def test_an_unknown_type_is_refused() -> None:
    assert refused("tarde", b"{}").code is ErrorCode.VALIDATION_UNKNOWN_COMMAND


def test_the_hash_is_of_what_is_asked_for_alone() -> None:
    plain = trade(requestId="r-1").body_hash
    assert trade(requestId="r-2", createdAt=1771683000000, expiresAt=1771683099999).body_hash == plain
    assert trade(waitFor="final", unknown=5).body_hash == plain
    shuffled = json.dumps(dict(reversed(TRADE.items()))).encode()
    assert parse_command("trade", shuffled, "1-1").body_hash == plain
    flat = {name: str(value) for name, value in TRADE.items()}
    assert parse_command("trade", flat, ENTRY).body_hash == plain
    assert parse_command("validate", shuffled, ENTRY).body_hash != plain
    for other in ({"quantity": 0.002}, {"side": "SELL"}, {"symbol": "ETHUSDT"}, {"subAccountId": "b"}):
        assert trade(**other).body_hash != plain


@pytest.mark.data
def test_recorded_payloads_parse(data_directory: Path) -> None:
    recorded = json.loads((data_directory / "legacy-payloads.json").read_text(encoding="utf-8"))["commands"]
    parsed = 0
    for name, example in recorded.items():
        command = (example["queue"] or "").rpartition(":")[2]
        body = example["queue_payload_later_js"]
        if body is None or command not in COMMANDS:
            continue
        result = parse_command(command, json.dumps(body).encode(), ENTRY)
        assert result.request_id == body["requestId"], name
        from_http = json.dumps((example["http"]["body"] or {}) | body).encode()
        assert parse_command(command, from_http, ENTRY).command == result.command, name
        parsed += 1
    assert parsed >= 20
