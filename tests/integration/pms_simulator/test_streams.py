"""WebSocket routes against a started simulator: market streams, user stream, WebSocket API."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

Frames = Callable[[aiohttp.ClientWebSocketResponse], Awaitable[Any]]


async def silent(socket: aiohttp.ClientWebSocketResponse, seconds: float = 0.3) -> bool:
    try:
        await asyncio.wait_for(socket.receive(), seconds)
    except TimeoutError:
        return True
    return False


async def test_subscriptions(client: Any, frames: Frames) -> None:
    socket = await client.socket("/public/ws")
    await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1})
    assert await frames(socket) == {"result": None, "id": 1}
    await client.quote("60001.00", "60001.10")
    ticker = await frames(socket)
    assert (ticker["e"], ticker["b"], ticker["a"], ticker["ps"], ticker["st"]) == (
        "bookTicker", "60001.00", "60001.10", "BTCUSDT", 1,
    )  # fmt: skip
    await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
    assert await frames(socket) == {"result": ["btcusdt@bookTicker"], "id": 2}
    await socket.send_json({"method": "SET_PROPERTY", "params": ["combined", True], "id": 3})
    await frames(socket)
    await client.quote("60002.00", "60002.10")
    assert (await frames(socket))["stream"] == "btcusdt@bookTicker"
    await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 4})
    assert await frames(socket) == {"result": None, "id": 4}
    await client.quote("60003.00", "60003.10")
    assert await silent(socket)
    await socket.send_str("{")
    assert (await frames(socket))["error"]["code"] == 3
    await socket.send_json({"method": "SHOUT", "id": 5})
    assert (await frames(socket))["error"]["code"] == 2


async def test_wrong_route_is_acknowledged_and_silent(client: Any, frames: Frames) -> None:
    market = await client.socket("/market/ws")
    await market.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker", "btcusdt@aggTrade"], "id": 1})
    assert await frames(market) == {"result": None, "id": 1}
    public = await client.socket("/public/stream?streams=btcusdt@aggTrade")
    await client.quote("60001.00", "60001.10")
    await client.control("POST", "trade", symbol="BTCUSDT", side="BUY", quantity="0.5")
    trade = await frames(market)
    assert (trade["e"], trade["p"], trade["q"], trade["m"]) == ("aggTrade", "60001.10", "0.500", False)
    assert await silent(public)


async def test_too_many_messages_end_the_connection(client: Any) -> None:
    socket = await client.socket("/public/ws")
    for number in range(15):
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
    while (message := await asyncio.wait_for(socket.receive(), 5)).type == aiohttp.WSMsgType.TEXT:
        pass
    assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}


async def follow_book(client: Any, symbol: str, seconds: float) -> tuple[int, int]:
    """Keep a book as the venue documents it; how many diffs it applied and how many quotes it compared."""
    name = symbol.lower()
    socket = await client.socket(f"/public/stream?streams={name}@depth@100ms/{name}@bookTicker")
    await asyncio.sleep(0.15)
    snapshot = (await client.raw("GET", "/fapi/v1/depth", f"symbol={symbol}&limit=1000"))[1]
    sides: dict[str, dict[float, str]] = {
        "b": {float(price): size for price, size in snapshot["bids"]},
        "a": {float(price): size for price, size in snapshot["asks"]},
    }
    last, previous, applied, compared = snapshot["lastUpdateId"], None, 0, 0
    tickers: dict[int, Any] = {}
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        data = (await asyncio.wait_for(socket.receive_json(), 5))["data"]
        if data["e"] == "bookTicker":
            tickers[data["u"]] = data
            continue
        if data["u"] < last:
            continue
        if previous is None:
            assert data["U"] <= last <= data["u"]
        else:
            assert data["pu"] == previous and data["U"] > previous
        previous = data["u"]
        for side in ("b", "a"):
            for price, size in data[side]:
                if float(size):
                    sides[side][float(price)] = size
                else:
                    sides[side].pop(float(price), None)
        applied += 1
        ticker = tickers.get(data["u"])
        bid, ask = max(sides["b"]), min(sides["a"])
        assert bid < ask
        if ticker is not None:
            assert (float(ticker["b"]), ticker["B"]) == (bid, sides["b"][bid])
            assert (float(ticker["a"]), ticker["A"]) == (ask, sides["a"][ask])
            compared += 1
    return applied, compared


async def test_synthetic_book_is_coherent(start_client: Callable[..., Awaitable[Any]]) -> None:
    client = await start_client(market="synthetic", tick_interval_ms=20, seed=7)
    applied, compared = await follow_book(client, "BTCUSDT", 2)
    assert applied > 8 and compared > 5


@pytest.mark.data
async def test_capture(capture_file: Path, start_client: Callable[..., Awaitable[Any]], frames: Frames) -> None:
    """A raw capture can be replayed; single recorded frames have the fields of ours."""
    if capture_file.suffix == ".gz":
        await replay(capture_file, start_client)
    else:
        await compare_fields(capture_file, await start_client(), frames)


async def compare_fields(file: Path, client: Any, frames: Frames) -> None:
    public = await client.socket("/public/ws/btcusdt@depth@100ms")
    quotes = await client.socket("/public/ws/btcusdt@bookTicker")
    market = await client.socket("/market/ws/btcusdt@aggTrade")
    marks = await client.socket("/market/ws/btcusdt@markPrice@1s")
    await client.quote("60001.00", "60001.10")
    await client.control("POST", "trade", symbol="BTCUSDT", side="BUY", quantity="0.5")
    ours = {frame["e"]: set(frame) for frame in [await frames(s) for s in (public, quotes, market, marks)]}
    for line in (await asyncio.to_thread(file.read_text)).splitlines():
        recorded = json.loads(line)
        recorded = recorded.get("data", recorded)
        if "lastUpdateId" in recorded:
            assert set((await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT"))[1]) == set(recorded)
        else:
            assert set(recorded) == ours[recorded["e"]]


async def replay(capture_file: Path, start_client: Callable[..., Awaitable[Any]]) -> None:
    symbol = capture_file.name.split("_")[1].upper()
    client = await start_client(market="replay", replay=(str(capture_file),), speed=5.0, symbols=(symbol,))
    low, high = recorded_range(capture_file)
    applied, compared = await follow_book(client, symbol, 3)
    mark = (await client.raw("GET", "/fapi/v1/premiumIndex", f"symbol={symbol}"))[1]["markPrice"]
    assert low <= float(mark) <= high
    assert applied > 15 and compared > 0


def recorded_range(capture_file: Path) -> tuple[float, float]:
    prices = []
    with gzip.open(capture_file, "rb") as lines:
        for line in lines:
            data = json.loads(line.partition(b" ")[2]).get("data", {})
            if data.get("e") == "bookTicker":
                prices += [float(data["b"]), float(data["a"])]
    return min(prices), max(prices)


async def test_recording_can_be_left_for_a_walk(tmp_path: Path, start_client: Callable[..., Awaitable[Any]]) -> None:
    ticker = {"e": "bookTicker", "u": 1, "s": "BTCUSDT", "b": "50000.00", "B": "3", "a": "50000.10", "A": "3"}
    capture = tmp_path / "short.gz"
    with gzip.open(capture, "wt") as lines:
        for at_ms in (0, 11_000, 11_300):
            lines.write(f"{at_ms * 1_000_000} {json.dumps({'stream': 'x', 'data': ticker})}\n")
    client = await start_client(market="replay", replay=(str(capture),), tick_interval_ms=20)
    bids = []
    for _ in range(8):
        bids.append((await client.control("GET", "state"))["markets"]["BTCUSDT"]["bid"])
        await asyncio.sleep(0.1)
    assert bids[0] == "50000.00"
    assert bids[-1] != "50000.00" and abs(float(bids[-1]) - 50000) < 500


async def test_partial_depth_and_marks(client: Any, frames: Frames) -> None:
    public = await client.socket("/public/ws/btcusdt@depth5@100ms")
    market = await client.socket("/market/ws/btcusdt@markPrice@1s")
    await client.quote("60001.00", "60001.10")
    partial = await frames(public)
    assert partial["b"][0] == ["60001.00", "50.000"] and len(partial["a"]) == 5
    assert (await frames(market))["p"] == "60001.05000000"


async def test_user_stream(client: Any, frames: Frames) -> None:
    stream = await client.user_stream()
    await client.market()
    kinds = [await frames(stream) for _ in range(4)]
    assert [event["e"] for event in kinds] == [
        "TRADE_LITE",
        "ORDER_TRADE_UPDATE",
        "ACCOUNT_UPDATE",
        "ORDER_TRADE_UPDATE",
    ]
    await client.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=10)
    assert (await frames(stream))["ac"] == {"s": "BTCUSDT", "l": 10}


async def test_user_stream_by_query_with_filter(client: Any, frames: Frames) -> None:
    key = (await client.raw("POST", "/fapi/v1/listenKey"))[1]["listenKey"]
    stream = await client.socket(f"/private/stream?listenKey={key}&events=ACCOUNT_UPDATE")
    wrong = await client.socket("/private/ws/unknown-key")
    await client.market()
    event = await frames(stream)
    assert (event["stream"], event["data"]["e"]) == (key, "ACCOUNT_UPDATE")
    assert await silent(stream) and await silent(wrong)


async def test_listen_key_expires(client: Any, frames: Frames) -> None:
    stream = await client.user_stream()
    await client.control("POST", "clock", offsetMs=3_600_001)
    event = await frames(stream)
    assert event["e"] == "listenKeyExpired" and isinstance(event["E"], int)


async def test_websocket_api(client: Any, frames: Frames) -> None:
    socket = await client.socket("/ws-fapi/v1")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}
    request = client.api_frame("order.place", **order, price="59000.00")
    await socket.send_json(request)
    answer = await frames(socket)
    assert (answer["id"], answer["status"], answer["result"]["status"]) == (request["id"], 200, "NEW")
    assert {row["rateLimitType"] for row in answer["rateLimits"]} == {"ORDERS"}
    by_id = {"symbol": "BTCUSDT", "orderId": answer["result"]["orderId"]}
    await socket.send_json(client.api_frame("order.modify", **by_id, side="BUY", price="59001.00", quantity="0.011"))
    assert (await frames(socket))["result"]["origQty"] == "0.011"
    await socket.send_json(client.api_frame("order.status", **by_id))
    assert (await frames(socket))["result"]["avgPrice"] == "0.00"
    await socket.send_json(client.api_frame("order.cancel", **by_id))
    assert (await frames(socket))["result"]["status"] == "CANCELED"
    await socket.send_json(client.api_frame("order.cancel", **by_id))
    assert (await frames(socket))["error"] == {"code": -2011, "msg": "Unknown order sent."}
    for method in ("account.status", "v2/account.status", "account.balance", "v2/account.balance",
                   "account.position", "v2/account.position"):  # fmt: skip
        await socket.send_json(client.api_frame(method))
        assert (await frames(socket))["status"] == 200
    await socket.send_json(client.api_frame("time", signed=False))
    assert (await frames(socket))["result"]["serverTime"] > 0
    await socket.send_json(client.api_frame("depth", signed=False, symbol="BTCUSDT", limit=5))
    assert (await frames(socket))["result"]["bids"][0][0] == "60000.00"


async def test_websocket_api_refusals(client: Any, frames: Frames) -> None:
    socket = await client.socket("/ws-fapi/v1?returnRateLimits=false")
    await socket.send_json(client.api_frame("session.logon"))
    refusal = await frames(socket)
    assert refusal["status"] == 400 and "Ed25519" in refusal["error"]["msg"]
    await socket.send_json(client.api_frame("order.dance"))
    assert (await frames(socket))["status"] == 400
    await socket.send_str("nonsense")
    assert (await frames(socket))["id"] is None
    forged = client.api_frame("account.balance")
    forged["params"]["signature"] = "00"
    await socket.send_json(forged)
    answer = await frames(socket)
    assert answer["error"]["code"] == -1022 and "rateLimits" not in answer
