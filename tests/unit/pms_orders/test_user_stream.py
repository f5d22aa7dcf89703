"""R-11, R-12: whatever shares a read with an event, and whatever cannot be read, no event is left lying."""

import asyncio
import base64
import gc
import hashlib
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.user_socket import Batch
from pms_orders.adapters.binance.user_stream import UserStream

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


def frame(operation: int, payload: bytes) -> bytes:
    return bytes((0x80 | operation, len(payload))) + payload


def event(trade_id: int) -> bytes:
    return frame(TEXT, b'{"e":"TRADE_LITE","s":"BTCUSDT","c":"x","i":1,"t":%d}' % trade_id)


class Ear:
    """Hears a user stream."""

    def __init__(self) -> None:
        self.trades: list[int] = []
        self.connections: list[bool] = []
        self.defect: Exception | None = None

    def hear(self, batch: Batch) -> None:
        if self.defect is not None:
            raise self.defect
        self.trades += [event.trade_id for event in batch if isinstance(event, wire.TradeLite)]

    def connected(self, ok: bool, _why: str) -> None:
        self.connections.append(ok)


async def forgotten() -> None:
    """Until both ends of a connection that was just being made are gone: the library leaves a cancelled one open."""
    await asyncio.sleep(0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
        await asyncio.sleep(0.05)
        gc.collect()


@asynccontextmanager
async def venue(*segments: bytes) -> AsyncIterator[str]:
    """A venue that writes each segment in one go to whoever connects, and then keeps silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if b"websocket-key" in line.lower())
        accept = base64.b64encode(hashlib.sha1(key + ACCEPT).digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        for segment in segments:
            await asyncio.sleep(0.05)
            writer.write(segment)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await forgotten()


@asynccontextmanager
async def listening(ear: Ear, url: str) -> AsyncIterator[asyncio.Task[None]]:
    async def key() -> str:
        return "key"

    rest: Any = SimpleNamespace(listen_key=key)
    stream = UserStream(rest, url, heard=ear.hear, connected=ear.connected)
    task = asyncio.create_task(stream.run())
    try:
        yield task
    finally:
        await stream.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(ear: Ear, trades: list[int]) -> None:
    async with asyncio.timeout(2):
        while ear.trades[: len(trades)] != trades:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("last", [frame(PING, b"p"), frame(PONG, b""), frame(CLOSE, b"\x03\xe8")])
async def test_r11_what_ends_a_read_keeps_no_event_back(last: bytes) -> None:
    ear = Ear()
    async with venue(event(1) + event(2) + last) as url, listening(ear, url):
        await until(ear, [1, 2])


async def test_events_of_one_read_keep_their_order_around_a_ping() -> None:
    ear = Ear()
    async with venue(event(1) + frame(PING, b"p") + event(2) + frame(PING, b"p"), event(3)) as url, listening(ear, url):
        await until(ear, [1, 2, 3])


@pytest.mark.parametrize(
    "payload",
    [
        b'{"e":"ORDER_TRADE_UPDATE","o":{"s":1}}',
        b'{"e":"ORDER_TRADE_UPDATE","o":{"s":"\xff"}}',
        b"<html>",
    ],
)
async def test_r11_an_event_that_cannot_be_read_leads_to_a_new_connection_and_so_to_a_reconciliation(
    payload: bytes,
) -> None:
    ear = Ear()
    async with venue(event(1) + frame(TEXT, payload)) as url, listening(ear, url):
        await until(ear, [1, 1])
    assert ear.connections[:3] == [True, False, True]


async def test_an_event_of_a_kind_we_do_not_read_changes_nothing() -> None:
    ear = Ear()
    async with venue(frame(TEXT, b'{"e":"STRATEGY_UPDATE","s":1}') + event(1)) as url, listening(ear, url):
        await until(ear, [1])
        await asyncio.sleep(0.1)
    assert ear.connections[:1] == [True] and True not in ear.connections[1:]


@pytest.mark.parametrize("last", [b"", frame(PING, b"p")])
async def test_a_defect_of_the_listener_ends_the_stream(last: bytes) -> None:
    ear = Ear()
    ear.defect = ValueError("a defect")
    async with venue(event(1) + last) as url, listening(ear, url) as task:
        with pytest.raises(ValueError, match="a defect"):
            await asyncio.wait_for(task, 5)


async def test_r14_a_key_that_dies_while_a_successor_connects_with_it_is_not_trusted() -> None:
    ear = Ear()
    heard: list[list[bool]] = []

    async def key() -> str:
        heard.append(list(ear.connections))
        if len(heard) == 2:
            stream.restart("the listen key has expired")
        return "key"

    rest: Any = SimpleNamespace(listen_key=key)
    async with venue() as url:
        stream = UserStream(rest, url, heard=ear.hear, connected=ear.connected, roll_over_s=0.2, overlap_s=0.1)
        task = asyncio.create_task(stream.run())
        async with asyncio.timeout(30):
            while len(heard) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await stream.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert heard[2] == [True, False], "nobody was told that all is heard"
