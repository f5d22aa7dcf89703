"""Public commands at the inlet: answered, idempotent, refused by name, on a real Redis (invariant 7, R-29)."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from pms_common.answers import Answers
from pms_common.bus import Bus, Consumer, UpdatesWriter
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.results import Success
from pms_common.inlet import CommandInlet, Request, Taken
from pms_common.marks import Marks
from pms_common.names import Names

NOW_MS = time.time_ns() // 1_000_000
TRADE = {"subAccountId": "a1", "symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "leverage": 10}


class Owner:
    """A service that takes trades: one effect each, in a list in Redis."""

    def __init__(self, bus: Bus, names: Names, now_ms: int) -> None:
        self.bus, self.names, self.now_ms = bus, names, now_ms
        self.marks = Marks(bus, names, "risk")
        updates = UpdatesWriter(bus.outbox, names.updates("risk"), epoch=1)
        self.answers = Answers(names, bus.outbox, updates, self.marks)
        self.inlet = CommandInlet(bus.outbox, self.marks, self.answers, lambda: self.now_ms)
        self.taken: list[Request] = []
        self.has_taken = asyncio.Event()
        self.outcome: Taken | Exception = Taken.NOW
        self.begun: set[str] = set()

    def decide(self, request: Request) -> Taken:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        self.taken.append(request)
        self.has_taken.set()
        self.bus.outbox.command("RPUSH", self.names.own("test", "effects"), request.request_id)
        if self.outcome is Taken.NOW:
            self.answers.succeed(
                request.request_id, request.account_id, "trade", Success(request_id=request.request_id)
            )
        return self.outcome

    def consumer(self) -> Consumer:
        stream = self.names.cmd("trade")
        return self.bus.consumer(
            "risk",
            {stream: self.inlet.route("trade", self.decide, lambda request: request.request_id in self.begun)},
            public={stream},
            dead=self.inlet.bury,
        )


@asynccontextmanager
async def owner(redis_url: str, names: Names, now_ms: int = NOW_MS) -> AsyncIterator[Owner]:
    bus = await Bus.connect(redis_url, "risk", names)
    service = Owner(bus, names, now_ms)
    await service.marks.load(now_ms)
    consumer = service.consumer()
    running = asyncio.create_task(consumer.run())
    try:
        yield service
    finally:
        await consumer.stop()
        await running
        await bus.close()


async def send(redis: Redis, names: Names, body: dict[str, Any] | bytes) -> str:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (await redis.xadd(names.cmd("trade"), {"data": data})).decode()


async def result(redis: Redis, names: Names, request_id: str) -> dict[str, Any]:
    for _ in range(1000):
        if (text := await redis.get(names.result(request_id))) is not None:
            return dict(json.loads(text))
        await asyncio.sleep(0.005)
    raise AssertionError(f"no result for {request_id}")


async def effects(redis: Redis, names: Names) -> list[str]:
    return [item.decode() for item in await redis.lrange(names.own("test", "effects"), 0, -1)]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def settled(redis: Redis, names: Names) -> None:
    """All commands written so far are acknowledged."""
    async with asyncio.timeout(5):
        while True:
            (group,) = await redis.xinfo_groups(names.cmd("trade"))
            if group["pending"] == 0 and not group["lag"]:
                return
            await asyncio.sleep(0.005)


async def test_a_command_is_taken_once_and_its_first_result_repeated(
    redis_url: str, redis: Redis, names: Names
) -> None:
    async with owner(redis_url, names) as service:
        await send(redis, names, {**TRADE, "requestId": "r1"})
        first = await result(redis, names, "r1")
        await redis.delete(names.result("r1"))
        await send(redis, names, {**TRADE, "requestId": "r1"})
        assert await result(redis, names, "r1") == first
        assert first["success"] is True
        assert len(service.taken) == 1
    assert await effects(redis, names) == ["r1"]


async def test_r29_a_restarted_owner_still_knows_the_request(redis_url: str, redis: Redis, names: Names) -> None:
    async with owner(redis_url, names):
        await send(redis, names, {**TRADE, "requestId": "r1"})
        await result(redis, names, "r1")
    await redis.delete(names.result("r1"))
    await redis.xgroup_setid(names.cmd("trade"), "risk", "0")  # what an old replica does to a group
    async with owner(redis_url, names):
        assert (await result(redis, names, "r1"))["success"] is True
        await settled(redis, names)
    assert await effects(redis, names) == ["r1"]


async def test_another_body_under_a_known_request_id_is_refused(redis_url: str, redis: Redis, names: Names) -> None:
    async with owner(redis_url, names) as service:
        await send(redis, names, {**TRADE, "requestId": "r1"})
        await result(redis, names, "r1")
        await redis.delete(names.result("r1"))
        await send(redis, names, {**TRADE, "requestId": "r1", "quantity": 2})
        assert (await result(redis, names, "r1"))["errorCode"] == "REQUEST_ID_REUSED"
        await redis.delete(names.result("r1"))
        await send(redis, names, {**TRADE, "requestId": "r1"})
        assert (await result(redis, names, "r1"))["success"] is True  # the first result stays the first
        assert len(service.taken) == 1


async def test_the_same_request_id_of_another_account_is_another_request(
    redis_url: str, redis: Redis, names: Names
) -> None:
    async with owner(redis_url, names) as service:
        await send(redis, names, {**TRADE, "requestId": "r1"})
        await send(redis, names, {**TRADE, "requestId": "r1", "subAccountId": "a2"})
        await settled(redis, names)
        assert [request.account_id for request in service.taken] == ["a1", "a2"]


async def test_bad_input_is_answered_with_the_fields_name(redis_url: str, redis: Redis, names: Names) -> None:
    async with owner(redis_url, names) as service:
        await send(redis, names, {**TRADE, "requestId": "r1", "quantity": -1})
        answer = await result(redis, names, "r1")
        assert answer["success"] is False
        assert answer["errorCategory"] == "VALIDATION"
        assert "quantity" in answer["error"]
        assert service.taken == []
        await settled(redis, names)
    assert await redis.xlen(names.dead) == 0


async def test_garbage_goes_to_dead_and_is_answered_where_an_id_can_be_found(
    redis_url: str, redis: Redis, names: Names
) -> None:
    async with owner(redis_url, names) as service:
        await send(redis, names, b"\xff\xfe not json")
        await send(redis, names, b'{"requestId":"r9", "symbol": ')
        await send(redis, names, {**TRADE, "requestId": "r1"})
        assert (await result(redis, names, "r9"))["errorCode"] == "VALIDATION_NOT_JSON"
        assert (await result(redis, names, "r1"))["success"] is True
        await settled(redis, names)
        assert len(service.taken) == 1
    assert await redis.xlen(names.dead) == 2


async def test_an_expired_command_is_refused(redis_url: str, redis: Redis, names: Names) -> None:
    async with owner(redis_url, names, now_ms=5_000_000_000_000) as service:
        await send(redis, names, {**TRADE, "requestId": "r1"})
        assert (await result(redis, names, "r1"))["errorCode"] == "EXPIRED_COMMAND"
        assert service.taken == []


async def test_a_command_that_is_being_carried_out_is_never_too_late(
    redis_url: str, redis: Redis, names: Names
) -> None:
    """Its owner's journal has it, its acknowledgement was lost with the process."""
    async with owner(redis_url, names, now_ms=5_000_000_000_000) as service:
        service.begun.add("r1")
        await send(redis, names, {**TRADE, "requestId": "r1"})
        assert (await result(redis, names, "r1"))["success"] is True


