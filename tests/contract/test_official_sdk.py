"""The exchange's official Python SDK against the simulator, with nothing but its base URLs set."""

import asyncio
from typing import Any

import pytest
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import (
    NewOrderNewOrderRespTypeEnum,
    NewOrderSideEnum,
    NewOrderTimeInForceEnum,
    NewOrderTypeEnum,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations and unclosed sockets


def keys(simulator: Any) -> dict[str, Any]:
    return {"api_key": simulator.key, "api_secret": simulator.secret}


@pytest.fixture
def rest(simulator: Any) -> Any:
    return DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(base_path=simulator.rest, retries=0, **keys(simulator))
    ).rest_api


def place(rest: Any, **changes: Any) -> Any:
    wanted = {
        "symbol": "BTCUSDT",
        "side": NewOrderSideEnum["BUY"],
        "type": NewOrderTypeEnum["LIMIT"],
        "time_in_force": NewOrderTimeInForceEnum["GTC"],
        "quantity": 0.01,
        "price": 59000.1,
    }
    return rest.new_order(**{**wanted, **changes}).data()


def test_market_data(rest: Any) -> None:
    info = rest.exchange_information().data()
    assert {"BTCUSDT", "ETHUSDT"} <= {symbol.symbol for symbol in info.symbols}
    book = rest.order_book(symbol="BTCUSDT", limit=5).data()
    assert list(book.bids[0]) == ["60000.00", "50.000"]
    assert rest.check_server_time().data().server_time > 0
    assert rest.mark_price(symbol="BTCUSDT").data().actual_instance.mark_price == "60000.05000000"


def test_place_query_amend_cancel(rest: Any) -> None:
    placed = place(rest, new_client_order_id="sdk-1")
    assert (placed.status, placed.orig_qty, placed.price) == ("NEW", "0.010", "59000.10")
    amended = rest.modify_order(
        symbol="BTCUSDT", side="BUY", quantity=0.02, price=59100.0, orig_client_order_id="sdk-1"
    ).data()
    assert (amended.order_id, amended.orig_qty, amended.price) == (placed.order_id, "0.020", "59100.00")
    queried = rest.query_order(symbol="BTCUSDT", order_id=placed.order_id).data()
    assert (queried.status, queried.avg_price) == ("NEW", "0.00")
    assert len(rest.current_all_open_orders(symbol="BTCUSDT").data()) == 1
    assert rest.cancel_order(symbol="BTCUSDT", order_id=placed.order_id).data().status == "CANCELED"
    with pytest.raises(BadRequestError, match="Unknown order sent"):
        rest.cancel_order(symbol="BTCUSDT", order_id=placed.order_id)


def test_market_order_account_and_positions(rest: Any) -> None:
    filled = place(
        rest,
        type=NewOrderTypeEnum["MARKET"],
        time_in_force=None,
        price=None,
        new_order_resp_type=NewOrderNewOrderRespTypeEnum["RESULT"],
    )
    assert (filled.status, filled.executed_qty) == ("FILLED", "0.010")
    positions = rest.position_information_v3(symbol="BTCUSDT").data()
    assert [(row.position_amt, row.entry_price) for row in positions] == [("0.010", "60000.1")]
    account = rest.account_information_v3().data()
    assert account.total_wallet_balance == "99999.69999950"  # 100,000 less 0.05 % of 600.001
    assert rest.futures_account_balance_v3().data()[0].asset == "USDT"
    trades = rest.account_trade_list(symbol="BTCUSDT").data()
    assert [(trade.price, trade.commission) for trade in trades] == [("60000.10", "0.3000005")]
    rest.change_initial_leverage(symbol="BTCUSDT", leverage=50)
    brackets = rest.notional_and_leverage_brackets(symbol="BTCUSDT").data()
    assert brackets.actual_instance is not None


async def test_orders_over_the_websocket_api(simulator: Any) -> None:
    client = DerivativesTradingUsdsFutures(
        config_ws_api=ConfigurationWebSocketAPI(stream_url=simulator.ws_api, **keys(simulator))
    )
    connection = await client.websocket_api.create_connection()  # type: ignore[no-untyped-call]
    try:
        placed = await connection.new_order(
            symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=59000.0
        )
        order = placed.data().result
        assert order.status == "NEW"
        amended = await connection.modify_order(
            symbol="BTCUSDT", side="BUY", quantity=0.03, price=59000.5, order_id=order.order_id
        )
        assert amended.data().result.orig_qty == "0.030"
        queried = await connection.query_order(symbol="BTCUSDT", order_id=order.order_id)
        assert queried.data().result.price == "59000.50"
        cancelled = await connection.cancel_order(symbol="BTCUSDT", order_id=order.order_id)
        assert cancelled.data().result.status == "CANCELED"
        account = await connection.account_information_v2()
        assert account.data().result.total_wallet_balance == "100000.00000000"
    finally:
        await connection.close_connection(close_session=True)


async def test_market_and_user_streams(simulator: Any, rest: Any) -> None:
    client = DerivativesTradingUsdsFutures(config_ws_streams=ConfigurationWebSocketStreams(stream_url=simulator.ws))
    connection = await client.websocket_streams.create_connection()  # type: ignore[no-untyped-call]
    try:
        quotes: asyncio.Queue[Any] = asyncio.Queue()
        events: asyncio.Queue[Any] = asyncio.Queue()
        stream = await connection.individual_symbol_book_ticker_streams(symbol="btcusdt")
        stream.on("message", quotes.put_nowait)
        key = rest.start_user_data_stream().data().listen_key
        user = await connection.user_data(key)
        user.on("message", events.put_nowait)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(place, rest, price=60000.1, new_client_order_id="sdk-2")
        kinds: list[str] = []
        while len(kinds) < 4:
            event = await asyncio.wait_for(events.get(), 5)
            kinds.append(type(event.actual_instance).__name__)
        assert kinds == ["TradeLite", "OrderTradeUpdate", "AccountUpdate", "OrderTradeUpdate"]
        quote = await asyncio.wait_for(quotes.get(), 5)
        assert (quote.s, quote.A) == ("BTCUSDT", "49.990")
    finally:
        await connection.close_connection(close_session=True)
