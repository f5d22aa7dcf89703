"""The /sim/ routes: state, market, clock, faults, request log."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest


async def test_state_is_the_whole_truth(client: Any) -> None:
    stream = await client.user_stream()
    await client.market()
    resting = await client.limit()
    state = await client.control("GET", "state")
    account = state["accounts"]["main"]
    assert [order["orderId"] for order in account["openOrders"]] == [resting["orderId"]]
    assert account["positions"][0]["positionAmt"] == "0.010" and len(account["trades"]) == 1
    assert Decimal(account["wallet"]) == Decimal("99999.6999995")
    assert state["markets"]["BTCUSDT"]["bid"] == "60000.00"
    assert len(state["listenKeys"]) == 1 and state["sockets"] == {"private": 1}
    await stream.close()


async def test_market_and_trade_fill_resting_orders(client: Any) -> None:
    order = await client.limit("59999.00")
    await client.control("POST", "trade", symbol="BTCUSDT", side="SELL", quantity="50.004")
    query = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    assert (await client.call("GET", "/fapi/v1/order", **query))["status"] in {"NEW", "PARTIALLY_FILLED"}
    await client.quote("59990.00", "59995.00")
    filled = await client.call("GET", "/fapi/v1/order", **query)
    assert (filled["status"], filled["avgPrice"]) == ("FILLED", "59999")
    assert (await client.control("POST", "market", symbol="BTCUSDT", bid="2", ask="1"))["code"] == -1100
    assert (await client.control("POST", "market", symbol="BTCUSDT", bid="60000"))["code"] == -1102


async def test_drift_makes_the_price_fall(start_client: Callable[..., Awaitable[Any]]) -> None:
    client = await start_client(market="synthetic", tick_interval_ms=20)
    before = Decimal((await client.control("GET", "state"))["markets"]["BTCUSDT"]["bid"])
    await client.control("POST", "market", symbol="BTCUSDT", drift=-0.2, volatility=0.00001, seconds=0.5)
    await asyncio.sleep(0.9)
    after = Decimal((await client.control("GET", "state"))["markets"]["BTCUSDT"]["bid"])
    assert Decimal("0.85") < after / before < Decimal("0.95")


async def test_clock_moves_what_is_in_time(client: Any) -> None:
    await client.control("POST", "clock", offsetMs=10_000)
    assert (await client.call("GET", "/fapi/v2/balance"))["code"] == -1021
    await client.control("POST", "clock", offsetMs=0)
    assert isinstance(await client.call("GET", "/fapi/v2/balance"), list)
    assert (await client.control("POST", "clock"))["code"] == -1102


async def test_requests_are_logged_in_order(client: Any) -> None:
    await client.limit(newClientOrderId="logged")
    await client.call("GET", "/fapi/v2/balance")
    log = await client.control("GET", "requests")
    assert [entry["name"] for entry in log] == ["POST /fapi/v1/order", "GET /fapi/v2/balance"]
    assert log[0]["params"]["newClientOrderId"] == "logged" and "signature" not in log[0]["params"]
    assert log[0]["timeNs"] <= log[1]["timeNs"]


async def test_drop_response_executes_in_silence(client: Any) -> None:
    await client.control("POST", "faults", kind="drop_response", operation="order.place", count=1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.limit(newClientOrderId="lost"), 0.3)
    assert (await client.limit(newClientOrderId="lost"))["code"] == -4116
    socket = await client.socket("/ws-fapi/v1")
    await client.control("POST", "faults", kind="drop_response", transport="ws", count=1)
    await socket.send_json(client.api_frame("account.balance"))
    await socket.send_json(client.api_frame("time", signed=False))
    assert "serverTime" in (await asyncio.wait_for(socket.receive_json(), 5))["result"]


async def test_error_is_answered_without_execution(client: Any) -> None:
    await client.control(
        "POST", "faults", kind="error", operation="order.place", http=503, code=-1008, msg="no", count=1
    )
    assert await client.limit() == {"code": -1008, "msg": "no"}
    assert await client.call("GET", "/fapi/v1/openOrders") == []
    await client.control("POST", "faults", kind="error", operation="order.place", executed=True, count=1)
    assert (await client.limit())["code"] == -1001
    assert len(await client.call("GET", "/fapi/v1/openOrders")) == 1


@pytest.mark.parametrize("where", ["request", "response"])
async def test_delay(client: Any, where: str) -> None:
    await client.control("POST", "faults", kind="delay", ms=200, where=where, operation="order.place")
    placing = asyncio.create_task(client.limit())
    await asyncio.sleep(0.1)
    assert len(await client.call("GET", "/fapi/v1/openOrders")) == (where == "response")
    assert (await placing)["status"] == "NEW"
    await client.control("DELETE", "faults")
    assert (await client.control("GET", "faults"))["faults"] == []


async def test_delayed_request_executes_though_the_client_has_gone(client: Any) -> None:
    await client.control("POST", "faults", kind="delay", ms=200, operation="order.place", count=1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.limit(), 0.05)
    await asyncio.sleep(0.3)
    assert len(await client.call("GET", "/fapi/v1/openOrders")) == 1


async def test_disconnect_closes_sockets_of_a_route(client: Any) -> None:
    public, private = await client.socket("/public/ws"), await client.user_stream()
    assert await client.control("POST", "faults", kind="disconnect", sockets="private") == {"closed": 1}
    closing = {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
    assert (await asyncio.wait_for(private.receive(), 5)).type in closing
    await public.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert (await asyncio.wait_for(public.receive_json(), 5))["id"] == 1


async def test_disconnect_at_an_operation(client: Any) -> None:
    socket = await client.socket("/ws-fapi/v1")
    await client.control("POST", "faults", kind="disconnect", operation="order.place")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}
    await socket.send_json(client.api_frame("order.place", **order, price="59000.00"))
    assert (await asyncio.wait_for(socket.receive(), 5)).type != aiohttp.WSMsgType.TEXT
    assert len(await client.call("GET", "/fapi/v1/openOrders")) == 1


async def test_probability_is_seeded(client: Any) -> None:
    outcomes = []
    for _ in range(2):
        await client.control("POST", "faults", kind="error", operation="time", probability=0.5, seed=3)
        outcomes.append([(await client.raw("GET", "/fapi/v1/time"))[0] for _ in range(12)])
        await client.control("DELETE", "faults")
    assert outcomes[0] == outcomes[1] and set(outcomes[0]) == {200, 503}


async def test_bad_control_requests_are_refused(client: Any) -> None:
    assert "drop_response" in (await client.control("POST", "faults", kind="explode"))["msg"]
    assert (await client.control("POST", "faults", kind="delay"))["code"] == -1102
    assert (await client.control("POST", "faults", kind="error", count="many"))["code"] == -1100
    assert (await client.control("POST", "nothing"))["code"] == -5000


async def test_funding(client: Any) -> None:
    await client.market()
    answer = await client.control("POST", "funding", symbol="BTCUSDT", rate="0.0005")
    assert answer == {"symbol": "BTCUSDT", "rate": "0.0005", "paid": {"main": "-0.30000025"}}
    (row,) = await client.call("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")
    assert (row["income"], row["symbol"]) == ("-0.30000025", "BTCUSDT")
    assert (await client.raw("GET", "/fapi/v1/premiumIndex", "symbol=BTCUSDT"))[1]["lastFundingRate"] == "0.00050000"
    (settled,) = (await client.raw("GET", "/fapi/v1/fundingRate", "symbol=BTCUSDT"))[1]
    assert settled["fundingRate"] == "0.00050000"
    assert "rate" in (await client.control("POST", "funding", symbol="BTCUSDT", rate="2"))["msg"]


async def test_connections_and_listen_keys_end_in_time(start_client: Callable[..., Awaitable[Any]]) -> None:
    client = await start_client(connection_life_ms=300, listen_key_life_ms=100)
    stream = await client.user_stream()
    told = await asyncio.wait_for(stream.receive(), 30)
    if told.type == aiohttp.WSMsgType.TEXT:  # keys are looked through once a second
        assert told.json()["e"] == "listenKeyExpired"
        told = await asyncio.wait_for(stream.receive(), 30)
    assert told.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}


async def test_symbol_beyond_ascii(client: Any) -> None:
    symbol, encoded = "币安人生USDT", "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT"
    await client.control("POST", "market", symbol=symbol, bid="0.20000", ask="0.20001")
    stream, book = await client.user_stream(), await client.socket(f"/public/ws/{encoded.lower()}@bookTicker")
    order = {"side": "BUY", "type": "MARKET", "quantity": "100"}
    assert (await client.call("POST", "/fapi/v1/order", symbol=encoded, **order))["symbol"] == symbol
    assert (await asyncio.wait_for(stream.receive_json(), 30))["s"] == symbol
    await client.control("POST", "market", symbol=symbol, bid="0.20002", ask="0.20003")
    assert (await asyncio.wait_for(book.receive_json(), 30))["s"] == symbol
