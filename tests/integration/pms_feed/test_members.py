"""The records of the feeds in a real Redis."""

import asyncio

from redis.asyncio import Redis
from tests.integration.pms_feed.rig import until

from pms_common.clock import monotonic_ms
from pms_common.names import Names
from pms_feed.adapters.members import Members
from pms_feed.app.sharing import Sharing
from pms_feed.domain.shares import LIFE_MS, Shares


async def test_a_feed_counts_within_a_records_life_after_the_clock_of_redis_was_set_back(
    names: Names, redis_url: str
) -> None:
    async with Redis.from_url(redis_url) as client:
        one, other = Members(client, names.feeds), Members(client, names.feeds)
        await one.renew()
        await other.renew()
        hour_ms = 3_600_000
        seconds, _ = await client.time()
        later_ms = seconds * 1000 + hour_ms
        for name in (one.name, other.name):  # as written before the step, by feeds that counted
            await client.hset(names.feeds, name, f"{later_ms - 10_000} {later_ms + LIFE_MS} host 1 world 1")
        await one.renew()
        members = {member.name: member for member in await other.renew()}
        assert all(member.from_ms <= monotonic_ms() + LIFE_MS for member in members.values())
        assert members.keys() == {one.name, other.name}


async def test_a_feed_that_leaves_tells_nothing_more_and_its_record_does_not_come_back(
    names: Names, redis_url: str
) -> None:
    async with Redis.from_url(redis_url) as client:
        members = Members(client, names.feeds)
        shares = Shares(members.name)
        sharing = Sharing(members, shares, lambda _part, _ok, _why: None)
        running = asyncio.create_task(sharing.run())

        async def believes() -> bool:
            shares.split(frozenset(), monotonic_ms())
            return shares.believes(monotonic_ms())

        async with asyncio.timeout(60):
            await until(believes)
            await sharing.leave()
            assert not await believes()
            await running
        assert not await believes()
        assert await client.hgetall(names.feeds) == {}
