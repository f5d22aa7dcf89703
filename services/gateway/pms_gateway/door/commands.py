"""POST: a command to its owner's stream, and its result back.

Owns the wait. Never decides a command: bad input is refused with the owner's own rules, all else is the owner's answer.
"""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable

import msgspec
import redis.asyncio
from aiohttp import web
from redis.exceptions import RedisError

from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.errors import CommandError, ErrorCode, NotJson
from pms_common.contracts.parse import MAX_PAYLOAD_BYTES, parse_command
from pms_common.contracts.traceparent import read
from pms_common.names import Names
from pms_gateway.app.waiters import GivenUp, TooManyWaiting, Waiters
from pms_gateway.door.access import allow
from pms_gateway.door.answers import outcome_of, refusal, result_response
from pms_gateway.door.audit import Audit
from pms_gateway.door.tokens import Role

_NULL = msgspec.Raw(b"null")
WAIT_S = 15.0
"""The life of an opening command (10 s) and the longest wait of its answer (5 s)."""


class Commands:
    """Routes of commands."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        names: Names,
        waiters: Waiters,
        audit: Audit,
        now_ms: Callable[[], int],
        wait_s: float,
    ) -> None:
        self._redis, self._names, self._waiters, self._audit = client, names, waiters, audit
        self._now_ms, self._wait_s = now_ms, wait_s
        self._count = itertools.count()

    def routes(self) -> list[web.RouteDef]:
        """The POST routes."""
        return [
            web.post("/v1/commands/{type}", self._post),
            web.post("/v1/trading-state", self._post_trading_state),
        ]

    async def _post(self, request: web.Request) -> web.Response:
        return await self._pass_on(request, request.match_info["type"])

    async def _post_trading_state(self, request: web.Request) -> web.Response:
        return await self._pass_on(request, "trading_state")

    async def _pass_on(self, request: web.Request, type_: str) -> web.Response:
        command = COMMANDS.get(type_)
        if command is None:
            text = f"There is no command {type_[:128]}. Commands: {', '.join(sorted(COMMANDS))}."
            return refusal(CommandError(ErrorCode.VALIDATION_UNKNOWN_COMMAND, text))
        allow(request, Role.OPERATOR if command.STREAM == "op" else Role.TRADE)
        try:
            body = completed(await request.read(), request.headers.get("traceparent"))
            parsed = parse_command(type_, body, f"{self._now_ms()}-{next(self._count)}")
        except web.HTTPRequestEntityTooLarge:
            return refusal(CommandError(ErrorCode.VALIDATION_PAYLOAD_TOO_LARGE))
        except NotJson as why:
            return refusal(CommandError(ErrorCode.VALIDATION_NOT_JSON, str(why)), why.request_id or "")
        except CommandError as error:
            return refusal(error)
        request_id, account_id = parsed.request_id, parsed.command.sub_account_id or ""
        if command.STREAM != "op":
            sending = self._redis.xadd(self._names.cmd(type_), {"data": body})
            return await self._ask(request_id, account_id, type_, sending)
        pipe = self._redis.pipeline(transaction=True)
        self._audit.asked(pipe, request, type_, request_id, body)
        pipe.xadd(self._names.op(type_), {"data": body})
        answer = await self._ask(request_id, account_id, type_, pipe.execute())
        await self._audit.ended(request, request_id, outcome_of(answer))
        return answer

    async def _ask(self, request_id: str, account_id: str, type_: str, sending: Awaitable[object]) -> web.Response:
        try:
            with self._waiters.expect(request_id, account_id, type_) as result:
                await sending
                async with asyncio.timeout(self._wait_s):
                    return result_response(await result)
        except TimeoutError:
            return refusal(_no_answer(f"No answer within {self._wait_s:g} s", request_id), request_id)
        except GivenUp:
            return refusal(_no_answer("The gateway is stopping", request_id), request_id)
        except TooManyWaiting:
            return refusal(CommandError(ErrorCode.INFRA_OVERLOADED, "Too many requests are waiting."), request_id)
        except RedisError:
            text = "Redis did not confirm the command; send it again with the same requestId."
            return refusal(CommandError(ErrorCode.INFRA_REDIS_UNAVAILABLE, text), request_id)


def _no_answer(why: str, request_id: str) -> CommandError:
    text = (
        f"{why}; the outcome is not known yet. "
        f"Send the same command again with requestId {request_id}: it is not executed twice and returns the outcome."
    )
    return CommandError(ErrorCode.INFRA_TIMEOUT, text)


def completed(body: bytes, traceparent: str | None) -> bytes:
    """The body with a request id of our own and the trace context of the HTTP request, where it has none itself."""
    if len(body) > MAX_PAYLOAD_BYTES:
        raise CommandError(ErrorCode.VALIDATION_PAYLOAD_TOO_LARGE)
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return body  # the parser names what is wrong
    added: dict[str, str] = {}
    if bytes(fields.get("requestId", _NULL)) == b"null":
        added["requestId"] = uuid.uuid4().hex
    if (context := read(traceparent)) and bytes(fields.get("traceparent", _NULL)) == b"null":
        added["traceparent"] = context
    return msgspec.json.encode({**fields, **added}) if added else body
