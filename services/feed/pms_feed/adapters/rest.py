"""The venue's public REST routes the feed needs: depth snapshots, quotes, which symbols trade.

Owns the respect for the weight budget and for bans. Never retries by itself: the caller asks again when it
still wants. Used by `app.resync` and `app.probe`.
"""

import asyncio
from collections.abc import Mapping, Sequence

import aiohttp
import msgspec

from pms_common import metrics
from pms_common.clock import monotonic_ms, now_ms
from pms_feed.app.market import SNAPSHOT_LEVELS
from pms_feed.app.wire import RestError, RestQuote, Snapshot, decode_exchange_info, decode_quotes, decode_snapshot
from pms_feed.domain.budget import WeightBudget, ban_ms

SNAPSHOT_WEIGHT = 20
QUOTE_WEIGHT = 2
ALL_QUOTES_WEIGHT = 5
EXCHANGE_INFO_WEIGHT = 1
REQUEST_WITHIN_S = 5.0
MAX_WAIT_MS = 60_000

_requests = metrics.counter("feed_rest_requests", "Public REST requests of the feed", ["route", "outcome"])


class PublicRest:
    """Public routes at one base URL."""

    def __init__(self, base_url: str, budget: WeightBudget) -> None:
        self._session = aiohttp.ClientSession(base_url, timeout=aiohttp.ClientTimeout(total=REQUEST_WITHIN_S))
        self._budget = budget

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def snapshot(self, symbol: str) -> Snapshot:
        """The book of a symbol. Waits for the budget; raises `RestError`."""
        body = await self.depth(symbol)
        try:
            return decode_snapshot(body)
        except msgspec.MsgspecError as error:
            raise RestError(f"depth of {symbol}: {error}") from None

    async def depth(self, symbol: str) -> bytes:
        """The same as the venue sends it."""
        return await self._get("depth", {"symbol": symbol, "limit": SNAPSHOT_LEVELS}, SNAPSHOT_WEIGHT)

    async def quotes(self, symbols: Sequence[str]) -> list[RestQuote]:
        """Present best bid and ask of the symbols, and perhaps of others. Waits for the budget; raises `RestError`."""
        if len(symbols) == 1:
            return await self._quotes({"symbol": symbols[0]}, QUOTE_WEIGHT)
        # One that is not listed would spoil the answer for the others if they were asked for by name.
        return await self._quotes({}, ALL_QUOTES_WEIGHT)

    async def trading(self) -> set[str]:
        """The symbols that trade now. Waits for the budget; raises `RestError`."""
        body = await self._get("exchangeInfo", {}, EXCHANGE_INFO_WEIGHT)
        try:
            return {listed.symbol for listed in decode_exchange_info(body).symbols if listed.status == "TRADING"}
        except msgspec.MsgspecError as error:
            raise RestError(f"exchangeInfo: {error}") from None

    async def _quotes(self, params: dict[str, str], weight: int) -> list[RestQuote]:
        body = await self._get("ticker/bookTicker", params, weight)
        try:
            found = decode_quotes(body)
        except msgspec.MsgspecError as error:
            raise RestError(f"bookTicker: {error}") from None
        return found if isinstance(found, list) else [found]

    async def _get(self, route: str, params: Mapping[str, str | int], weight: int) -> bytes:
        while wait_ms := self._budget.take(weight, monotonic_ms()):
            if wait_ms > MAX_WAIT_MS:
                raise RestError(f"banned for another {wait_ms} ms")
            await asyncio.sleep(wait_ms / 1000)
        try:
            async with self._session.get(f"/fapi/v1/{route}", params=params) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            _requests.labels(route, type(error).__name__).inc()
            raise RestError(f"{route}: {type(error).__name__} {error}") from None
        _requests.labels(route, str(response.status)).inc()
        if ban := ban_ms(response.status, response.headers.get("Retry-After", ""), body, now_ms()):
            self._budget.block(monotonic_ms() + ban)
        if response.status != 200:
            raise RestError(f"{route}: HTTP {response.status} {body[:200].decode(errors='replace')}")
        return body
