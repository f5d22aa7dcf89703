"""Are the streams read? A group that is missing or far behind means that its service does not work."""

import redis.asyncio as aioredis
from redis.exceptions import NoPermissionError, RedisError

from pms_cli.health.finding import Finding
from pms_common.bus.dial import connected
from pms_common.bus.groups import next_after, stream_state
from pms_common.bus.ids import id_ms
from pms_common.clock import now_ms
from pms_common.names import Names
from pms_common.topology import Stream, topology

OLD_MS = 10_000
"""An entry that waits longer than a command may live has a reader that does not read."""


async def examine_streams(url: str, names: Names) -> list[Finding]:
    """One finding for each stream that is not well, or one that all are."""
    findings: list[Finding] = []
    streams = topology(names)
    try:
        async with connected(url, names.namespace) as client, connected(url, names.feed) as feed:
            for stream in streams:
                findings += await _examine(feed if stream.name == names.watch else client, stream)
            dead = await client.xlen(names.dead)
    except NoPermissionError:
        advice = "the file of users is older than this version: deploy/redis/users.acl, or use another user"
        return [Finding("wrong", "redis user", "may not look at the streams", advice)]
    except (RedisError, OSError):
        return []  # said by examine_redis
    if dead:
        advice = f"look: XRANGE {names.dead} - + COUNT 10"
        findings.append(Finding("warn", "dead letters", f"{dead} entries could not be handled", advice))
    return findings or [Finding("ok", "streams", f"{len(streams)} streams, every group reads")]


async def _examine(client: "aioredis.Redis", stream: Stream) -> list[Finding]:
    state = await stream_state(client, stream.name, stream.groups)
    missing = [group for group in stream.groups if group not in state.groups]
    findings = [
        Finding("wrong", stream.name, f"group {group} is missing, {state.length} entries", f"start {group}")
        for group in missing
        if state.length
    ]
    for name, group in state.groups.items():
        oldest = group.lowest_pending or await next_after(client, stream.name, group.last_delivered)
        age_ms = now_ms() - id_ms(oldest) if oldest else 0
        if age_ms > OLD_MS:
            why = f"group {name}: {group.pending} pending, {group.lag} unread, the oldest {age_ms / 1000:.0f} s old"
            findings.append(Finding("wrong", stream.name, why, f"is {name} running and ready?"))
    return findings
