"""Every operator's action through the door, in the stream `pms:audit`: who, from where, what, when, and how it ended.

Owns that stream. The record of what is asked leaves in one MULTI with the command, so that none goes unrecorded; the
log has the same. Who operates with a Redis user of their own is known to Redis (`ACL LOG`, the user's name), not here.
"""

from typing import cast

import redis.asyncio
from aiohttp import web
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from pms_common.contracts.base import encode
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.logging import get_logger
from pms_common.names import Names
from pms_gateway.domain.sequencer import EVENT_ID
from pms_gateway.door.access import TOKEN, allow
from pms_gateway.door.answers import json_response, refusal
from pms_gateway.door.history import before_of, limit_of
from pms_gateway.door.tokens import Role

log = get_logger(__name__)

Page = list[tuple[bytes, dict[bytes, bytes]]]


class Audit:
    """Writes it, and shows it to operators."""

    def __init__(self, client: redis.asyncio.Redis, names: Names) -> None:
        self._redis, self._stream = client, names.audit

    def routes(self) -> list[web.RouteDef]:
        """GET /v1/audit, newest first."""
        return [web.get("/v1/audit", self._get)]

    def asked(self, pipe: "Pipeline", request: web.Request, command: str, request_id: str, body: bytes) -> None:
        """Add the record to the MULTI that sends the command."""
        who, address = request[TOKEN].name, request.remote or ""
        log.info("operator_action", who=who, address=address, command=command, requestId=request_id)
        fields = ("who", who, "address", address, "command", command, "requestId", request_id, "body", body)
        pipe.execute_command("XADD", self._stream, "*", *fields)

    async def ended(self, request: web.Request, request_id: str, outcome: str) -> None:
        """How it ended: `success`, or the code of the failure."""
        log.info("operator_action_ended", who=request[TOKEN].name, requestId=request_id, outcome=outcome)
        try:
            await self._redis.xadd(self._stream, {"requestId": request_id, "outcome": outcome})
        except RedisError as error:
            log.error("audit_not_written", requestId=request_id, why=str(error))

    async def _get(self, request: web.Request) -> web.Response:
        allow(request, Role.OPERATOR)
        try:
            limit, before = limit_of(request), before_of(request, EVENT_ID)
        except CommandError as error:
            return refusal(error)
        if before and not any(map(int, before.split("-"))):
            return json_response(encode({"items": [], "next": None}))  # nothing is before 0-0, and Redis says so
        newest = f"({before}" if before else "+"
        try:
            found = cast("Page", await self._redis.xrevrange(self._stream, max=newest, count=limit))
        except RedisError:
            return refusal(CommandError(ErrorCode.INFRA_REDIS_UNAVAILABLE))
        items = [
            {"id": entry.decode(), **{name.decode(): value.decode() for name, value in fields.items()}}
            for entry, fields in found
        ]
        return json_response(encode({"items": items, "next": items[-1]["id"] if len(items) == limit else None}))
