"""Who leads? A role whose lease nobody holds does no work."""

from typing import Any

from redis.exceptions import RedisError

from pms_cli.health.finding import Finding
from pms_common.bus.dial import connected
from pms_common.names import Names

ROLES = ("orders", "risk", "algos", "gateway")


async def examine_leases(url: str, names: Names) -> list[Finding]:
    """One finding: the holder of each role's lease."""
    try:
        async with connected(url, names.namespace, decode_responses=True) as client:
            seconds, _ = await client.time()
            records: dict[str, dict[Any, Any]] = {role: await client.hgetall(names.lease(role)) for role in ROLES}
    except (RedisError, OSError):
        return []  # said by examine_redis
    held = {
        role: _holder(record) for role, record in records.items() if int(record.get("until_ms", 0)) > seconds * 1000
    }
    detail = ", ".join(f"{role}: {holder}" for role, holder in held.items())
    missing = [role for role in ROLES if role not in held]
    if missing:
        why = f"nobody leads {', '.join(missing)}" + (f"; {detail}" if detail else "")
        return [Finding("warn", "leases", why, f"start {', '.join(missing)}")]
    return [Finding("ok", "leases", detail)]


def _holder(record: dict[Any, Any]) -> str:
    host, _, rest = str(record.get("process", "")).partition(" ")
    return f"process {rest.partition(' ')[0]} on {host}"
