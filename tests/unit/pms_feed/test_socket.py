"""The socket against a venue that floods it."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from picows import WSListener, WSMsgType, WSTransport, ws_create_server

from pms_feed.adapters.socket import READ_BYTES, connect

MESSAGE = b"x" * 5_000
MESSAGES = 10_000
LARGE = b"y" * 300_000
"""More than is read at a time, and than picows' first buffer holds."""


class Venue(WSListener):
    """Sends all it has at once."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        for _ in range(MESSAGES):
            transport.send(WSMsgType.TEXT, MESSAGE)
        transport.send(WSMsgType.TEXT, LARGE)


@pytest.fixture
def flooding() -> Iterator[int]:
    """The port of a venue in a thread, so that it sends while the feed's loop reads."""
    ports: list[int] = []
    listening, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        server = await ws_create_server(lambda _request: Venue(), "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        listening.set()
        await over.wait()
        server.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    listening.wait()
    yield ports[0]
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


async def test_a_flood_leaves_the_loop_its_turns_and_every_message_comes_whole(flooding: int) -> None:
    loop, turn, everything = asyncio.get_running_loop(), 0, asyncio.Event()
    read_a_turn: Counter[int] = Counter()
    received: Counter[int] = Counter()

    def count_turn() -> None:
        nonlocal turn
        turn += 1
        loop.call_soon(count_turn)

    def on_text(message: bytes) -> None:
        read_a_turn[turn] += len(message)
        received[len(message)] += 1
        if message == LARGE:
            everything.set()

    count_turn()
    socket = await connect(f"ws://127.0.0.1:{flooding}/", on_text, lambda: None)
    async with asyncio.timeout(60):
        await everything.wait()
    socket.close("over")
    assert received == {len(MESSAGE): MESSAGES, len(LARGE): 1}
    assert max(read_a_turn.values()) <= 8 * READ_BYTES + len(LARGE)
