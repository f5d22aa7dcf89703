"""The two processes of the benchmark `orders_throughput`.

`venue ORDERS` floods whoever connects with the events of so many orders' lives, as fast as they are read, and prints
its port. `service URL DATABASE NAMESPACE PORT ORDERS` is the order service's inside, which has one thread, hears them
all and prints what it took; `decoder ORDERS` only decodes the same events.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSTransport, ws_create_server

from pms_cli.bench.orders_inside import SYMBOL, inside
from pms_common.names import Names
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.user_socket import open_socket

LIFE = (("NEW", "NEW", 0), ("TRADE", "PARTIALLY_FILLED", 1), ("TRADE", "PARTIALLY_FILLED", 2), ("TRADE", "FILLED", 3))
"""Execution type, status and trades so far of an order that rests and is filled in three trades."""
OPEN_AT_ONCE = 100
CHUNK = 100
FIRST_NUMBER = 8_389_765_000_000


def name_of(number: int) -> str:
    """The client order id of an order."""
    return f"PMS_bench000_LMT_{number:019d}"


def payload(number: int, stage: int) -> bytes:
    """One event of a life, with every field that the venue sends."""
    execution, status, trades = LIFE[stage]
    at = 1_760_000_000_000 + number
    order: dict[str, Any] = {"s": SYMBOL, "c": name_of(number), "S": "BUY", "o": "LIMIT", "f": "GTC"}
    order |= {"q": "0.300", "p": "64000.10"}
    order |= {"ap": "64000.10" if trades else "0", "sp": "0", "x": execution, "X": status, "i": FIRST_NUMBER + number}
    order |= {"l": "0.100" if trades else "0", "z": f"0.{trades}00" if trades else "0"}
    order |= {"L": "64000.10" if trades else "0", "n": "1.28000200" if trades else "0", "N": "USDT", "T": at}
    order |= {"t": number * 3 + trades if trades else 0, "b": "0", "a": "0", "m": True, "R": False}
    order |= {"wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": False, "rp": "0", "pP": False, "si": 0}
    order |= {"ss": 0, "V": "EXPIRE_TAKER", "pm": "NONE", "gtd": 0, "er": "0"}
    event = {"e": "ORDER_TRADE_UPDATE", "E": at + 1, "T": at, "o": order}
    return json.dumps(event, separators=(",", ":")).encode()


def payloads(orders: int) -> Iterator[bytes]:
    """All events, a hundred orders at once."""
    for first in range(0, orders, OPEN_AT_ONCE):
        for stage in range(len(LIFE)):
            for number in range(first, min(first + OPEN_AT_ONCE, orders)):
                yield payload(number, stage)


class Flood(WSListener):
    """Sends all events to who connects."""

    def __init__(self, frames: list[bytes]) -> None:
        self._frames = frames
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._flood(transport))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Nothing is asked here."""

    def pause_writing(self) -> None:
        """The reader is behind."""
        self._room.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._room.set()

    async def _flood(self, transport: WSTransport) -> None:
        for frame in self._frames:
            transport.underlying_transport.write(frame)
            await asyncio.sleep(0)
            await self._room.wait()


def _frames(orders: int) -> list[bytes]:
    framed = [b"\x81\x7e" + len(event).to_bytes(2, "big") + event for event in payloads(orders)]
    return [b"".join(framed[at : at + CHUNK]) for at in range(0, len(framed), CHUNK)]


async def venue(orders: int) -> None:
    """Serve until killed."""
    frames = _frames(orders)
    server = await ws_create_server(lambda _request: Flood(frames), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


async def service(redis_url: str, database: str, namespace: str, port: int, orders: int) -> None:
    """Hear all events; print seconds until the last was in Redis, CPU seconds meanwhile, and entries of the stream."""
    async with inside(redis_url, database, Names(namespace)) as running:
        for number in range(orders):
            running.place(name_of(number), number)
            if number % 1000 == 999:
                await running.written()
        await running.written()
        expected = orders * len(LIFE)
        began_s, cpu_s = time.perf_counter(), time.process_time()
        socket = await open_socket(f"ws://127.0.0.1:{port}", "bench", running.hear, print)
        while running.heard < expected and not socket.ended:  # noqa: ASYNC110 (counting costs nothing)
            await asyncio.sleep(0.005)
        await running.bus.outbox.flush()
        took = {"seconds": time.perf_counter() - began_s, "cpu_s": time.process_time() - cpu_s}
        socket.drop()
        await running.journal.flush()
        journalled = time.perf_counter() - began_s
        print(json.dumps({**took, "events": running.heard, "updates": running.updates.n, "journalled_s": journalled}))


def decoder(orders: int) -> None:
    """Decode all events and map each to a report; print the CPU seconds."""
    events = list(payloads(orders))
    began_s = time.process_time()
    for event in events:
        decoded = wire.decode_event(event)
        assert isinstance(decoded, wire.OrderTradeUpdate)
        wire.feed_report(decoded)
    print(json.dumps({"cpu_s": time.process_time() - began_s, "events": len(events)}))


def main() -> None:
    """One of the three."""
    role, *words = sys.argv[1:]
    if role == "venue":
        uvloop.run(venue(int(words[0])))
    elif role == "service":
        url, database, namespace, port, orders = words
        uvloop.run(service(url, database, namespace, int(port), int(orders)))
    else:
        decoder(int(words[0]))


if __name__ == "__main__":
    main()
