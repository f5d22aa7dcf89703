"""Every fault, seen from outside: events, sockets, lagging queries, bans, orders by others."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

PLACE = {"kind": "error", "operation": "order.place", "count": 1}


async def drain(socket: aiohttp.ClientWebSocketResponse, count: int = 0, quiet_s: float = 0.15) -> list[Any]:
    """``count`` frames, waited for with patience, and whatever comes soon after them."""
    found: list[Any] = []
    while True:
        try:
            message = await asyncio.wait_for(socket.receive(), 30 if len(found) < count else quiet_s)
        except TimeoutError:
            return found
        if message.type != aiohttp.WSMsgType.TEXT:
            return found
        found.append(json.loads(message.data))


def kinds(frames: list[Any]) -> list[str]:
    return [f"{f['o']['x']}/{f['o']['X']}" if "o" in f else f["e"] for f in frames]


async def fault(client: Any, kind: str, **what: Any) -> Any:
    return await client.control("POST", "faults", kind=kind, **what)


FILL = ["TRADE_LITE", "NEW/NEW", "ACCOUNT_UPDATE", "TRADE/FILLED"]


@pytest.mark.parametrize(
    ("kind", "what", "seen"),
    [
        ("drop_event", {"event": "ACCOUNT_UPDATE"}, ["TRADE_LITE", "NEW/NEW", "TRADE/FILLED"]),
        ("drop_event", {"execution": "TRADE"}, FILL[:3]),
        ("drop_event", {"skip": 2, "count": 1}, ["TRADE_LITE", "NEW/NEW", "TRADE/FILLED"]),
        ("drop_event", {"symbol": "ETHUSDT"}, FILL),
        ("duplicate_event", {"execution": "TRADE", "copies": 3}, [*FILL[:3], *["TRADE/FILLED"] * 3]),
        ("duplicate_event", {"event": "ORDER_TRADE_UPDATE", "ms": 100}, [*FILL, "NEW/NEW", "TRADE/FILLED"]),
        ("late_event", {"event": "TRADE_LITE", "ms": 100}, [*FILL[1:], "TRADE_LITE"]),
        ("reorder_events", {"size": 4, "order": "reverse"}, FILL[::-1]),
        ("reorder_events", {"size": 9, "order": "reverse", "ms": 50}, FILL[::-1]),
    ],
)
async def test_events_are_disturbed(client: Any, kind: str, what: dict[str, Any], seen: list[str]) -> None:
    stream = await client.user_stream()
    await fault(client, kind, **what)
    await client.market()
    assert kinds(await drain(stream, len(seen))) == seen


async def test_reordering_is_seeded(start_client: Callable[..., Awaitable[Any]]) -> None:
    orders = []
    for _ in range(2):
        client = await start_client()
        stream = await client.user_stream()
        await fault(client, "reorder_events", size=4, seed=1)
        await client.market()
        orders.append(kinds(await drain(stream, 4)))
    assert orders[0] == orders[1] != FILL and sorted(orders[0]) == sorted(FILL)


async def test_one_of_two_overlapping_sockets_misses_an_event(client: Any) -> None:
    old, new = await client.user_stream(), await client.user_stream()
    await fault(client, "drop_event", reader="newest", event="ACCOUNT_UPDATE")
    await client.market()
    assert kinds(await drain(old, 4)) == FILL
    assert kinds(await drain(new, 3)) == ["TRADE_LITE", "NEW/NEW", "TRADE/FILLED"]


async def test_half_open_socket_stays_and_is_silent(client: Any) -> None:
    old, new = await client.user_stream(), await client.user_stream()
    assert await fault(client, "half_open", which="oldest") == {"silenced": 1}
    await client.limit()
    assert kinds(await drain(new, 1)) == ["NEW/NEW"]
    assert await drain(old) == [] and not old.closed


async def test_half_open_socket_speaks_again(client: Any) -> None:
    stream = await client.user_stream()
    await fault(client, "half_open", seconds=0.1, pongs=False)
    async with asyncio.timeout(30):
        while not await drain(stream, quiet_s=0.05):
            await client.limit()


@pytest.mark.parametrize("pongs", [True, False])
async def test_half_open_trading_socket(client: Any, pongs: bool) -> None:
    socket = await client.socket("/ws-fapi/v1")
    assert await fault(client, "half_open", sockets="ws-api", pongs=pongs) == {"silenced": 1}
    await socket.ping()
    await socket.send_json(client.api_frame("time", signed=False))
    assert await drain(socket) == [] and not socket.closed
    assert "time" not in [entry["name"] for entry in await client.control("GET", "requests")]


async def test_expired_listen_key_is_told_then_silence(client: Any) -> None:
    assert (await fault(client, "expire_listen_key"))["code"] == -1125
    stream = await client.user_stream()
    key = (await fault(client, "expire_listen_key"))["listenKey"]
    await client.limit()
    (told,) = await drain(stream, 1)
    assert (told["e"], told["listenKey"]) == ("listenKeyExpired", key) and isinstance(told["E"], int)
    assert (await client.raw("PUT", "/fapi/v1/listenKey"))[1]["code"] == -1125
    assert (await client.raw("POST", "/fapi/v1/listenKey"))[1]["listenKey"] != key


async def test_queries_lag_behind(client: Any) -> None:
    before = await client.limit()
    await fault(client, "stale_query", ms=20_000)
    new = await client.limit(newClientOrderId="new")
    await client.market()
    query = {"symbol": "BTCUSDT", "origClientOrderId": "new"}
    assert (await client.call("GET", "/fapi/v1/order", **query))["code"] == -2013
    assert [o["orderId"] for o in await client.call("GET", "/fapi/v1/openOrders")] == [before["orderId"]]
    assert await client.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT") == []
    assert [r["positionAmt"] for r in await client.call("GET", "/fapi/v3/positionRisk")] == ["0.000"]
    assert (await client.call("GET", "/fapi/v3/balance"))[0]["balance"] == "100000.00000000"
    assert (await client.call("DELETE", "/fapi/v1/order", **query))["status"] == "CANCELED"
    assert (await client.control("GET", "state"))["accounts"]["main"]["trades"]  # the truth does not lag
    await client.control("POST", "clock", offsetMs=25_000)
    wide = {"recvWindow": 60_000}
    assert (await client.call("GET", "/fapi/v1/order", **query, **wide))["status"] == "CANCELED"
    assert len(await client.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", **wide)) == 1
    assert new["status"] == "NEW"


async def test_cancelled_order_looks_open_for_a_while(client: Any) -> None:
    order = await client.limit()
    await fault(client, "stale_query", ms=60_000, operation=["order.status", "openOrders"], count=2)
    query = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    await client.call("DELETE", "/fapi/v1/order", **query)
    assert (await client.call("GET", "/fapi/v1/order", **query))["status"] == "NEW"
    assert len(await client.call("GET", "/fapi/v1/openOrders")) == 1
    assert (await client.call("GET", "/fapi/v1/order", **query))["status"] == "CANCELED"


@pytest.mark.parametrize("http", [418, 429])
async def test_ban(client: Any, http: int) -> None:
    await fault(client, "ban", http=http, seconds=30)
    status, body, headers = await client.raw("GET", "/fapi/v1/time")
    assert (status, body["code"]) == (http, -1003) and 0 < int(headers["Retry-After"]) <= 30
    assert ("banned until" in body["msg"]) == (http == 418)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await client.socket("/ws-fapi/v1")
    assert refusal.value.status == http
    await client.control("DELETE", "faults")
    assert (await client.raw("GET", "/fapi/v1/time"))[0] == 200


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize(
    ("code", "http", "words"),
    [(0, 503, "Unknown error"), (-1001, 503, "Internal"), (-1006, 500, "unknown"), (-1007, 408, "Timeout"),
     (-1008, 503, "throttled")],
)  # fmt: skip
async def test_r02_errors_executed_or_not(client: Any, code: int, http: int, words: str, executed: bool) -> None:
    await fault(client, **PLACE, code=code, executed=executed)
    response = await client.session.post(
        f"{client.simulator.url}/fapi/v1/order",
        data=client.signed(symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", price="59000", quantity="1"),
        headers={"X-MBX-APIKEY": "sim-key", "Content-Type": "application/x-www-form-urlencoded"},
    )
    body = await response.json()
    assert response.status == http and words in body["msg"] and body.get("code") == (code or None)
    assert len(await client.call("GET", "/fapi/v1/openOrders")) == executed
    struck = (await client.control("GET", "faults"))["struck"]
    assert [(hit["kind"], hit["what"]) for hit in struck] == [("error", "order.place")]


async def test_lost_request_is_not_executed(client: Any) -> None:
    for kind in ("drop_response", "disconnect"):
        await fault(client, kind, operation="order.place", executed=False, count=1)
        with pytest.raises((TimeoutError, aiohttp.ClientError)):
            await asyncio.wait_for(client.limit(), 0.3)
    assert await client.call("GET", "/fapi/v1/openOrders") == []


async def test_outage_refuses_new_sockets(client: Any) -> None:
    stream = await client.user_stream()
    assert (await fault(client, "disconnect", sockets="private", seconds=30))["closed"] == 1
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.user_stream()
    assert await drain(stream) == []
    await client.socket("/public/ws")
    await client.control("DELETE", "faults")
    await client.user_stream()


async def test_handshakes_are_spared_unless_named(client: Any) -> None:
    await fault(client, "error", transport="ws", count=1)
    socket = await client.socket("/ws-fapi/v1")
    await socket.send_json(client.api_frame("time", signed=False))
    (answer,) = await drain(socket, 1)
    assert answer["status"] == 503
    await fault(client, "error", operation="connect", http=502)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await client.socket("/public/ws")
    assert refusal.value.status == 502


async def test_reduce_only_order_is_taken_smaller(client: Any) -> None:
    await client.market(quantity="0.010")
    stream = await client.user_stream()
    await fault(client, "shrink_reduce_only", fraction=0.3, count=1)
    order = await client.limit("61000.00", "0.010", "SELL", reduceOnly="true")
    assert order["origQty"] == "0.003"
    assert [f["o"]["q"] for f in await drain(stream, 1)] == ["0.003"]


async def test_orders_by_others(client: Any) -> None:
    stream = await client.user_stream()
    resting = await fault(
        client, "foreign_order", symbol="BTCUSDT", side="BUY", quantity="0.01", price="59000", count=2
    )
    filled = await fault(
        client, "foreign_order", symbol="BTCUSDT", side="BUY", quantity="0.01", clientOrderId="x-other"
    )
    assert [o["status"] for o in resting["orders"]] == ["NEW", "NEW"]
    assert [(o["clientOrderId"], o["status"]) for o in filled["orders"]] == [("x-other", "FILLED")]
    assert kinds(await drain(stream, 6)) == ["NEW/NEW", "NEW/NEW", *FILL]
    assert (await fault(client, "foreign_order", symbol="BTCUSDT", side="BUY"))["code"] == -1102


async def test_liquidation_by_the_venue(client: Any) -> None:
    await client.market(quantity="0.010")
    await client.limit()
    stream = await client.user_stream()
    (order,) = (await fault(client, "autoclose", symbol="BTCUSDT"))["orders"]
    frames = await drain(stream, 5)
    assert order["clientOrderId"].startswith("autoclose-")
    assert kinds(frames) == [
        "EXPIRED/EXPIRED", "NEW/NEW", "ACCOUNT_UPDATE", "CALCULATED/FILLED", "ACCOUNT_UPDATE",
    ]  # fmt: skip
    assert frames[0]["o"]["er"] == "5" and frames[3]["o"]["o"] == "LIQUIDATION" and frames[3]["o"]["S"] == "SELL"
    assert frames[4]["a"]["m"] == "INSURANCE_CLEAR"
    (income,) = await client.call("GET", "/fapi/v1/income", incomeType="INSURANCE_CLEAR")
    assert income["income"] == "-7.50000625"  # 1.25 % of 600.0005
    assert await client.call("GET", "/fapi/v3/positionRisk") == []
    assert (await fault(client, "autoclose", symbol="BTCUSDT"))["code"] == -1100


async def test_adl_and_settlement(client: Any) -> None:
    await client.market(quantity="0.010")
    await client.limit()
    stream = await client.user_stream()
    (order,) = (await fault(client, "adl", symbol="BTCUSDT", quantity="0.004", price="61000.00"))["orders"]
    frames = await drain(stream, 3)
    assert order["clientOrderId"].startswith("adl_autoclose")
    assert kinds(frames) == ["NEW/NEW", "ACCOUNT_UPDATE", "CALCULATED/FILLED"]
    assert (frames[2]["o"]["L"], frames[2]["o"]["l"]) == ("61000.00", "0.004")
    (order,) = (await fault(client, "settlement", symbol="BTCUSDT"))["orders"]
    frames = await drain(stream, 4)
    assert order["clientOrderId"].startswith("settlement_autoclose-")
    assert kinds(frames) == ["EXPIRED/EXPIRED", "NEW/NEW", "ACCOUNT_UPDATE", "TRADE/FILLED"]
    assert frames[0]["o"]["er"] == "7"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "delay", "ms": -1}, "ms"),
        ({"kind": "delay", "ms": 1, "where": "there"}, "where"),
        ({"kind": "drop_event", "probability": 2}, "probability"),
        ({"kind": "drop_event", "count": 1.5}, "count"),
        ({"kind": "drop_event", "operation": "order.place"}, "operation"),
        ({"kind": "reorder_events", "size": 1}, "size"),
        ({"kind": "duplicate_event", "copies": 0}, "copies"),
        ({"kind": "error", "code": "x"}, "code"),
        ({"kind": "error", "http": 200}, "http"),
        ({"kind": "ban", "http": 403}, "http"),
        ({"kind": "stale_query"}, "ms"),
        ({"kind": "half_open", "sockets": "all the"}, "sockets"),
        ({"kind": "shrink_reduce_only", "fraction": 0}, "fraction"),
        ({"kind": "autoclose"}, "symbol"),
        ({"kind": "drop_event", "account": "nobody"}, "account"),
        ({"kind": "nonsense"}, "kind"),
        ({}, "kind"),
    ],
)
async def test_bad_parameters_are_named(client: Any, body: dict[str, Any], field: str) -> None:
    answer = await client.control("POST", "faults", **body)
    assert answer["code"] in {-1100, -1102, -1106} and f"'{field}'" in answer["msg"]


async def test_faults_of_one_account_spare_the_others(client: Any) -> None:
    await client.control("POST", "accounts", apiKey="second", apiSecret="s", balance="500")
    first = (await fault(client, "error", apiKey="second", operation="order.place"))["id"]
    await fault(client, "drop_event", account="main")
    stream = await client.user_stream()
    assert (await client.limit())["status"] == "NEW"
    assert await drain(stream) == []
    assert (await client.control("GET", "faults"))["faults"] == ["error", "drop_event"]
    await client.control("DELETE", f"faults?id={first}")
    assert (await client.control("GET", "faults"))["faults"] == ["drop_event"]
    await client.control("DELETE", "faults?apiKey=sim-key")
    assert (await client.control("GET", "faults"))["faults"] == []