async def test_a_refusal_is_the_first_result_too(redis_url: str, redis: Redis, names: Names) -> None:
    async with owner(redis_url, names) as service:
        service.outcome = CommandError(ErrorCode.NO_PRICE)
        await send(redis, names, {**TRADE, "requestId": "r1"})
        assert (await result(redis, names, "r1"))["errorCode"] == "NO_PRICE"
        await redis.delete(names.result("r1"))
        service.outcome = Taken.NOW
        await send(redis, names, {**TRADE, "requestId": "r1"})
        assert (await result(redis, names, "r1"))["errorCode"] == "NO_PRICE"
        assert service.taken == []


async def test_a_request_taken_later_stays_pending_until_acknowledged(
    redis_url: str, redis: Redis, names: Names
) -> None:
    async with owner(redis_url, names) as service:
        service.outcome = Taken.LATER
        await send(redis, names, {**TRADE, "requestId": "r1"})
        await service.has_taken.wait()
        assert (await redis.xpending(names.cmd("trade"), "risk"))["pending"] == 1
    async with owner(redis_url, names) as service:  # died before its journal had it: it comes again
        service.outcome = Taken.LATER
        await service.has_taken.wait()
        (request,) = service.taken
        assert request.entry.redelivered
        service.inlet.acknowledge(request)
        await settled(redis, names)


async def test_a_command_whose_handling_always_fails_is_answered_and_buried(
    redis_url: str, redis: Redis, names: Names
) -> None:
    async with owner(redis_url, names) as service:
        service.outcome = ZeroDivisionError("a defect")
        await send(redis, names, {**TRADE, "requestId": "r1"})
        assert (await result(redis, names, "r1"))["errorCode"] == "INFRA_INTERNAL"
        await settled(redis, names)
    dead = await redis.xrange(names.dead)
    assert dead is not None
    ((_, fields),) = dead
    assert fields[b"tries"] == b"3"


async def test_a_command_that_was_deleted_while_it_was_pending_is_buried(
    redis_url: str, redis: Redis, names: Names
) -> None:
    stream = names.cmd("trade")
    await redis.xgroup_create(stream, "risk", "0", mkstream=True)
    entry = await send(redis, names, {**TRADE, "requestId": "r1"})
    await redis.xreadgroup("risk", "risk", {stream: ">"})
    await redis.xdel(stream, entry)
    async with owner(redis_url, names) as service:
        await send(redis, names, {**TRADE, "requestId": "r2"})
        assert (await result(redis, names, "r2"))["success"] is True
        await settled(redis, names)
        assert [request.request_id for request in service.taken] == ["r2"]
    assert await redis.xlen(names.dead) == 1


async def test_flat_fields_are_a_command_too(redis_url: str, redis: Redis, names: Names) -> None:
    async with owner(redis_url, names) as service:
        fields = {key: str(value) for key, value in TRADE.items()}
        entry_id = (await redis.xadd(names.cmd("trade"), fields)).decode()
        assert (await result(redis, names, f"trade-{entry_id}"))["success"] is True
        assert service.taken[0].command.sub_account_id == "a1"
