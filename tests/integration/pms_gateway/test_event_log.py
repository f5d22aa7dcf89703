"""The public event log: `seq` without holes and no event twice, whatever happens to the gateway or to Redis."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from tests.integration.pms_gateway.conftest import GatewayProcess, Service

from pms_cli.embedded import start_valkey
from pms_cli.embedded.process import Child
from pms_common.names import Names


async def events(client: redis.asyncio.Redis, names: Names) -> list[tuple[str, dict[str, Any], str]]:
    found = await client.xrange(names.events)
    return [(entry_id.decode(), json.loads(f[b"data"]), f[b"key"].decode()) for entry_id, f in found]


async def until(client: redis.asyncio.Redis, names: Names, count: int) -> list[tuple[str, dict[str, Any], str]]:
    async with asyncio.timeout(60):
        while await client.xlen(names.events) < count:  # noqa: ASYNC110 (another process writes)
            await asyncio.sleep(0.02)
    return await events(client, names)


def check(found: list[tuple[str, dict[str, Any], str]], counts: dict[str, int]) -> None:
    by_account: dict[str, list[int]] = {}
    ids = []
    for entry_id, event, _ in found:
        assert event["eventId"] == entry_id
        ids.append(tuple(map(int, entry_id.split("-"))))
        by_account.setdefault(event["subAccountId"], []).append(event["seq"])
    assert ids == sorted(set(ids))
    assert by_account == {account: list(range(1, count + 1)) for account, count in counts.items()}
    keys = [key for _, _, key in found]
    assert len(keys) == len(set(keys))


async def test_seq_has_no_holes_and_no_event_is_told_twice_across_kill_9(
    gateway: GatewayProcess, services: dict[str, Service], client: redis.asyncio.Redis, names: Names
) -> None:
    async def produce(service: Service, account: str) -> None:
        for n in range(300):
            await service.event(account, f"{service.name}-{n}")
            await asyncio.sleep(0.004)

    producing = [
        asyncio.create_task(produce(services["risk"], "a")),
        asyncio.create_task(produce(services["algos"], "b")),
    ]
    for _ in range(3):
        gateway.start()
        await gateway.healthy()
        await asyncio.sleep(0.5)
        gateway.kill()
    await asyncio.gather(*producing)
    gateway.start()
    found = await until(client, names, 600)
    await asyncio.sleep(0.3)
    found = await events(client, names)
    check(found, {"a": 300, "b": 300})
    assert len({event["epoch"] for _, event, _ in found}) == 1


async def test_a_repeat_is_dropped_also_after_a_restart(
    gateway: GatewayProcess, services: dict[str, Service], client: redis.asyncio.Redis, names: Names
) -> None:
    risk = services["risk"]
    gateway.start()
    for key in ("fill-1", "fill-2", "fill-1"):
        await risk.event("a", key)
    await until(client, names, 2)
    gateway.kill()
    await risk.event("a", "fill-2")
    await risk.event("a", "fill-1", "position_updated")  # one cause, another event
    gateway.start()
    await risk.event("a", "fill-3")
    found = await until(client, names, 4)
    check(found, {"a": 4})


async def test_pub_sub_says_what_the_log_says(
    gateway: GatewayProcess, services: dict[str, Service], client: redis.asyncio.Redis, names: Names
) -> None:
    gateway.start()
    pubsub = client.pubsub()
    await pubsub.psubscribe(names.event_channel("*"))
    await pubsub.get_message(timeout=1)
    for n in range(20):
        await services["risk"].event("a", f"k{n}")
    found = await until(client, names, 20)
    heard = []
    async with asyncio.timeout(5):
        while len(heard) < 20:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1)
            if message is not None:
                assert message["channel"].decode() == names.event_channel("account_updated")
                heard.append(json.loads(message["data"]))
    await pubsub.aclose()
    assert heard == [event for _, event, _ in found]


async def test_a_lost_log_begins_a_new_epoch_above_the_old_ids(
    gateway: GatewayProcess, services: dict[str, Service], client: redis.asyncio.Redis, names: Names
) -> None:
    gateway.start()
    await services["risk"].event("a", "before")
    (before,) = await until(client, names, 1)
    await asyncio.sleep(1.5)  # its position is kept once a second
    gateway.kill()
    await client.delete(names.events, names.own("gateway", "seq"), names.own("gateway", "epoch"))
    gateway.start()
    await services["risk"].event("a", "after")
    (after,) = await until(client, names, 1)
    assert after[1]["epoch"] > before[1]["epoch"]
    assert tuple(map(int, after[0].split("-"))) > tuple(map(int, before[0].split("-")))


async def test_a_restored_log_begins_a_new_epoch(
    gateway: GatewayProcess, services: dict[str, Service], client: redis.asyncio.Redis, names: Names
) -> None:
    """The keys are there, but the log's end is older than what was written: an older copy of Redis."""
    gateway.start()
    await services["risk"].event("a", "one")
    await until(client, names, 1)
    await asyncio.sleep(1.5)  # numbers and position are kept once a second
    copy = [(key, await client.dump(key)) for key in (names.events, names.own("gateway", "seq"))]
    await services["risk"].event("a", "two")
    found = await until(client, names, 2)
    await asyncio.sleep(1.5)
    gateway.kill()
    for key, dump in copy:
        await client.restore(key, 0, dump, replace=True)
    gateway.start()
    await services["risk"].event("a", "three")
    restored = await until(client, names, 2)
    assert restored[1][1]["epoch"] > found[1][1]["epoch"]
    assert restored[1][0] > found[1][0]
    assert restored[1][1]["seq"] == 2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Child]:
    """A Redis of the test's own."""
    child = start_valkey(tmp_path / "valkey")
    yield child
    child.stop()


@pytest.mark.parametrize("alive", [True, False])
async def test_another_life_of_redis_that_lost_the_newest_events_is_another_epoch(
    server: Child, environment: dict[str, str], names: Names, tmp_path: Path, alive: bool
) -> None:
    """Numbers 3 to 5 were told and are lost. Whatever is written next is not of the same epoch, gateway up or not."""
    gateway = GatewayProcess({**environment, "PMS_REDIS_URL": server.url}, tmp_path / "gateway.log")
    gateway.start()
    client = redis.asyncio.Redis.from_url(server.url)
    risk = Service(client, names, "risk")
    for n in range(5):
        await risk.event("a", f"k{n}")
    before = await until(client, names, 5)
    if not alive:
        gateway.kill()
    else:
        await asyncio.sleep(1.2)  # its position is kept once a second
    await client.xdel(names.events, *(entry_id for entry_id, _, _ in before[2:]))
    if not alive:
        await client.hset(names.own("gateway", "seq"), "a", "2")
    await client.aclose()
    server.process.kill()
    server.process.wait()
    again = start_valkey(tmp_path / "valkey", server.port)
    try:
        client = redis.asyncio.Redis.from_url(again.url)
        risk.client = client
        if not alive:
            gateway.start()
            await gateway.healthy()
        await risk.event("a", "after")
        found = await until(client, names, 3)
        assert found[2][1]["epoch"] > before[0][1]["epoch"]
        assert found[2][1]["eventId"] > before[-1][0]
        assert int(await client.get(names.own("gateway", "epoch"))) == found[2][1]["epoch"]
        await client.aclose()
    finally:
        gateway.stop()
        again.stop()
