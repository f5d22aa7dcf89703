"""A stream on a wrong route is acknowledged and silent: only what the market does elsewhere tells."""

import asyncio
from functools import partial

from tests.integration.pms_feed.rig import WAIT_S, Rig, now_ms, until

from pms_feed.adapters.socket import MARKS_ROUTE, STREAMS_ROUTE, connect
from pms_feed.app.connection import Connection
from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.app.wire import RestQuote
from pms_feed.domain.liveness import SILENT_MS


class Followed:
    """A market on a connection to one route."""

    def __init__(self, url: str) -> None:
        self.market, frames = Market("BTCUSDT", "both", lambda _market: None), Frames()
        frames.add(self.market)
        connection = Connection(partial(connect, url), frames)
        connection.carry([self.market])
        self.running = asyncio.create_task(connection.run())

    async def opened(self) -> bool:
        return self.market.opened_ms > 0

    async def at(self, bid: float) -> bool:
        self.market.settle()
        return self.market.l1.bid == bid


async def test_streams_on_a_wrong_route_are_found_to_be_dead(rig: Rig) -> None:
    right, wrong = Followed(rig.ws_url + STREAMS_ROUTE), Followed(rig.ws_url + MARKS_ROUTE)
    try:
        async with asyncio.timeout(WAIT_S):
            await until(right.opened)
            await until(wrong.opened)
            await rig.market(64_010.0, 64_010.1)
            await until(lambda: right.at(64_010.0))
    finally:
        for one in (right, wrong):
            one.running.cancel()
            await asyncio.gather(one.running, return_exceptions=True)
    market = wrong.market
    assert market.quote_us == market.depth_us == 0
    market.opened(now_ms())
    asked_ms = now_ms() + 1
    market.on_rest_quote(RestQuote("BTCUSDT", 64_010.0, 1.0, 64_010.1, 1.0), asked_ms, asked_ms * 1000)
    market.on_rest_quote(RestQuote("BTCUSDT", 64_020.0, 1.0, 64_020.1, 1.0), asked_ms, asked_ms * 1000)
    assert market.dead_streams(asked_ms) == []
    assert set(market.dead_streams(asked_ms + SILENT_MS + 1)) == set(market.streams)
