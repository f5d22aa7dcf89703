"""GET /v1/prices: the cached L1 of symbols, as the feed wrote it.

Never keeps a price. Used by the operators' page, which draws what an algo follows.
"""

import re
from typing import Any

import redis.asyncio
from aiohttp import web
from redis.exceptions import RedisError

from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.names import Names
from pms_gateway.door.answers import json_response, refusal

MOST = 100
"""Symbols in one request."""
_SYMBOL = r"([A-Z0-9_]|[^\x00-\x7f]){1,64}"
SYMBOLS = rf"^{_SYMBOL}(,{_SYMBOL}){{0,{MOST - 1}}}$"


class Prices:
    """The route."""

    def __init__(self, client: redis.asyncio.Redis, names: Names) -> None:
        self._redis, self._names = client, names

    def routes(self) -> list[web.RouteDef]:
        """GET /v1/prices?symbols=BTCUSDT,ETHUSDT."""
        return [web.get("/v1/prices", self._get)]

    async def _get(self, request: web.Request) -> web.Response:
        asked = request.query.get("symbols", "")
        if not re.fullmatch(SYMBOLS, asked):
            text = f"symbols: expected 1 to {MOST} symbols with commas between them"
            return refusal(CommandError(ErrorCode.VALIDATION_FAILED, text, field="symbols"))
        try:
            symbols = asked.split(",")
            found: list[Any] = await self._redis.mget([self._names.price(symbol) for symbol in symbols])
        except RedisError:
            return refusal(CommandError(ErrorCode.INFRA_REDIS_UNAVAILABLE, "Redis does not answer."))
        prices = zip(symbols, found, strict=True)
        return json_response(
            b'{"prices":{%s}}' % b",".join(b'"%s":%s' % (symbol.encode(), price or b"null") for symbol, price in prices)
        )
