"""The venue's REST interface: queries, the listen key, the time.

Owns the warm connection pool, the weight each query costs and the reading of errors. Never places, amends or cancels.
Used by the resolver, the reconciliation, the user stream and the start-up.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from pms_common.clock import monotonic_ms
from pms_common.contracts.exchange_codes import Outcome
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_info import ExchangeInfo, exchange_info
from pms_orders.adapters.binance.rest_answers import note_counts, read_error
from pms_orders.adapters.binance.signing import Signer
from pms_orders.domain.errors import VenueError, judge
from pms_orders.domain.rate import Budget

TIMEOUT_S = 5.0
WEIGHT_POLL_S = 0.1
TRADES_PAGE = 1_000
WINDOW_MS = 7 * 24 * 3_600_000
"""The longest span of one query of trades or cash flows, and how far one of trades looks back that names no time."""
KEPT_MS = 80 * 24 * 3_600_000
"""The venue keeps three months of trades and cash flows, and an earlier beginning may be refused."""
ALL_OPEN_ORDERS_WEIGHT = 40
"""Of one query of all symbols; of one symbol it is 1."""

Answer = TypeVar("Answer")


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
        return (await self.ask("GET", "/fapi/v1/time", 1, wire.server_time, signed=False)).server_time

    async def exchange_info(self) -> ExchangeInfo:
        """Symbols, filters and limits."""
        return await self.ask("GET", "/fapi/v1/exchangeInfo", 1, exchange_info, signed=False)

    async def order(self, symbol: str, client_order_id: str) -> wire.QueriedOrder:
        """An order by client order id. Raises `VenueRefused` with -2013 where the venue does not find it."""
        parameters: dict[str, str | int] = {"symbol": symbol, "origClientOrderId": client_order_id}
        return await self.ask("GET", "/fapi/v1/order", 1, wire.queried_order, parameters)

    async def open_orders(self, symbol: str | None = None) -> list[wire.QueriedOrder]:
        """The open orders of the exchange account, on one symbol or on all."""
        weight, parameters = (ALL_OPEN_ORDERS_WEIGHT, None) if symbol is None else (1, {"symbol": symbol})
        return await self.ask("GET", "/fapi/v1/openOrders", weight, wire.queried_orders, parameters)

    async def trades_of(self, symbol: str, exchange_order_id: int, since_ms: int) -> list[wire.AccountTrade]:
        """The trades of one order, none of which is older than `since_ms`."""
        parameters: dict[str, str | int] = {"symbol": symbol, "orderId": exchange_order_id, "limit": TRADES_PAGE}
        now_ms = self._clock.now_ms()
        if now_ms - since_ms >= WINDOW_MS:
            return await self._old_trades(parameters, max(since_ms, now_ms - KEPT_MS), now_ms)
        page = await self._trades(parameters)
        if len(page) < TRADES_PAGE:
            return page
        # More than one page: which one comes without `fromId` is not documented, so all are read from the first on.
        return await self._trades_from(parameters, 0)

    async def _old_trades(
        self, parameters: dict[str, str | int], since_ms: int, now_ms: int
    ) -> list[wire.AccountTrade]:
        """Window by window: without a time the venue lists those of the last one only."""
        found: list[wire.AccountTrade] = []
        while since_ms <= now_ms:
            window = {"startTime": since_ms, "endTime": since_ms + WINDOW_MS - 1}
            page = await self._trades({**parameters, **window})
            found += page
            if len(page) == TRADES_PAGE:
                return found + await self._trades_from(parameters, max(trade.id for trade in page) + 1)
            since_ms += WINDOW_MS
        return found

    async def _trades_from(self, parameters: dict[str, str | int], next_id: int) -> list[wire.AccountTrade]:
        found: list[wire.AccountTrade] = []
        while page := await self._trades({**parameters, "fromId": next_id}):
            found += [trade for trade in page if trade.order_id == parameters["orderId"]]
            next_id = max(trade.id for trade in page) + 1
            if len(page) < TRADES_PAGE:
                break
        return found

    async def _trades(self, parameters: dict[str, str | int]) -> list[wire.AccountTrade]:
        return await self.ask("GET", "/fapi/v1/userTrades", 5, wire.account_trades, parameters)

    async def balances(self) -> list[wire.Asset]:
        """Wallet balances of all assets."""
        return await self.ask("GET", "/fapi/v3/balance", 5, wire.assets)

    async def positions(self) -> list[wire.PositionRisk]:
        """All open positions."""
        return await self.ask("GET", "/fapi/v3/positionRisk", 5, wire.positions)

    async def fee_rates(self, symbol: str) -> wire.CommissionRate:
        """The account's fee rates on a symbol."""
        return await self.ask("GET", "/fapi/v1/commissionRate", 20, wire.commission_rate, {"symbol": symbol})

    async def listen_key(self) -> str:
        """The account's listen key, made or prolonged by 60 minutes. It is never deleted: others may use it, too."""
        return (await self.ask("POST", "/fapi/v1/listenKey", 1, wire.listen_key, signed=False)).listen_key

    async def keep_listen_key(self) -> str:
        """Prolong the account's listen key and return it. Raises `VenueRefused` with -1125 where it is dead."""
        return (await self.ask("PUT", "/fapi/v1/listenKey", 1, wire.listen_key, signed=False)).listen_key

    # -- asking

    async def ask(
        self,
        method: str,
        path: str,
        weight: int,
        form: msgspec.json.Decoder[Answer],
        parameters: Mapping[str, str | int] | None = None,
        *,
        signed: bool = True,
    ) -> Answer:
        """Ask within the budget. Raises `VenueRefused` or `VenueUnreachable`."""
        while not self._budget.admits_query(weight, monotonic_ms()):  # noqa: ASYNC110 (time frees weight, nobody tells)
            await asyncio.sleep(WEIGHT_POLL_S)
        self._budget.weight.take(monotonic_ms(), weight)
        query = self._query(method, parameters or {}, signed)
        url = f"{self._url}{path}{'?' if query else ''}{query}"
        try:
            async with self._session.request(method, URL(url, encoded=True), allow_redirects=False) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise VenueUnreachable(f"{method} {path}: {type(error).__name__} {error}") from error
        note_counts(response.headers, self._budget)
        if response.status != 200:
            refusal = read_error(response.status, body, response.headers, self._now_ms())
            if judge(refusal) is Outcome.RATE:
                self._budget.refused(refusal, monotonic_ms(), self._clock.told_ms())
            raise VenueRefused(refusal)
        try:
            return form.decode(body)
        except wire.UNREADABLE as error:  # a proxy's page, or bytes that were damaged
            raise VenueUnreachable(f"{method} {path}: an answer of another form: {error}") from error

    def _query(self, method: str, parameters: Mapping[str, str | int], signed: bool) -> str:
        if not signed:
            return urlencode(parameters, quote_via=quote)
        # What changes something is for the holder of the lease only; a standby asks, too.
        stamp_ms = self._clock.now_ms() if method == "GET" else self._clock.stamp_ms()
        return self._signer.query(parameters, stamp_ms)
