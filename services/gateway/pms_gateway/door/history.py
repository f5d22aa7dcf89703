"""GET: an account's history, in pages: asked for from the service whose database has it.

Owns the question and the wait. Holds nothing, so that an account's whole past is as near as its last hour.
"""

import asyncio
import re
import uuid

import redis.asyncio
from aiohttp import web
from redis.exceptions import RedisError

from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import HistoryKind, HistoryRequest
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.names import Names
from pms_gateway.app.waiters import GivenUp, TooManyWaiting, Waiters
from pms_gateway.door.answers import json_response, refusal, result_response

WAIT_S = 5.0
MAX_ITEMS = 200
ITEMS = 50
"""Of a page that asks for no number."""
CURSOR = r"^[0-9]{1,18}~[^\x00-\x1f]{0,160}$"
"""What `next` looks like: a time and the key of a row."""
_OWNERS: dict[HistoryKind, str] = {"ledger": "risk", "trades": "risk", "statement": "risk", "orders": "orders"}


class History:
    """Routes of histories; `orders` is the closed ones'."""

    def __init__(self, client: redis.asyncio.Redis, names: Names, waiters: Waiters) -> None:
        self._redis, self._names, self._waiters = client, names, waiters

    def routes(self) -> list[web.RouteDef]:
        """The GET routes."""
        path = "/v1/accounts/{account}"
        return [
            web.get(f"{path}/ledger", self._ledger),
            web.get(f"{path}/trades", self._trades),
            web.get(f"{path}/statement", self._statement),
        ]

    async def _ledger(self, request: web.Request) -> web.Response:
        return await self.read(request, "ledger")

    async def _trades(self, request: web.Request) -> web.Response:
        return await self.read(request, "trades")

    async def _statement(self, request: web.Request) -> web.Response:
        return await self.read(request, "statement")

    async def read(self, request: web.Request, what: HistoryKind) -> web.Response:
        """One page: `?before=` is the `next` of the page before it, `?limit=` how many items it may have."""
        try:
            limit, before = limit_of(request), before_of(request, CURSOR)
            account_id = account_of(request)
        except CommandError as error:
            return refusal(error)
        asked = HistoryRequest(token=uuid.uuid4().hex, account_id=account_id, what=what, before=before, limit=limit)
        try:
            with self._waiters.expect(asked.token) as page:
                await self._redis.xadd(self._names.queries(_OWNERS[what]), {"data": encode(asked)})
                async with asyncio.timeout(WAIT_S):
                    body = await page
        except GivenUp:
            return refusal(CommandError(ErrorCode.INFRA_NOT_READY, "The gateway is stopping."))
        except TimeoutError:
            text = f"{_OWNERS[what]} did not answer within {WAIT_S:g} s"
            return refusal(CommandError(ErrorCode.INFRA_TIMEOUT, text))
        except TooManyWaiting:
            return refusal(CommandError(ErrorCode.INFRA_OVERLOADED, "Too many requests are waiting."))
        except RedisError:
            return refusal(CommandError(ErrorCode.INFRA_REDIS_UNAVAILABLE))
        return json_response(body) if body.startswith(b'{"items"') else result_response(body)


def account_of(request: web.Request) -> str:
    """The account in the path; a database takes no control characters."""
    account_id = request.match_info["account"]
    if not account_id.isprintable():
        raise CommandError(ErrorCode.ACCOUNT_NOT_FOUND)
    return account_id


def limit_of(request: web.Request) -> int:
    """How many items a page may have."""
    given = request.query.get("limit", str(ITEMS))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MAX_ITEMS):
        raise CommandError(ErrorCode.VALIDATION_FAILED, f"limit is a number from 1 to {MAX_ITEMS}", field="limit")
    return int(given)


def before_of(request: web.Request, form: str) -> str:
    """Where the page ends, empty for the newest: a `next` of the given form."""
    before = request.query.get("before")
    if before is None:
        return ""
    if not re.fullmatch(form, before):
        raise CommandError(
            ErrorCode.VALIDATION_FAILED, "before is no cursor: expected `next` of a page", field="before"
        )
    return before
