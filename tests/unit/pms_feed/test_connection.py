"""One connection's sockets: none is left open that nobody looks after, no stream stays silent."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from pms_feed.app.connection import Connection
from pms_feed.app.frames import Frames
from pms_feed.app.market import Market


class Line:
    """A socket to a venue that confirms every subscription at once."""

    def __init__(self, on_text: Callable[[bytes], None]) -> None:
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.sent: list[tuple[str, list[str]]] = []
        self._on_text = on_text

    def send(self, message: bytes) -> None:
        request = json.loads(message)
        self.sent.append((request["method"], request["params"]))
        self._on_text(json.dumps({"result": None, "id": json.loads(message)["id"]}).encode())

    def ping(self) -> None:
        """Nothing in the test lasts so long that the pong is missed."""

    def close(self, why: str) -> None:
        if not self.closed.done():
            self.closed.set_result(why)


async def test_r13_a_successor_is_closed_when_the_first_socket_ends_while_both_are_read() -> None:
    lines: list[Line] = []
    both = asyncio.Event()

    async def connect(on_text: Callable[[bytes], None], _: Any) -> Line:
        lines.append(Line(on_text))
        if len(lines) == 2:
            both.set()
        return lines[-1]

    market, frames = Market("BTCUSDT", "both", lambda _market: None), Frames()
    frames.add(market)
    connection = Connection(connect, frames, life_ms=100)
    connection.carry([market])
    running = asyncio.create_task(connection.run())
    try:
        async with asyncio.timeout(10):
            await both.wait()
            lines[0].close("the venue ended it")
            assert await lines[1].closed == "given up"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_stream_that_is_silent_is_ended_and_asked_for_anew_and_its_book_begins_anew() -> None:
    lines: list[Line] = []
    opened = asyncio.Event()

    async def connect(on_text: Callable[[bytes], None], _: Any) -> Line:
        lines.append(Line(on_text))
        return lines[-1]

    class Opened(Market):
        def opened(self, now_ms: int) -> None:
            super().opened(now_ms)
            opened.set()

    market, frames = Opened("BTCUSDT", "both", lambda _market: None), Frames()
    frames.add(market)
    market.book.load(1, [(1.0, 1.0)], [(2.0, 1.0)], whole=True)
    connection = Connection(connect, frames)
    connection.carry([market])
    running = asyncio.create_task(connection.run())
    try:
        async with asyncio.timeout(10):
            await opened.wait()
            connection.renew(market, market.depth_stream)
            opened.clear()
            await opened.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    both, depth = [market.quote_stream, market.depth_stream], [market.depth_stream]
    assert lines[0].sent == [("SUBSCRIBE", both), ("UNSUBSCRIBE", depth), ("SUBSCRIBE", depth)]
    assert not market.book.loaded
