"""ccxt's binanceusdm against the simulator, with nothing but its base URLs set."""

from typing import Any

import ccxt  # type: ignore[import-untyped]
import pytest

SYMBOL = "BTC/USDT:USDT"


@pytest.fixture
def exchange(simulator: Any) -> Any:
    client = ccxt.binanceusdm(
        {
            "apiKey": simulator.key,
            "secret": simulator.secret,
            "options": {"fetchCurrencies": False},
            "enableRateLimit": False,
        }
    )
    for name, url in client.urls["api"].items():
        if isinstance(url, str) and name.startswith("fapi"):
            client.urls["api"][name] = url.replace("https://fapi.binance.com", simulator.rest)
    return client


def test_markets_and_book(exchange: Any) -> None:
    markets = exchange.load_markets()
    assert markets[SYMBOL]["precision"] == {"amount": 0.001, "price": 0.1, **_other_precision(markets[SYMBOL])}
    book = exchange.fetch_order_book(SYMBOL, 5)
    assert (book["bids"][0], book["asks"][0]) == ([60000.0, 50.0], [60000.1, 50.0])
    assert exchange.fetch_bids_asks([SYMBOL])[SYMBOL]["bid"] == 60000.0


def _other_precision(market: Any) -> dict[str, Any]:
    return {name: value for name, value in market["precision"].items() if name not in {"amount", "price"}}


def test_place_query_amend_cancel(exchange: Any) -> None:
    placed = exchange.create_order(SYMBOL, "limit", "buy", 0.01, 59000, {"clientOrderId": "ccxt-1"})
    assert (placed["status"], placed["clientOrderId"]) == ("open", "ccxt-1")
    exchange.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.02, 59100)
    fetched = exchange.fetch_order(placed["id"], SYMBOL)
    assert (fetched["amount"], fetched["price"], fetched["status"]) == (0.02, 59100.0, "open")
    assert [order["id"] for order in exchange.fetch_open_orders(SYMBOL)] == [placed["id"]]
    assert exchange.cancel_order(placed["id"], SYMBOL)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order(placed["id"], SYMBOL)


def test_market_order_balance_and_position(exchange: Any) -> None:
    filled = exchange.create_order(SYMBOL, "market", "sell", 0.01)
    assert filled["status"] == "closed"
    assert exchange.fetch_balance()["USDT"]["total"] == pytest.approx(100_000 - 600 * 0.0005)
    (position,) = exchange.fetch_positions([SYMBOL])
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("short", 0.01, 60000.0)
    (trade,) = exchange.fetch_my_trades(SYMBOL)
    assert trade["fee"] == {"cost": 0.3, "currency": "USDT"}
    exchange.set_leverage(10, SYMBOL)
    assert exchange.fetch_leverage(SYMBOL)["longLeverage"] == 10


def test_refusals_arrive_as_ccxt_errors(exchange: Any) -> None:
    with pytest.raises(ccxt.ExchangeError, match="-2019"):
        exchange.create_order(SYMBOL, "limit", "buy", 900, 59000)
    with pytest.raises(ccxt.InvalidOrder, match="-5022"):
        exchange.create_order(SYMBOL, "limit", "buy", 0.01, 60000.1, {"timeInForce": "GTX"})
