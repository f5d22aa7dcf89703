"""The venue of the benchmark `feed_throughput`: floods whoever subscribes, as fast as it reads or at a pace.

`KIND RATE SECONDS`: bookTicker or depth frames, RATE a second (0: as many as go). Prints its REST port and WebSocket
port, then floods once every stream it was asked for has been asked for. Ids grow by one a frame and symbol, so the feed
takes every one of them.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable

import uvloop
from aiohttp import web
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

SYMBOLS = 10
CHUNK = 100
LEVELS = 50
VARIANTS = 100
FIRST_ID = 10**12  # thirteen digits: every frame of a variant has one length
Write = Callable[[int], bytes]


def framed(payload: bytes) -> bytes:
    """An unmasked text frame."""
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


def quote_frames(symbol: str) -> list[Write]:
    """bookTicker frames of a symbol, by update id."""
    made = []
    for at in range(VARIANTS):
        data = {"e": "bookTicker", "u": FIRST_ID, "s": symbol, "ps": symbol, "b": f"{50_000 + at:.2f}", "B": "73.3346"}
        data |= {"a": f"{50_001 + at:.2f}", "A": "589.8026", "T": FIRST_ID, "E": FIRST_ID, "st": 1}
        made.append(_template({"stream": f"{symbol.lower()}@bookTicker", "data": data}, '"u":'))
    return made


def depth_frames(symbol: str) -> list[Write]:
    """Diffs of 50 + 50 levels of a symbol, by last id; the best is never among them."""
    draw = random.Random(1)
    made = []
    for _ in range(VARIANTS):
        bids = [[f"{50_000 - draw.randint(1, 1000) / 10:.2f}", f"{draw.randint(0, 9)}.5"] for _ in range(LEVELS)]
        asks = [[f"{50_001 + draw.randint(1, 1000) / 10:.2f}", f"{draw.randint(0, 9)}.5"] for _ in range(LEVELS)]
        data = {"e": "depthUpdate", "E": FIRST_ID, "T": FIRST_ID, "s": symbol, "ps": symbol, "U": FIRST_ID}
        data |= {"u": FIRST_ID, "pu": FIRST_ID, "b": bids, "a": asks, "st": 1}
        made.append(_template({"stream": f"{symbol.lower()}@depth@100ms", "data": data}, '"U":', '"u":', '"pu":'))
    return made


def _template(frame: dict[str, object], *ids: str) -> Write:
    text = json.dumps(frame, separators=(",", ":")).replace("%", "%%")
    for key in ids:
        text = text.replace(f"{key}{FIRST_ID}", f"{key}%d", 1)
    head, form = framed(text.encode().replace(b"%d", b"0" * 13))[:4], text.encode()
    if len(ids) == 1:
        return lambda update_id: head + form % update_id
    return lambda update_id: head + form % (update_id, update_id, update_id - 1)


class Flood(WSListener):
    """Answers subscriptions and then floods."""

    def __init__(self, kind: str, rate: int, seconds: float) -> None:
        self._make = quote_frames if kind == "quotes" else depth_frames
        self._rate, self._seconds = rate, seconds
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        message = json.loads(frame.get_payload_as_bytes())
        transport.send(WSMsgType.TEXT, json.dumps({"result": None, "id": message["id"]}).encode())
        if self._task is None:
            symbols = [stream.partition("@")[0].upper() for stream in message["params"]]
            self._task = asyncio.create_task(self._flood(transport, symbols))

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    async def _flood(self, transport: WSTransport, symbols: list[str]) -> None:
        makers = [write for frames in zip(*map(self._make, symbols), strict=True) for write in frames]
        await asyncio.sleep(1.0)  # for the snapshots
        began = time.monotonic()
        sent = 0
        while time.monotonic() - began < self._seconds and not transport.is_disconnected:
            if self._rate and sent > (time.monotonic() - began) * self._rate:
                await asyncio.sleep(0.0005)
                continue
            burst = CHUNK if not self._rate else max(1, self._rate // 2000)
            frames = [makers[at % len(makers)](FIRST_ID + 1 + at // len(symbols)) for at in range(sent, sent + burst)]
            transport.underlying_transport.write(b"".join(frames))
            sent += burst
            await asyncio.sleep(0)
            await self._room.wait()


async def snapshot(_request: web.Request) -> web.Response:
    """A book of 1,000 + 1,000 levels around the diffs."""
    bids = [[f"{50_000 - at / 10:.2f}", "1.0"] for at in range(1000)]
    asks = [[f"{50_001 + at / 10:.2f}", "1.0"] for at in range(1000)]
    return web.json_response({"lastUpdateId": FIRST_ID, "E": FIRST_ID, "T": FIRST_ID, "bids": bids, "asks": asks})


async def serve(kind: str, rate: int, seconds: float) -> None:
    """Serve until killed."""
    app = web.Application()
    app.add_routes([web.get("/fapi/v1/depth", snapshot)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = await ws_create_server(lambda _request: Flood(kind, rate, seconds), "127.0.0.1", 0)
    print(runner.addresses[0][1], server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
