"""The venue's REST interface: queries, the listen key, the time.

Owns the warm connection pool, the weight each query costs and the reading of errors. Never places, amends or cancels.
Used by the resolver, the reconciliation, the user stream and the start-up.
"""

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_info import ExchangeInfo, exchange_info
from pms_orders.adapters.binance.signing import Signer
from pms_orders.domain.errors import VenueError
from pms_orders.domain.rate import Budget

TIMEOUT_S = 5.0
WEIGHT_POLL_S = 0.1
TRADES_PAGE = 1_000


class VenueRefused(Exception):
    """The venue answered with an error."""

    def __init__(self, error: VenueError) -> None:
        self.error = error
        super().__init__(f"{error.code}: {error.message} (HTTP {error.status})")


class VenueUnreachable(Exception):
    """No usable answer: connection, time or form."""


class ExchangeClient:
    """Signed and unsigned queries within the weight budget."""

    def __init__(self, url: str, signer: Signer, clock: VenueClock, budget: Budget, now_ms: Callable[[], int]) -> None:
        self._url = url.rstrip("/")
        self._signer = signer
        self._clock = clock
        self._budget = budget
        self._now_ms = now_ms
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), headers={"X-MBX-APIKEY": signer.api_key}
        )

    async def close(self) -> None:
        """Close the pool."""
        await self._session.close()

    # -- what is asked

    async def time_ms(self) -> int:
        """The venue's time."""
        answer = await self._ask("GET", "/fapi/v1/time", 1, signed=False)
        return int(msgspec.json.decode(answer)["serverTime"])

    async def exchange_info(self) -> ExchangeInfo:
        """Symbols, filters and limits."""
        return exchange_info.decode(await self._ask("GET", "/fapi/v1/exchangeInfo", 1, signed=False))

    async def order(self, symbol: str, client_order_id: str) -> wire.QueriedOrder:
        """An order by client order id. Raises `VenueRefused` with -2013 where the venue does not find it."""
        parameters: dict[str, str | int] = {"symbol": symbol, "origClientOrderId": client_order_id}
        return wire.queried_order.decode(await self._ask("GET", "/fapi/v1/order", 1, parameters))

    async def open_orders(self) -> list[wire.QueriedOrder]:
        """All open orders of the exchange account."""
        return wire.queried_orders.decode(await self._ask("GET", "/fapi/v1/openOrders", 40))

    async def trades_of(self, symbol: str, exchange_order_id: int) -> list[wire.AccountTrade]:
        """The trades of one order."""
        return await self._trades({"symbol": symbol, "orderId": exchange_order_id})

    async def trades_since(self, symbol: str, trade_id: int) -> list[wire.AccountTrade]:
        """All trades on a symbol after `trade_id`."""
        found: list[wire.AccountTrade] = []
        while page := await self._trades({"symbol": symbol, "fromId": trade_id + 1, "limit": TRADES_PAGE}):
            found += page
            trade_id = max(trade.id for trade in page)
            if len(page) < TRADES_PAGE:
                break
        return found

    async def _trades(self, parameters: dict[str, str | int]) -> list[wire.AccountTrade]:
        return wire.account_trades.decode(await self._ask("GET", "/fapi/v1/userTrades", 5, parameters))

    async def balances(self) -> list[wire.Asset]:
        """Wallet balances of all assets."""
        return wire.assets.decode(await self._ask("GET", "/fapi/v3/balance", 5))

    async def positions(self) -> list[wire.PositionRisk]:
        """All open positions."""
        return wire.positions.decode(await self._ask("GET", "/fapi/v3/positionRisk", 5))

    async def fee_rates(self, symbol: str) -> wire.CommissionRate:
        """The account's fee rates on a symbol."""
        return wire.commission_rate.decode(await self._ask("GET", "/fapi/v1/commissionRate", 20, {"symbol": symbol}))

    async def hedge_mode(self) -> bool:
        """Whether the account keeps a long and a short position apart."""
        answer = await self._ask("GET", "/fapi/v1/positionSide/dual", 30)
        return bool(msgspec.json.decode(answer)["dualSidePosition"])

    async def listen_key(self) -> str:
        """The account's listen key, made or prolonged by 60 minutes. It is never deleted: others may use it, too."""
        answer = await self._ask("POST", "/fapi/v1/listenKey", 1, signed=False)
        return str(msgspec.json.decode(answer)["listenKey"])

    async def keep_listen_key(self) -> None:
        """Prolong the listen key. Raises `VenueRefused` with -1125 where it is dead."""
        await self._ask("PUT", "/fapi/v1/listenKey", 1, signed=False)

    # -- asking

    async def _ask(
        self,
        method: str,
        path: str,
        weight: int,
        parameters: dict[str, str | int] | None = None,
        *,
        signed: bool = True,
    ) -> bytes:
        while not self._budget.admits_query(weight, self._now_ms()):  # noqa: ASYNC110 (time frees weight, nobody tells)
            await asyncio.sleep(WEIGHT_POLL_S)
        self._budget.weight.take(self._now_ms(), weight)
        query = self._query(parameters or {}, signed)
        url = f"{self._url}{path}{'?' if query else ''}{query}"
        try:
            async with self._session.request(method, URL(url, encoded=True)) as response:
                body = await response.read()
                self._count(response.headers)
                if response.status != 200:
                    raise VenueRefused(self._error(response.status, body, response.headers))
                return body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise VenueUnreachable(f"{method} {path}: {type(error).__name__} {error}") from error

    def _query(self, parameters: dict[str, str | int], signed: bool) -> str:
        if signed:
            return self._signer.query(parameters, self._clock.now_ms())
        return urlencode(parameters, quote_via=quote)

    def _count(self, headers: Mapping[str, str]) -> None:
        used = headers.get("X-MBX-USED-WEIGHT-1M")
        if used is not None and int(used) > self._budget.weight.used:
            self._budget.weight.take(self._now_ms(), int(used) - self._budget.weight.used)

    def _error(self, status: int, body: bytes, headers: Mapping[str, str]) -> VenueError:
        try:
            told = wire.error_body.decode(body)
        except msgspec.DecodeError:  # a proxy's page
            told = wire.ErrorBody(0, body[:200].decode(errors="replace"))
        after = headers.get("Retry-After")
        retry_at = self._now_ms() + int(after) * 1_000 if after is not None else None
        if status in (418, 429):
            self._budget.block(retry_at or self._now_ms() + 60_000)
        return VenueError(status, told.code, told.msg, retry_at)
