"""What the order service has to know before it can work: the venue's clock, rules, limits and fees; what the last
writer left in the journal.

Owns the asking and its repetition: a venue that is down makes the service not ready, not dead.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError
from sqlalchemy.ext.asyncio import AsyncEngine

from pms_common.bus.ids import id_ms
from pms_common.logging import get_logger
from pms_common.names import Names
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_client import ExchangeClient, VenueRefused, VenueUnreachable
from pms_orders.adapters.recall import last_journalled_ms, restore
from pms_orders.app.manager import OrderManager
from pms_orders.app.publisher import Publisher
from pms_orders.app.rules import Rules, read_rules
from pms_orders.domain.gates import Gates
from pms_orders.domain.rate import Budget
from pms_orders.domain.tracker import MAX_ENDED, TOMBSTONE_MS

log = get_logger(__name__)

RETRY_S = 1.0
MEASURE_CLOCK_EVERY_S = 60.0


async def learn(rest: ExchangeClient, clock: VenueClock, budget: Budget, report: Callable[[bool, str], None]) -> Rules:
    """Ask the venue until it has answered everything."""
    while True:
        try:
            await clock.measure(rest.time_ms)
            rules = await read_rules(rest, budget)
        except (VenueRefused, VenueUnreachable) as error:
            log.warning("venue_not_usable", error=str(error))
            report(False, str(error))
            await asyncio.sleep(RETRY_S)
            continue
        report(True, "")
        return rules


async def _last_heard_ms(redis: Redis, stream: str) -> int:
    """When Redis last took an entry of this stream, trimmed ones included; 0 where it knows no such stream."""
    try:
        info = cast("dict[str, bytes]", await redis.xinfo_stream(stream))
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return 0
    return id_ms(info["last-generated-id"].decode())


def tombstones(names: Names) -> str:
    """The stream of the orders that are not to be sent, should they still arrive."""
    return names.own("orders", "tombstones")


def known(names: Names) -> str:
    """The key of the moment until when everything on the exchange account was known."""
    return names.own("orders", "known_ms")


async def _last_known_ms(engine: AsyncEngine, redis: Redis, names: Names) -> int | None:
    """Until when the last writer knew everything; without its word, until when it wrote; None: never.

    Its last row is no proof: orders move while the exchange's lists cannot be compared.
    """
    told = cast("bytes | None", await redis.get(known(names)))
    return int(told) if told is not None else await last_journalled_ms(engine)


async def recover(
    engine: AsyncEngine, redis: Redis, names: Names, manager: OrderManager, gates: Gates, publisher: Publisher
) -> int | None:
    """Take over what the last writer left. What it may have sent and nobody has confirmed is suspect.

    What it journalled since Redis last heard of it, and shortly before, is told again with the same keys, and answered
    again, because it may not have got out before its end; what Redis has heard and the journal has not is taken over.
    Returns until when the last writer knew everything; None: never.
    """
    stream = names.updates("orders")
    restored = await restore(engine, MAX_ENDED, await _last_heard_ms(redis, stream))
    await manager.told.read(redis, stream, restored.journalled_ms)
    buried = await redis.xrange(tombstones(names), min=str(manager.now_ms() - TOMBSTONE_MS))
    for entry_id, fields in cast("list[tuple[bytes, dict[bytes, bytes]]]", buried):
        manager.tracker.bury(fields[b"id"].decode(), id_ms(entry_id.decode()))
    for order in (*restored.live, *restored.ended):
        manager.told.take_over(order)
        fills = restored.recent.get(order.client_order_id)
        if fills is not None and order.version:
            publisher.retell(order, fills)
    for account_id, symbol, state in restored.gates:
        gates.set(account_id, symbol, state)
    for order in (*restored.ended, *restored.live):
        if order.final and order.whole:
            manager.tracker.remember(order)
        else:
            manager.restore(order)
    log.info("recovered", live=len(restored.live), ended=len(restored.ended))
    return await _last_known_ms(engine, redis, names)


class ClockKeeper:
    """Measures the venue's clock every minute, and at once when the venue complains or did not answer. Spawn `run`."""

    def __init__(self, clock: VenueClock, rest: ExchangeClient, report: Callable[[bool, str], None]) -> None:
        self._clock = clock
        self._rest = rest
        self._report = report
        self._now = asyncio.Event()

    def measure_soon(self) -> None:
        """The venue refused a timestamp."""
        self._now.set()

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            try:
                async with asyncio.timeout(MEASURE_CLOCK_EVERY_S):
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()
            try:
                await self._clock.measure(self._rest.time_ms)
            except (VenueRefused, VenueUnreachable) as error:
                log.warning("clock_not_measured", error=str(error))
                await asyncio.sleep(RETRY_S)
                self._now.set()
            self._report(self._clock.known, "" if self._clock.known else "the venue's clock was not measured lately")
