"""Are there orders that cannot end, because the exchange does not list their executions?"""

from collections.abc import Awaitable
from typing import cast

from redis.exceptions import RedisError

from pms_cli.health.finding import Finding
from pms_common.bus.dial import connected
from pms_common.names import Names
from pms_orders.app.missing import alarms


async def examine_orders(url: str, names: Names) -> list[Finding]:
    """One finding for each."""
    try:
        async with connected(url, names.namespace, decode_responses=True) as client:
            found = await cast("Awaitable[dict[str, str]]", client.hgetall(alarms(names)))
    except (RedisError, OSError):
        return []  # said by examine_redis
    advice = "docs/operations.md, executions that are missing"
    return [Finding("wrong", f"order {name}", what, advice) for name, what in sorted(found.items())]
