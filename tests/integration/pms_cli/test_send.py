"""`pms send` and the trading-state verbs write into the right stream and wait for the result of their own request."""

import asyncio
import json
from typing import Any

import pytest
import redis.asyncio as aioredis

from pms_cli.commands import send
from pms_cli.system.place import Place
from pms_common.names import Names


async def _answer(place: Place, stream: str, result: dict[str, Any], *, publish: bool) -> dict[str, Any]:
    """Do what the command's owner does: read it, keep the result, publish it."""
    async with aioredis.Redis.from_url(place.redis, decode_responses=True) as client:
        entries: Any = await client.xread({stream: "0"}, block=5_000)
        [[_, [(_, fields)]]] = entries
        command: dict[str, Any] = json.loads(fields["data"])
        key = place.names.result(command["requestId"])
        text = json.dumps({"requestId": command["requestId"], **result})
        await client.set(key, text, ex=30)
        if publish:
            await client.publish(key, text)
        return command


@pytest.fixture
def where(redis_url: str, names: Names) -> Place:
    return Place(names, redis_url, "")


@pytest.mark.parametrize("publish", [True, False])
async def test_a_command_goes_to_its_stream_and_its_result_comes_back(where: Place, publish: bool) -> None:
    body = {"requestId": "r1", "symbol": "BTCUSDT", "quantity": "0.010"}
    owner = asyncio.create_task(_answer(where, where.names.cmd("trade"), {"success": True}, publish=publish))
    result = await send.request(where, "trade", body, timeout_s=5)
    assert result == {"requestId": "r1", "success": True}
    assert await owner == body


@pytest.mark.parametrize("command", ["account", "trading_state"])
async def test_operator_commands_go_to_the_operators_streams(where: Place, command: str) -> None:
    owner = asyncio.create_task(_answer(where, where.names.op(command), {"success": False}, publish=True))
    result = await send.request(where, command, {"requestId": "r2"}, timeout_s=5)
    assert result is not None
    assert result["success"] is False
    await owner


async def test_no_result_in_time_is_none_and_the_command_stays_written(where: Place) -> None:
    assert await send.request(where, "cancel", {"requestId": "r3"}, timeout_s=0.2) is None
    async with aioredis.Redis.from_url(where.redis) as client:
        assert await client.xlen(where.names.cmd("cancel")) == 1
