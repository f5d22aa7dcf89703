"""R-13: a socket near its end is replaced by one that is already read, so nothing is missed."""

import asyncio
from functools import partial

from tests.integration.pms_feed.rig import WAIT_S, Rig, until

from pms_feed.adapters.socket import STREAMS_ROUTE, connect
from pms_feed.app.connection import Connection
from pms_feed.app.frames import Frames
from pms_feed.app.market import Market


class Uninterrupted(Market):
    """Counts what only a lost connection may do."""

    losses = 0

    def disconnected(self) -> None:
        self.losses += 1
        super().disconnected()


async def test_r13_sockets_overlap_when_the_first_ones_day_is_over(rig: Rig) -> None:
    market, frames = Uninterrupted("BTCUSDT", "both", lambda _market: None), Frames()
    frames.add(market)
    connection = Connection(partial(connect, rig.ws_url + STREAMS_ROUTE), frames, life_ms=2_000)
    connection.carry([market])
    running = asyncio.create_task(connection.run())
    sessions = set()

    async def replaced() -> bool:
        sessions.add(id(connection._session))
        market.settle()
        return len(sessions - {id(None)}) >= 3

    try:
        async with asyncio.timeout(WAIT_S):
            await until(lambda: _heard(connection))
            watching = asyncio.create_task(until(replaced))
            bid = 64_000.0
            while not watching.done():
                bid += 1
                await rig.market(bid, bid + 0.1)
                await until(partial(_at, market, bid))
            await until(partial(_sockets, rig, 1))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert market.losses == 1  # when it was cancelled
    assert market.gaps == 0


async def _heard(connection: Connection) -> bool:
    return bool(connection.heard_ms)


async def _at(market: Market, bid: float) -> bool:
    market.settle()
    return market.l1.bid == bid


async def _sockets(rig: Rig, count: int) -> bool:
    return await rig.public_sockets() == count
