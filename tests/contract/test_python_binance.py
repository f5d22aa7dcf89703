"""python-binance against the simulator, with nothing but its base URLs set."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports what its own dependencies have deprecated
    from binance import AsyncClient, BinanceSocketManager  # type: ignore[import-untyped]
    from binance.exceptions import BinanceAPIException  # type: ignore[import-untyped]

pytestmark = pytest.mark.filterwarnings("ignore")  # the client's own deprecations


@pytest.fixture
async def client(simulator: Any) -> AsyncIterator[AsyncClient]:
    connected = AsyncClient(simulator.key, simulator.secret)
    connected.FUTURES_URL = f"{simulator.rest}/fapi"
    yield connected
    await connected.close_connection()


LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}


async def test_place_query_amend_cancel(client: AsyncClient) -> None:
    assert "BTCUSDT" in {symbol["symbol"] for symbol in (await client.futures_exchange_info())["symbols"]}
    placed = await client.futures_create_order(**LIMIT, price="59000.0", newClientOrderId="pb-1")
    assert (placed["status"], placed["clientOrderId"]) == ("NEW", "pb-1")
    amended = await client.futures_modify_order(
        symbol="BTCUSDT", side="BUY", orderId=placed["orderId"], quantity="0.02", price="59100.0"
    )
    assert (amended["origQty"], amended["price"]) == ("0.020", "59100.00")
    queried = await client.futures_get_order(symbol="BTCUSDT", origClientOrderId="pb-1")
    assert queried["cumQuote"] == "0.00000"
    cancelled = await client.futures_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
    assert cancelled["status"] == "CANCELED"
    with pytest.raises(BinanceAPIException, match="-2011"):
        await client.futures_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])


async def test_market_order_account_and_positions(client: AsyncClient) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    filled = await client.futures_create_order(**order, newOrderRespType="RESULT")
    assert filled["status"] == "FILLED"
    account = await client.futures_account()
    assert account["totalWalletBalance"] == "99999.69999950"
    positions = await client.futures_position_information(symbol="BTCUSDT")
    assert positions[0]["positionAmt"] == "0.010"
    assert (await client.futures_account_balance())[0]["asset"] == "USDT"


async def test_user_stream(simulator: Any, client: AsyncClient) -> None:
    manager = BinanceSocketManager(client)
    manager.FSTREAM_URL = f"{simulator.ws}/"
    async with manager.futures_user_socket() as socket:
        await client.futures_create_order(**LIMIT, price="60000.1")
        kinds = [(await asyncio.wait_for(socket.recv(), 5))["e"] for _ in range(4)]
    assert kinds == ["TRADE_LITE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
