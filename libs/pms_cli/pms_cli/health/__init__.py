"""What `pms doctor` examines. Reads only; changes nothing anywhere.

- `finding`: one result: ok, warn or wrong, with what to do
- `servers`: Redis and PostgreSQL
- `processes`: which services run, and why one is not ready
- `books`: whether they equal the exchange, by what risk says of itself
- `door`: the gateway and its tokens
- `streams`: streams and their consumer groups
- `leases`: which process leads each role
- `orders`: orders that cannot end
- `exchange`: reachability, clock, symbols, keys, position mode
"""

import asyncio

from pms_cli.health.door import examine_door
from pms_cli.health.exchange import examine_exchange
from pms_cli.health.finding import Finding
from pms_cli.health.leases import examine_leases
from pms_cli.health.orders import examine_orders
from pms_cli.health.processes import examine_processes
from pms_cli.health.servers import examine_database, examine_redis
from pms_cli.health.streams import examine_streams
from pms_cli.system.place import Place
from pms_common.settings import Settings

__all__ = ["Finding", "examine"]


async def examine(settings: Settings, place: Place) -> list[Finding]:
    """All findings, in the order in which a person reads them."""
    groups = await asyncio.gather(
        examine_redis(place.redis, place.names.namespace),
        examine_database(place.database),
        examine_exchange(settings, place.simulator),
        examine_processes(place.redis, place.names),
        examine_door(settings, place.gateway),
        examine_streams(place.redis, place.names),
        examine_leases(place.redis, place.names),
        examine_orders(place.redis, place.names),
    )
    first = Finding("ok", "settings", f"environment {settings.binance_env}, namespace {settings.namespace}")
    return [first, *(finding for group in groups for finding in group)]
