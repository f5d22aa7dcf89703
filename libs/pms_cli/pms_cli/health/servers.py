"""Are Redis and PostgreSQL there, new enough and set as they have to be?"""

from typing import Any, cast

import asyncpg
import redis.asyncio as aioredis
from redis.exceptions import RedisError, ResponseError

from pms_cli import migrate
from pms_cli.health.finding import Finding
from pms_common.bus.dial import connected
from pms_common.clock import now_ms
from pms_common.db import connect
from pms_common.settings import SettingsError

OLDEST_REDIS = (7, 0)
OLDEST_POSTGRES = 14
FULL = 0.9
MAX_OFFSET_MS = 2_000
"""Of the ten seconds that a command lives."""


async def examine_redis(url: str, namespace: str = "") -> list[Finding]:
    """Reachability, version, eviction, durability, memory, clock, replicas."""
    try:
        async with connected(url, namespace, decode_responses=True) as client:
            info: dict[str, Any] = await client.info()
            seconds, micros = await client.time()
            replicated = await _replicated(client, info)
    except (RedisError, OSError) as error:
        return [Finding("wrong", "redis", str(error), "start it, or set PMS_REDIS_URL")]
    version = str(info["redis_version"])
    name = f"valkey {info['valkey_version']}" if "valkey_version" in info else f"redis {version}"
    findings = [Finding("ok", "redis", name)]
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        findings = [Finding("wrong", "redis", name, "Redis 7.0 or newer is needed")]
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        advice = "CONFIG SET maxmemory-policy noeviction: eviction destroys consumer groups"
        findings.append(Finding("wrong", "redis eviction", str(policy), advice))
    if not info.get("aof_enabled"):
        advice = "CONFIG SET appendonly yes: without it a restart loses what is not acknowledged"
        findings.append(Finding("warn", "redis durability", "no AOF", advice))
    return [*findings, *_room(info), *_clock(seconds * 1000 + micros // 1000, now_ms()), *replicated]


def _room(info: dict[str, Any]) -> list[Finding]:
    """Whether it is near the memory that it may use: from there on it refuses every write."""
    used, most = int(info["used_memory"]), int(info.get("maxmemory", 0))
    if not most or used < FULL * most:
        return []
    advice = "raise maxmemory: a full Redis refuses fills and cancels as well"
    return [Finding("wrong", "redis memory", f"{used / most:.0%} of maxmemory is used", advice)]


def _clock(redis_ms: int, here_ms: int) -> list[Finding]:
    """Commands live so many seconds from the time that Redis gave them."""
    offset_ms = redis_ms - here_ms
    if abs(offset_ms) <= MAX_OFFSET_MS:
        return []
    advice = "synchronise both clocks (NTP): commands expire by the difference too early or too late"
    return [Finding("wrong", "redis clock", f"{offset_ms:+d} ms against this machine's", advice)]


async def _replicated(client: "aioredis.Redis", info: dict[str, Any]) -> list[Finding]:
    """Whether a master that is cut off from its replicas stops writing: see docs/operations.md, leases."""
    replicas = int(info.get("connected_slaves", 0))
    if info.get("role") != "master" or not replicas:
        return []
    try:
        wanted = cast("dict[str, str]", await client.config_get("min-replicas-*"))
    except ResponseError:
        advice = "make sure of min-replicas-to-write 1 and min-replicas-max-lag 1"
        return [Finding("warn", "redis replicas", f"{replicas}; CONFIG may not be read", advice)]
    if int(wanted["min-replicas-to-write"]) and int(wanted["min-replicas-max-lag"]) == 1:
        return [Finding("ok", "redis replicas", f"{replicas}, and no write without one")]
    detail = ", ".join(f"{name} {value}" for name, value in sorted(wanted.items()))
    advice = "CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 1: else two masters may confirm two leaders"
    return [Finding("warn", "redis replicas", f"{replicas}; {detail}", advice)]


async def examine_database(url: str) -> list[Finding]:
    """Reachability, version, schema."""
    try:
        connection = await connect(url, "doctor")
        try:
            version = connection.get_server_version()
        finally:
            await connection.close()
        has = await migrate.current(url)
    except (OSError, ValueError, SettingsError, asyncpg.PostgresError) as error:
        return [Finding("wrong", "database", str(error) or type(error).__name__, "start it, or set PMS_DATABASE_URL")]
    findings = [Finding("ok", "database", f"PostgreSQL {version.major}")]
    if version.major < OLDEST_POSTGRES:
        advice = f"PostgreSQL {OLDEST_POSTGRES} or newer is needed"
        findings = [Finding("wrong", "database", f"PostgreSQL {version.major}", advice)]
    newest = migrate.newest()
    if has == newest:
        findings.append(Finding("ok", "database schema", ", ".join(sorted(has))))
    else:
        detail = f"has {', '.join(sorted(has)) or 'none'}; newest {', '.join(sorted(newest))}"
        findings.append(Finding("wrong", "database schema", detail, "pms migrate"))
    return findings
