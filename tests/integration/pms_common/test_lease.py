"""Leases on a real Redis: who takes one, who loses it, what a loss of the record or of the server means."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from pms_cli.embedded import start_valkey
from pms_common.lease import Lease, LeaseLost
from pms_common.lease.belief import TTL_S
from pms_common.lease.process import describe, is_dead
from pms_common.names import Names

PATIENCE_S = 30.0
FENCE_S = 0.3
Begin = Callable[..., Awaitable[tuple[Lease, asyncio.Task[None]]]]


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator["redis.asyncio.Redis"]:
    made = redis.asyncio.Redis.from_url(redis_url)
    yield made
    await made.aclose()


@pytest.fixture
async def begin(client: "redis.asyncio.Redis", names: Names) -> AsyncIterator[Begin]:
    """A holder: a lease that is acquired and kept."""
    tasks: list[asyncio.Task[None]] = []

    async def begin(
        role: str = "risk", via: "redis.asyncio.Redis | None" = None, first: bool = True
    ) -> tuple[Lease, asyncio.Task[None]]:
        lease = Lease(via or client, names.lease(role), role, FENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            await lease.acquire(lambda why: None)
        if first:
            lease.first_ever()
        tasks.append(asyncio.create_task(lease.run()))
        return lease, tasks[-1]

    yield begin
    while running := [task for task in tasks if not task.done()]:
        for task in running:  # again: redis-py may swallow a cancel that meets a reply
            task.cancel()
        await asyncio.wait(running, timeout=1)


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 (time is waited for)
            await asyncio.sleep(0.01)


async def test_a_free_lease_is_held_at_once_and_kept(begin: Begin) -> None:
    lease, running = await begin()
    assert lease.held()
    await asyncio.sleep(TTL_S + 0.5)
    await until(lease.held)
    assert not running.done()


async def test_where_there_is_no_record_a_holder_may_live_whom_redis_has_forgotten(
    begin: Begin, client: "redis.asyncio.Redis", names: Names
) -> None:
    older, running = await begin()
    await client.delete(names.lease("risk"))
    newer, _ = await begin(first=False)
    assert newer.owned() and not newer.held()
    while not newer.held():
        assert not (older.held() and newer.held())
        await asyncio.sleep(0.01)
    with pytest.raises(LeaseLost):
        await running


async def test_a_second_process_stands_by_and_hears_who_leads(
    begin: Begin, client: "redis.asyncio.Redis", names: Names
) -> None:
    lease, _ = await begin()
    second, heard = Lease(client, names.lease("risk"), "risk"), list[str]()
    standing = asyncio.create_task(second.acquire(heard.append))
    await until(lambda: len(heard) > 3)
    assert not standing.done() and not second.held() and heard[-1].startswith("standby: process ")
    await lease.release()
    assert not lease.held()
    await asyncio.wait_for(standing, PATIENCE_S)
    assert second.held()


async def test_what_is_under_way_at_a_release_is_waited_for(
    begin: Begin, client: "redis.asyncio.Redis", names: Names
) -> None:
    lease, _ = await begin()
    lease.idle = lambda: False
    await lease.release()
    second, _ = await begin(first=False)
    assert not second.held()
    await until(second.held)


async def test_a_holder_that_stopped_asking_is_followed_and_ends(
    begin: Begin, client: "redis.asyncio.Redis", names: Names
) -> None:
    first = Lease(client, names.lease("risk"), "risk", FENCE_S)
    await first.acquire(lambda why: None)
    second, _ = await begin()  # the first one renews nothing
    assert not first.held()
    with pytest.raises(LeaseLost):
        await first.run()
    await until(second.held)


async def test_a_lost_record_is_written_again_by_its_holder(
    begin: Begin, client: "redis.asyncio.Redis", names: Names
) -> None:
    lease, running = await begin()
    await client.delete(names.lease("risk"))
    async with asyncio.timeout(PATIENCE_S):
        while not await client.exists(names.lease("risk")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await until(lease.held)
    assert not running.done()


async def test_without_redis_it_lapses_and_is_held_again_when_redis_is_back(begin: Begin, tmp_path: Path) -> None:
    server = start_valkey(tmp_path)
    told: list[tuple[bool, str]] = []
    async with redis.asyncio.Redis.from_url(server.url) as via:
        lease, running = await begin(via=via)
        lease.tell(lambda held, why: told.append((held, why)))
        server.process.kill()
        server.process.wait()
        await until(lambda: not lease.held())
        await until(lambda: (False, "the lease has lapsed") in told)
        server = start_valkey(tmp_path, server.port)
        await until(lease.held)
        await until(lambda: told[-1] == (True, ""))
        assert not running.done()
    server.stop()


def test_a_process_is_known_dead_only_where_it_is() -> None:
    assert not is_dead(describe()) and not is_dead("") and not is_dead("host 1 other/pid:[1] 5")
    script = "from pms_common.lease.process import describe; print(describe(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        described = process.stdout.readline().strip()
        assert not is_dead(described)
        process.kill()
        process.wait()
        assert is_dead(described)
    host, pid, world, started = describe().split(" ")
    assert is_dead(f"{host} {pid} {world} {int(started) + 1}")  # the same number, another process
