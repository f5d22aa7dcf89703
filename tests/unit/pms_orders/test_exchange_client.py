"""What the REST client makes of answers: of another form, of odd headers, of several pages."""

import json

import msgspec
import pytest
from aiohttp import web
from tests.unit.pms_orders.venue import says, traded, venue

from pms_common.clock import monotonic_ms
from pms_orders.adapters.binance import exchange_client
from pms_orders.adapters.binance.exchange_client import (
    TRADES_PAGE,
    WINDOW_MS,
    VenueRefused,
    VenueUnreachable,
)
from pms_orders.domain.rate import LONGEST_PAUSE_MS

ASKS = {
    "time_ms": (),
    "exchange_info": (),
    "order": ("BTCUSDT", "x"),
    "open_orders": (),
    "trades_of": ("BTCUSDT", 7, 0),
    "balances": (),
    "positions": (),
    "fee_rates": ("BTCUSDT",),
    "listen_key": (),
    "keep_listen_key": (),
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("body", [b"<html>maintenance</html>", b'{"a":"\xff"}', b"", b"\x80"])
async def test_r02_an_answer_of_another_form_is_no_answer(ask: str, body: bytes) -> None:
    async with venue(says(body)) as client:
        with pytest.raises(VenueUnreachable, match="another form"):
            await getattr(client, ask)(*ASKS[ask])


@pytest.mark.parametrize("ask", sorted(set(ASKS) - {"keep_listen_key"}))
async def test_r02_json_of_another_form_is_no_answer(ask: str) -> None:
    async with venue(says(b'{"code":"x"}')) as client:
        with pytest.raises(VenueUnreachable, match="another form"):
            await getattr(client, ask)(*ASKS[ask])


@pytest.mark.parametrize(
    ("after", "blocked_ms"),
    [
        ("30", 30_000),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000),
        ("Tue, 14 Nov 2000 22:14:20 GMT", 0),
        ("999999999", LONGEST_PAUSE_MS),
        ("soon", 60_000),
        ("-1", 60_000),
        ("²", 60_000),
    ],
)
async def test_r25_a_ban_is_honoured_however_its_end_is_told(after: str, blocked_ms: int) -> None:
    async with venue(says(b"<html>", 429, Retry_After=after)) as client:
        with pytest.raises(VenueRefused) as refusal:
            await client.time_ms()
        assert refusal.value.error.status == 429
        assert abs(client._budget.blocked_until_ms - monotonic_ms() - blocked_ms) < 5_000


@pytest.mark.parametrize(("told", "counted"), [("1200", 1_200), ("many", 1), ("1.5", 1), ("9" * 5_000, 1), ("²", 1)])
async def test_a_used_weight_that_is_no_number_is_not_counted(told: str, counted: int) -> None:
    async with venue(says(b'{"serverTime":1}', X_MBX_USED_WEIGHT_1M=told)) as client:
        assert await client.time_ms() == 1
        assert client._budget.weight.used == counted


@pytest.mark.parametrize("newest_first_page", [False, True])
async def test_r06_all_trades_of_an_order_are_read_page_by_page(newest_first_page: bool) -> None:
    trades = [traded(number) for number in range(1, 2 * TRADES_PAGE + 501)]

    async def answer(request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "500"))
        if "fromId" in request.query:
            found = [item for item in trades if item["id"] >= int(request.query["fromId"])][:limit]
        else:
            found = trades[-limit:] if newest_first_page else trades[:limit]
        return web.Response(body=json.dumps(found).encode())

    async with venue(answer) as client:
        found = await client.trades_of("BTCUSDT", 7, client._clock.now_ms())
    assert [item.id for item in found] == [item["id"] for item in trades]


@pytest.mark.parametrize("full", [False, True])
async def test_r16_the_trades_of_an_order_of_weeks_ago_are_listed_window_by_window(
    monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """The venue lists seven days at a time, and the last seven where no time is named."""
    monkeypatch.setattr(exchange_client, "TRADES_PAGE", 3)
    day_ms, now_ms = 86_400_000, monotonic_ms()
    ages = (31, 31, 30, 30, 30, 29, 9, 3) if full else (31, 24, 9, 3)
    trades = [traded(number, time=now_ms - age * day_ms) for number, age in enumerate(ages, start=1)]

    async def answer(request: web.Request) -> web.Response:
        start = int(request.query.get("startTime", now_ms - WINDOW_MS))
        end = int(request.query.get("endTime", start + WINDOW_MS))
        assert end - start <= WINDOW_MS
        found = [item for item in trades if start <= item["time"] <= end]
        if "fromId" in request.query:
            assert "startTime" not in request.query
            found = [item for item in trades if item["id"] >= int(request.query["fromId"])]
        return web.Response(body=json.dumps(found[: int(request.query["limit"])]).encode())

    async with venue(answer) as client:
        found = await client.trades_of("BTCUSDT", 7, now_ms - 31 * day_ms)
    assert [item.id for item in found] == [item["id"] for item in trades]


async def test_what_changes_something_bears_the_instant_at_which_this_process_might_send() -> None:
    """A countdown set by a process that was stopped and goes on would end orders that its successor looks after."""
    stamps: dict[str, int] = {}

    async def answer(request: web.Request) -> web.Response:
        stamps[request.method] = int(request.query["timestamp"])
        return web.Response(body=b"{}")

    form: msgspec.json.Decoder[dict[str, str]] = msgspec.json.Decoder(dict[str, str])
    async with venue(answer) as client:
        client._clock.may_send = lambda: False
        await client.ask("GET", "/fapi/v1/order", 1, form)
        await client.ask("POST", "/fapi/v1/countdownCancelAll", 10, form)
        assert stamps["GET"] > 0 == stamps["POST"]
