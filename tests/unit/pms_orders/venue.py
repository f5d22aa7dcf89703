"""A venue's REST interface of which the tests say every answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web
from tests.unit.pms_orders.orders import NOW

from pms_common.rate.window import Window
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_client import WINDOW_MS, ExchangeClient
from pms_orders.adapters.binance.signing import Signer
from pms_orders.domain.rate import Budget


@asynccontextmanager
async def venue(answer: Any) -> AsyncIterator[ExchangeClient]:
    """A client of a venue that answers everything by `answer`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    clock = VenueClock()
    clock._offset_ms = 0.0
    budget = Budget((Window(10_000, 300),), Window(60_000, 2_400))
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = ExchangeClient(url, Signer("key", "secret"), clock, budget, lambda: NOW)
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


def says(body: bytes, status: int = 200, **headers: str) -> Any:
    """Always the same answer."""

    async def answer(_request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, status=status, headers=named)

    return answer


class Exchange:
    """What the venue knows: set the fields, and hand `answer` to `venue`."""

    def __init__(self) -> None:
        self.open_orders: list[dict[str, Any]] = []
        self.orders: dict[str, dict[str, Any]] = {}
        self.trades: list[dict[str, Any]] = []
        self.income: list[dict[str, Any]] = []
        self.income_since: list[int] = []
        self.balances: list[dict[str, Any]] = []
        self.positions: list[dict[str, Any]] = []
        self.funding_rates: list[dict[str, Any]] = []
        self.all_orders: list[dict[str, Any]] = []
        self.down = False
        self.lags = 0
        """So many queries of single orders find nothing yet."""
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path.rpartition("/")[2]
        self.asked.append(path)
        if self.down:
            return web.Response(status=500, body=b"")
        if path == "order":
            return self._order(request)
        found: Any = {
            "income": self._income(request),
            "openOrders": [o for o in self.open_orders if request.query.get("symbol") in (None, o["symbol"])],
            "userTrades": [t for t in self.trades if t["symbol"] == request.query.get("symbol")],
            "allOrders": [o for o in self.all_orders if o["orderId"] >= int(request.query.get("orderId", 0))],
            "balance": self.balances,
            "positionRisk": self.positions,
            "fundingRate": self._rates(request),
        }[path]
        return web.Response(body=msgspec.json.encode(found))

    def _rates(self, request: web.Request) -> list[dict[str, Any]]:
        since_ms, limit = int(request.query.get("startTime", 0)), int(request.query.get("limit", 0))
        return [rate for rate in self.funding_rates if rate["fundingTime"] >= since_ms][:limit]

    def _income(self, request: web.Request) -> list[dict[str, Any]]:
        if request.path.rpartition("/")[2] != "income":
            return []
        since_ms, limit = int(request.query["startTime"]), int(request.query["limit"])
        self.income_since.append(since_ms)
        return [flow for flow in self.income if since_ms <= flow["time"] <= since_ms + WINDOW_MS][:limit]

    def _order(self, request: web.Request) -> web.Response:
        query = request.query
        self.lags -= 1
        for name, order in self.orders.items():
            if self.lags >= 0:
                break
            if name == query.get("origClientOrderId") or str(order["orderId"]) == query.get("orderId"):
                return web.Response(body=msgspec.json.encode(order))
        return web.Response(status=400, body=b'{"code":-2013,"msg":"Order does not exist."}')


def queried(name: str, status: str = "NEW", executed: str = "0", **fields: Any) -> dict[str, Any]:
    """An order of 10 at 100 as GET order tells it."""
    given = {"orderId": 7, "symbol": "BTCUSDT", "status": status, "clientOrderId": name, "price": "100"}
    return {**given, "origQty": "10", "executedQty": executed, "updateTime": NOW, "avgPrice": "100", **fields}


def traded(number: int, quantity: str = "1", order_id: int = 7, **fields: Any) -> dict[str, Any]:
    """A line of userTrades."""
    money = {"price": "100", "qty": quantity, "commission": "0", "commissionAsset": "USDT", "realizedPnl": "0"}
    return {
        "symbol": "BTCUSDT",
        "id": number,
        "orderId": order_id,
        "side": "BUY",
        **money,
        "maker": False,
        "time": NOW,
        **fields,
    }
