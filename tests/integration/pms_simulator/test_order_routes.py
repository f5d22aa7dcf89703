"""Batches, the dead-man switch, amendments and their history, forced orders, requests that reach matching too late."""

import asyncio
import json
import time
from typing import Any
from urllib.parse import quote

LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}


def rows(entries: list[Any]) -> str:
    return quote(json.dumps(entries, separators=(",", ":")), safe="")


async def test_batches_settle_each_item(client: Any) -> None:
    wanted = [{**LIMIT, "price": "59000"}, {**LIMIT, "price": "59000.05"}, {**LIMIT, "price": "58000"}]
    placed = await client.call("POST", "/fapi/v1/batchOrders", batchOrders=rows(wanted))
    assert [item.get("code", item.get("status")) for item in placed] == ["NEW", -4014, "NEW"]
    change = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.020"}
    changes = [{**change, "orderId": placed[0]["orderId"], "price": "59001"},
               {**change, "orderId": 1, "price": "59001"},
               {**change, "orderId": placed[2]["orderId"], "price": "58000", "quantity": "0.010"}]  # fmt: skip
    amended = await client.call("PUT", "/fapi/v1/batchOrders", batchOrders=rows(changes))
    assert [item.get("code", item.get("origQty")) for item in amended] == ["0.020", -2013, -5027]
    ids = f"[{placed[0]['orderId']},1,{placed[2]['orderId']}]"
    cancelled = await client.call("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=quote(ids))
    assert [item.get("code", item.get("status")) for item in cancelled] == ["CANCELED", -2011, "CANCELED"]
    assert (await client.call("POST", "/fapi/v1/batchOrders", batchOrders=rows([LIMIT] * 6)))["code"] == -4082


async def test_countdown_cancels_a_symbols_orders(client: Any, frames: Any) -> None:
    order, stream = await client.limit(), await client.user_stream()
    arm = {"symbol": "BTCUSDT", "countdownTime": 60_000}
    answer = await client.call("POST", "/fapi/v1/countdownCancelAll", **arm)
    assert answer == {"symbol": "BTCUSDT", "countdownTime": "60000"}
    await client.call("POST", "/fapi/v1/countdownCancelAll", **{**arm, "countdownTime": 0})
    await client.call("POST", "/fapi/v1/countdownCancelAll", **{**arm, "symbol": "ETHUSDT", "countdownTime": 1})
    await client.call("POST", "/fapi/v1/countdownCancelAll", **{**arm, "countdownTime": 1_000})
    assert len(await client.call("GET", "/fapi/v1/openOrders")) == 1
    event = (await frames(stream))["o"]
    assert (event["i"], event["x"], event["X"]) == (order["orderId"], "CANCELED", "CANCELED")
    (kept,) = (await client.control("GET", "state"))["accounts"]["main"]["orders"]
    assert kept["endedBy"] == "countdown"
    assert (await client.call("POST", "/fapi/v1/countdownCancelAll", **{**arm, "countdownTime": -1}))["code"] == -1100


async def test_amendments_are_remembered(client: Any) -> None:
    order = await client.limit()
    name = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    for price, modify_id in (("59001.00", 7), ("59002.00", 8)):
        change = {**name, "side": "BUY", "quantity": "0.020", "price": price, "modifyId": modify_id}
        assert (await client.call("PUT", "/fapi/v1/order", **change))["modifyId"] == modify_id
    newest, oldest = await client.call("GET", "/fapi/v1/orderAmendment", **name)
    assert oldest["amendment"] == {
        "price": {"before": "59000.00", "after": "59001.00"}, "origQty": {"before": "0.010", "after": "0.020"},
        "count": 1,
    }  # fmt: skip
    assert (newest["modifyId"], newest["amendment"]["count"]) == (8, 2)
    assert len(await client.call("GET", "/fapi/v1/orderAmendment", **name, limit=1)) == 1
    assert (await client.call("GET", "/fapi/v1/orderAmendment", symbol="BTCUSDT"))["code"] == -1102


async def test_one_pending_amendment_at_a_time(client: Any) -> None:
    order = await client.limit(newClientOrderId="mine")
    change = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.020"}
    await client.control("POST", "faults", kind="delay", ms=1_000, operation="order.modify", count=1)
    first = asyncio.create_task(
        client.call("PUT", "/fapi/v1/order", **change, orderId=order["orderId"], price="59001.00")
    )
    async with asyncio.timeout(30):
        while not (await client.control("GET", "faults"))["struck"]:
            continue
    second = await client.call("PUT", "/fapi/v1/order", **change, origClientOrderId="mine", price="59002.00")
    assert second["code"] == -5043
    assert (await first)["price"] == "59001.00"
    third = await client.call("PUT", "/fapi/v1/order", **change, origClientOrderId="mine", price="59002.00")
    assert third["price"] == "59002.00"


async def test_late_at_the_matching_engine(client: Any) -> None:
    await client.control("POST", "faults", kind="delay", ms=1_200, operation="order.place", count=1)
    assert (await client.limit(recvWindow=1000))["code"] == -5028
    assert await client.call("GET", "/fapi/v1/openOrders") == []
    assert (await client.limit(recvWindow=5000))["status"] == "NEW"


async def test_forced_orders(client: Any) -> None:
    for kind in ("adl", "autoclose"):
        await client.market()
        await client.control("POST", "faults", kind=kind, symbol="BTCUSDT")
    found = await client.call("GET", "/fapi/v1/forceOrders")
    assert [order["autoCloseType"] for order in found] == ["ADL", "LIQUIDATION"]
    (one,) = await client.call("GET", "/fapi/v1/forceOrders", autoCloseType="ADL", symbol="BTCUSDT")
    assert one["clientOrderId"].startswith("adl_autoclose")


async def test_api_answers_carry_limits_also_when_refused(client: Any, frames: Any) -> None:
    socket = await client.socket("/ws-fapi/v1")
    await socket.send_json(client.api_frame("order.place", **LIMIT, price="1"))
    answer = await frames(socket)
    assert answer["status"] == 400 and answer["error"]["code"] == -4013
    assert [(row["rateLimitType"], row["interval"], row["count"]) for row in answer["rateLimits"]] == [
        ("ORDERS", "SECOND", 1), ("ORDERS", "MINUTE", 1),
    ]  # fmt: skip
    for method in ("userDataStream.start", "userDataStream.ping", "userDataStream.stop"):
        await socket.send_json({"id": method, "method": method, "params": {"apiKey": "sim-key"}})
        answer = await frames(socket)
        assert (answer["id"], answer["status"]) == (method, 200)
    await socket.send_json({"id": 1, "method": "userDataStream.ping", "params": {"apiKey": "sim-key"}})
    assert (await frames(socket))["error"]["code"] == -1125
    await socket.send_json({"id": 2, "method": "order.dance", "params": {}})
    assert (await frames(socket))["status"] == 400
    for method in ("account.position", "v2/account.position", "account.balance", "v2/account.balance",
                   "account.status", "v2/account.status"):  # fmt: skip
        await socket.send_json(client.api_frame(method))
        assert (await frames(socket))["status"] == 200


async def test_old_orders_are_forgotten_and_the_last_seven_days_are_listed(client: Any) -> None:
    """The venue forgets what ended untraded after three days, and lists a week where no time is named."""
    day_ms = 24 * 3_600_000
    now_ms = int(time.time() * 1000)
    later: dict[str, Any] = {"symbol": "BTCUSDT", "timestamp": now_ms + 8 * day_ms, "recvWindow": 60_000}
    cancelled, filled = (await client.limit())["orderId"], (await client.market())["orderId"]
    await client.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=cancelled)
    await client.control("POST", "clock", offsetMs=8 * day_ms)
    assert (await client.call("GET", "/fapi/v1/order", **later, orderId=cancelled))["code"] == -2013
    assert (await client.call("GET", "/fapi/v1/order", **later, orderId=filled))["status"] == "FILLED"
    assert await client.call("GET", "/fapi/v1/userTrades", **later, orderId=filled) == []
    assert await client.call("GET", "/fapi/v1/allOrders", **later) == []
    window = {"startTime": now_ms - day_ms, "endTime": now_ms + day_ms}
    for named in (window, {"fromId": 0}):
        assert len(await client.call("GET", "/fapi/v1/userTrades", **later, **named, orderId=filled)) == 1
