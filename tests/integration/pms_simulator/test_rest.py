"""Every REST route against a started simulator."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

PLACED = [
    "orderId", "symbol", "status", "clientOrderId", "price", "origQty", "executedQty", "cumQty", "timeInForce",
    "type", "reduceOnly", "closePosition", "side", "positionSide", "stopPrice", "workingType", "priceProtect",
    "origType", "priceMatch", "selfTradePreventionMode", "goodTillDate", "updateTime",
]  # fmt: skip


async def test_public_routes(client: Any) -> None:
    assert (await client.raw("GET", "/fapi/v1/ping"))[1] == {}
    assert (await client.raw("GET", "/fapi/v1/time"))[1]["serverTime"] > 1_700_000_000_000
    info = (await client.raw("GET", "/fapi/v1/exchangeInfo"))[1]
    assert "币安人生USDT" in {entry["symbol"] for entry in info["symbols"]}
    assert [row["limit"] for row in info["rateLimits"]] == [2400, 1200, 300]
    book = (await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=5"))[1]
    assert book["bids"][0] == ["60000.00", "50.000"] and book["asks"][0] == ["60000.10", "50.000"]
    assert (await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=7"))[1]["code"] == -4021
    assert (await client.raw("GET", "/fapi/v1/depth", "symbol=NOPE"))[1]["code"] == -1121
    ticker = (await client.raw("GET", "/fapi/v1/ticker/bookTicker", "symbol=BTCUSDT"))[1]
    assert (ticker["bidPrice"], ticker["askPrice"]) == ("60000.00", "60000.10")
    every = (await client.raw("GET", "/fapi/v1/ticker/bookTicker"))[1]
    assert len(every) == len(info["symbols"])
    chinese = (await client.raw("GET", "/fapi/v1/ticker/price", f"symbol={quote('币安人生USDT')}"))[1]
    assert chinese["symbol"] == "币安人生USDT"
    assert (await client.raw("GET", "/fapi/v1/premiumIndex", "symbol=BTCUSDT"))[1]["markPrice"] == "60000.05000000"


async def test_order_life(client: Any) -> None:
    order = await client.limit(newClientOrderId="life")
    assert list(order) == PLACED  # neither avgPrice nor cumQuote since 2026-07
    assert order["status"] == "NEW" and order["executedQty"] == "0.000"
    by_id = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    queried = await client.call("GET", "/fapi/v1/order", **by_id)
    assert (queried["avgPrice"], queried["cumQuote"]) == ("0.00", "0.00000")
    assert (await client.call("GET", "/fapi/v1/openOrder", **by_id))["clientOrderId"] == "life"
    amended = await client.call(
        "PUT", "/fapi/v1/order", **by_id, side="BUY", price="59100.0", quantity="0.02", modifyId=5
    )
    assert (amended["price"], amended["origQty"], amended["modifyId"]) == ("59100.00", "0.020", 5)
    assert len(await client.call("GET", "/fapi/v1/openOrders")) == 1
    cancelled = await client.call("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="life")
    assert cancelled["status"] == "CANCELED"
    assert (await client.call("DELETE", "/fapi/v1/order", **by_id))["code"] == -2011
    assert (await client.call("GET", "/fapi/v1/openOrder", **by_id))["code"] == -2013
    assert [o["orderId"] for o in await client.call("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")] == [
        order["orderId"]
    ]
    assert (await client.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=1))["code"] == -2013
    assert (await client.call("GET", "/fapi/v1/order", symbol="BTCUSDT"))["code"] == -1102


async def test_test_order_leaves_nothing(client: Any) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}
    assert (await client.call("POST", "/fapi/v1/order/test", **order, price="59000.00"))["status"] == "NEW"
    assert (await client.call("POST", "/fapi/v1/order/test", **order, price="1000.00"))["code"] == -4164
    assert await client.call("GET", "/fapi/v1/allOrders", symbol="BTCUSDT") == []


async def test_acknowledgement_and_result(client: Any) -> None:
    acknowledged = await client.market(newOrderRespType="ACK")
    assert (acknowledged["status"], acknowledged["executedQty"]) == ("NEW", "0.000")
    result = await client.market()
    assert (result["status"], result["executedQty"]) == ("FILLED", "0.010")


async def test_fills_positions_and_income(client: Any) -> None:
    await client.market()
    await client.quote("61000.00", "61000.10")
    await client.market("SELL", "0.004")
    (trade, closing) = await client.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert (trade["price"], trade["maker"], trade["buyer"]) == ("60000.10", False, True)
    assert closing["realizedPnl"] == "3.9996"
    later = await client.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", fromId=closing["id"])
    assert [item["id"] for item in later] == [closing["id"]]
    income = await client.call("GET", "/fapi/v1/income")
    assert [row["incomeType"] for row in income] == ["COMMISSION", "COMMISSION", "REALIZED_PNL"]
    (risk,) = await client.call("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")
    assert (risk["positionAmt"], risk["entryPrice"], risk["unRealizedProfit"]) == ("0.006", "60000.1", "5.99970000")
    (old,) = await client.call("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")
    assert (old["leverage"], old["marginType"], old["isAutoAddMargin"]) == ("20", "cross", "false")
    (balance,) = await client.call("GET", "/fapi/v3/balance")
    wallet = 100_000 + sum(float(row["income"]) for row in income)
    assert float(balance["balance"]) == pytest.approx(wallet, abs=1e-8)
    for version in ("v2", "v3"):
        account = await client.call("GET", f"/fapi/{version}/account")
        assert account["totalWalletBalance"] == balance["balance"]
        assert [row["positionAmt"] for row in account["positions"] if row["symbol"] == "BTCUSDT"] == ["0.006"]


async def test_batches(client: Any) -> None:
    good = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}
    orders = [{**good, "price": "59000.00"}, {**good, "price": "1000.00"}, {**good, "price": "59001.00"}]
    first, refused, last = await client.call("POST", "/fapi/v1/batchOrders", batchOrders=quote(json.dumps(orders)))
    assert refused["code"] == -4164 and last["price"] == "59001.00"
    changes = [{"symbol": "BTCUSDT", "side": "BUY", "orderId": first["orderId"], "quantity": "0.02", "price": "59002"}]
    (amended,) = await client.call("PUT", "/fapi/v1/batchOrders", batchOrders=quote(json.dumps(changes)))
    assert amended["origQty"] == "0.020"
    ids = quote(json.dumps([first["orderId"], 5], separators=(",", ":")))
    done, unknown = await client.call("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=ids)
    assert done["status"] == "CANCELED" and unknown["code"] == -2011
    assert (await client.call("POST", "/fapi/v1/batchOrders", batchOrders=quote("[]")))["code"] == -4082
    done = await client.call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert done == {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert await client.call("GET", "/fapi/v1/openOrders", symbol="BTCUSDT") == []


async def test_account_settings(client: Any) -> None:
    leverage = await client.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=50)
    assert leverage == {"symbol": "BTCUSDT", "leverage": 50, "maxNotionalValue": "12000000"}
    assert (await client.call("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=126))["code"] == -4028
    (config,) = await client.call("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")
    assert (config["leverage"], config["marginType"]) == (50, "CROSSED")
    margin = {"symbol": "BTCUSDT", "marginType": "CROSSED"}
    assert (await client.call("POST", "/fapi/v1/marginType", **margin))["code"] == -4046
    assert (await client.call("POST", "/fapi/v1/positionSide/dual", dualSidePosition="false"))["code"] == -4059
    assert (await client.call("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true"))["code"] == 200
    assert (await client.call("GET", "/fapi/v1/positionSide/dual")) == {"dualSidePosition": True}
    assert (await client.market())["code"] == -4061
    assert (await client.market(positionSide="LONG"))["status"] == "FILLED"
    sides = {row["positionSide"] for row in await client.call("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")}
    assert sides == {"LONG", "SHORT"}
    assert (await client.call("POST", "/fapi/v1/positionSide/dual", dualSidePosition="false"))["code"] == -4068
    assert (await client.call("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="false"))["code"] == -4171
    assert (await client.call("GET", "/fapi/v1/multiAssetsMargin")) == {"multiAssetsMargin": False}
    assert (await client.call("GET", "/fapi/v1/accountConfig"))["dualSidePosition"] is True
    rates = await client.call("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")
    assert rates["takerCommissionRate"] == "0.000500"
    bracket = await client.call("GET", "/fapi/v1/leverageBracket", symbol="BTCUSDT")
    assert bracket["brackets"][1] == {
        "bracket": 2, "initialLeverage": 100, "notionalCap": 600000, "notionalFloor": 50000,
        "maintMarginRatio": 0.005, "cum": 50.0,
    }  # fmt: skip
    assert len(await client.call("GET", "/fapi/v1/rateLimit/order")) == 2


async def test_listen_keys(client: Any) -> None:
    assert (await client.raw("PUT", "/fapi/v1/listenKey"))[1]["code"] == -1125
    key = (await client.raw("POST", "/fapi/v1/listenKey"))[1]
    assert (await client.raw("POST", "/fapi/v1/listenKey"))[1] == key
    assert (await client.raw("PUT", "/fapi/v1/listenKey"))[1] == key
    assert (await client.raw("DELETE", "/fapi/v1/listenKey"))[1] == {}
    assert (await client.raw("PUT", "/fapi/v1/listenKey"))[0] == 400


async def test_keys_and_signatures(client: Any) -> None:
    status, body, _ = await client.raw("GET", "/fapi/v2/balance", "timestamp=1", key=None)
    assert (status, body["code"]) == (401, -2014)
    assert (await client.raw("GET", "/fapi/v2/balance", "timestamp=1", key="who"))[1]["code"] == -2015
    assert (await client.raw("GET", "/fapi/v2/balance", "timestamp=1"))[1]["code"] == -1021
    now = client.simulator.venue.now_ms()
    assert (await client.raw("GET", "/fapi/v2/balance", f"timestamp={now}"))[1]["code"] == -1102
    assert (await client.raw("GET", "/fapi/v2/balance", f"timestamp={now}&signature=00"))[1]["code"] == -1022
    assert (await client.raw("GET", "/fapi/v9/nothing"))[0] == 404


async def test_parameters_in_the_body(client: Any) -> None:
    from hmac import digest

    body = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=59000.00"
    query = f"timestamp={client.simulator.venue.now_ms()}"
    signature = digest(b"sim-secret", (query + body).encode(), "sha256").hex()
    url = f"{client.simulator.url}/fapi/v1/order?{query}"
    headers = {"X-MBX-APIKEY": "sim-key", "Content-Type": "application/x-www-form-urlencoded"}
    async with client.session.post(url, data=f"{body}&signature={signature}", headers=headers) as answer:
        assert (await answer.json())["status"] == "NEW"


async def test_weights_and_order_counts(start_client: Callable[..., Awaitable[Any]]) -> None:
    from pms_simulator.domain.limits import LimitConfig

    client = await start_client(limits=LimitConfig(weight_per_minute=40, orders_per_ten_seconds=2))
    _, _, headers = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000")
    assert headers["X-MBX-USED-WEIGHT-1M"] == "20"
    await client.limit()
    await client.limit()
    refused = await client.limit()
    assert refused["code"] == -1015
    status, body, headers = await client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000")
    assert status == 200
    status, body, headers = await client.raw("GET", "/fapi/v1/ping")
    assert (status, body["code"]) == (429, -1003) and 1 <= int(headers["Retry-After"]) <= 60
    statuses = [(await client.raw("GET", "/fapi/v1/ping"))[0] for _ in range(20)]
    assert statuses[-1] == 418
    await client.control("DELETE", "limits")
    assert (await client.raw("GET", "/fapi/v1/time"))[0] == 200


async def test_order_counts_in_headers(client: Any) -> None:
    from tests.integration.pms_simulator.conftest import sign_query

    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
    _, _, headers = await client.raw("POST", "/fapi/v1/order", sign_query(order))
    assert (headers["X-MBX-ORDER-COUNT-10S"], headers["X-MBX-ORDER-COUNT-1M"]) == ("1", "1")


@pytest.mark.data
@pytest.mark.parametrize("name", ["exchangeInfo-2021-full.capture", "exchangeInfo-mainnet-subset.json"])
async def test_recorded_exchange_info_can_be_loaded(
    data_directory: Path, start_client: Callable[..., Awaitable[Any]], name: str
) -> None:
    client = await start_client(exchange_info=data_directory / "rest" / name)
    info = (await client.raw("GET", "/fapi/v1/exchangeInfo"))[1]
    assert info["symbols"][0]["symbol"] == "BTCUSDT"
    assert (await client.limit("59000.00"))["status"] == "NEW"


@pytest.mark.data
async def test_answers_have_the_recorded_fields(data_directory: Path, client: Any) -> None:
    def recorded(name: str) -> Any:
        return json.loads((data_directory / "rest" / name).read_text())

    order = await client.limit()
    by_id = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    assert set(order) == set(recorded("order-new.json"))
    assert set(await client.call("GET", "/fapi/v1/order", **by_id)) == set(recorded("order-query.json"))
    assert set(await client.call("DELETE", "/fapi/v1/order", **by_id)) == set(recorded("order-canceled.json"))
    assert await client.call("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=1) == recorded("orderNotFound.json")
    stop = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "stopPrice": "1", "quantity": "0.010"}
    assert await client.call("POST", "/fapi/v1/order", **stop) == recorded("orderTypeNotSupported.json")
    account, wanted = await client.call("GET", "/fapi/v2/account"), recorded("account_v2.json")
    assert set(account) == set(wanted)
    assert set(account["assets"][0]) == set(wanted["assets"][0])
    assert set(account["positions"][0]) == set(wanted["positions"][0])
    await client.call("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    risk = await client.call("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")
    assert set(risk[0]) == set(recorded("positionRisk_v2_hedge.json")[0])
