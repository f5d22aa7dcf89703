"""The venue of the soak: recordings played over and over, `times` as fast, to every feed that subscribes.

Owns the sockets and REST routes a feed needs, the ids of later laps (always rising, with a break at the beginning of
each) and what best bid and ask were recorded at each moment it has sent. Used by `feed_soak`.
"""

import asyncio
import bisect
import json
import re
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from pms_common.captures import read_lines

Quote = tuple[float, float, float, float]
"""Bid, its quantity, ask, its quantity."""

KEPT_MS = 120_000
"""How long what was sent is remembered: a tick is told again while its symbol is silent."""
LAPS_A_CONNECTION = 5
"""After so many laps a recording's sockets are closed, as the venue does once a day."""
DEPTH = 1_000
_NUMBERS = re.compile(rb'"(E|T|U|u|pu)":(\d+)')
_TIMES = (b"E", b"T")


class Recorded(NamedTuple):
    """One frame: its text with %d for its ids and times (None among `numbers`), and the quote in force at its id."""

    at_s: float
    stream: str
    form: bytes
    numbers: tuple[int | None, ...]
    update_id: int
    quote: Quote | None
    bids: Sequence[tuple[str, str]]
    asks: Sequence[tuple[str, str]]

    def text(self, shift: int, now_ms: int) -> bytes:
        """The frame with the ids of a later lap, sent now."""
        return self.form % tuple(now_ms if number is None else number + shift for number in self.numbers)


class Recording:
    """One capture of one symbol: a snapshot, diffs and quotes."""

    def __init__(self, path: Path) -> None:
        lines = [(at_ns, body, json.loads(body)) for at_ns, body in read_lines(path)]
        events = [(at_ns, event["data"]) for at_ns, _, event in lines if "data" in event]
        quotes = {data["u"]: _quote(data) for _, data in events if data["e"] == "bookTicker"}
        self.symbol = str(events[0][1]["s"])
        self.snapshot = next(event for _, _, event in lines if "lastUpdateId" in event)
        self._quotes, self._ids = quotes, sorted(quotes)
        began_ns = lines[0][0]
        read = ((at_ns, data) for at_ns, data in events if data["e"] in ("bookTicker", "depthUpdate"))
        self.frames = [self._frame((at_ns - began_ns) / 1e9, data) for at_ns, data in read]
        last_ids = [frame.update_id for frame in self.frames]
        self.lap_ids = 2 * (max(last_ids) - min(last_ids))

    def _frame(self, at_s: float, data: dict[str, Any]) -> Recorded:
        quote = data["e"] == "bookTicker"
        stream = f"{self.symbol.lower()}@{'bookTicker' if quote else 'depth@100ms'}"
        text = json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()
        numbers = tuple(None if name in _TIMES else int(number) for name, number in _NUMBERS.findall(text))
        sides = ((), ()) if quote else (data["b"], data["a"])
        in_force = _quote(data) if quote else self.quote_at(data["u"])
        return Recorded(at_s, stream, _NUMBERS.sub(rb'"\1":%d', text), numbers, data["u"], in_force, *sides)

    def quote_at(self, update_id: int) -> Quote | None:
        """The bookTicker in force at an id; None before the first and after the last that was recorded."""
        at = bisect.bisect_right(self._ids, update_id)
        return self._quotes[self._ids[at - 1]] if 0 < at < len(self._ids) else None


def _quote(data: dict[str, Any]) -> Quote:
    return float(data["b"]), float(data["B"]), float(data["a"]), float(data["A"])


class Sent:
    """What was recorded at each millisecond of a symbol's frames; bounded by `KEPT_MS`."""

    def __init__(self) -> None:
        self._quotes: dict[int, set[Quote | None]] = {}
        self._order: deque[int] = deque()

    def note(self, now_ms: int, quote: Quote | None) -> None:
        """A frame was sent."""
        if now_ms not in self._quotes:
            self._quotes[now_ms] = set()
            self._order.append(now_ms)
            while self._order[0] < now_ms - KEPT_MS:
                del self._quotes[self._order.popleft()]
        self._quotes[now_ms].add(quote)

    def at(self, event_ms: int) -> set[Quote | None]:
        """The quotes of that millisecond; None among them where the recording cannot tell."""
        return self._quotes.get(event_ms, set())


class Player:
    """Plays one recording for ever and keeps its book, from which snapshots are made."""

    def __init__(self, recording: Recording, venue: "Venue") -> None:
        self.recording = recording
        self.sent = Sent()
        self.laps = self.frames = 0
        self._venue = venue
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}
        self._book_id = self._shift = 0

    async def run(self, times: float) -> None:
        """Play until cancelled."""
        while True:
            self._begin_lap()
            began = time.monotonic()
            for frame in self.recording.frames:
                ahead = began + frame.at_s / times - time.monotonic()
                if ahead > 0.001:
                    await asyncio.sleep(ahead)
                self._send(frame)
            self.laps += 1
            if self.laps % LAPS_A_CONNECTION == 0:
                self._venue.hang_up()

    def _begin_lap(self) -> None:
        snapshot = self.recording.snapshot
        self._bids, self._asks = dict(snapshot["bids"]), dict(snapshot["asks"])
        self._book_id = snapshot["lastUpdateId"]
        self._shift = self.laps * self.recording.lap_ids

    def _send(self, frame: Recorded) -> None:
        now_ms = time.time_ns() // 1_000_000
        if frame.bids or frame.asks:
            self._apply(frame)
        self.sent.note(now_ms, frame.quote)
        self._venue.send(frame.stream, frame.text(self._shift, now_ms))
        self.frames += 1

    def _apply(self, frame: Recorded) -> None:
        if frame.update_id < self._book_id:
            return
        self._book_id = frame.update_id
        for book, levels in ((self._bids, frame.bids), (self._asks, frame.asks)):
            for price, quantity in levels:
                if float(quantity):
                    book[price] = quantity
                else:
                    book.pop(price, None)

    def depth(self) -> dict[str, Any]:
        """The book now, as `GET /fapi/v1/depth` tells it."""
        now_ms = time.time_ns() // 1_000_000
        self.sent.note(now_ms, self.recording.quote_at(self._book_id))
        bids = sorted(self._bids.items(), key=lambda level: -float(level[0]))[:DEPTH]
        asks = sorted(self._asks.items(), key=lambda level: float(level[0]))[:DEPTH]
        last_id = self._book_id + self._shift
        return {"lastUpdateId": last_id, "E": now_ms, "T": now_ms, "bids": bids, "asks": asks}


class Reader(WSListener):
    """One feed's connection: answers what it asks for."""

    def __init__(self, venue: "Venue") -> None:
        self._venue = venue
        self.transport: WSTransport | None = None
        self.streams: set[str] = set()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._venue.readers.add(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.TEXT:
            message = json.loads(frame.get_payload_as_bytes())
            change = self.streams.update if message["method"] == "SUBSCRIBE" else self.streams.difference_update
            change(message["params"])
            self._venue.changed.set()
            transport.send(WSMsgType.TEXT, json.dumps({"result": None, "id": message["id"]}).encode())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._venue.readers.discard(self)


class Venue:
    """All recordings behind one address. `await start()` before `rest` and `ws` are known."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.players = {recording.symbol: Player(recording, self) for recording in recordings}
        self.readers: set[Reader] = set()
        self.changed = asyncio.Event()
        self.hang_ups = 0
        self.rest = self.ws = ""

    async def start(self) -> None:
        """Listen on free ports."""
        app = web.Application()
        app.add_routes([web.get("/fapi/v1/depth", self._depth), web.get("/fapi/v1/exchangeInfo", self._listed)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server = await ws_create_server(lambda _request: Reader(self), "127.0.0.1", 0)
        self.rest = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self.ws = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def subscribed(self, streams: int) -> None:
        """Wait until so many streams have been asked for."""
        while sum(len(reader.streams) for reader in self.readers) < streams:
            self.changed.clear()
            await self.changed.wait()

    def send(self, stream: str, text: bytes) -> None:
        """To everybody who asked for the stream."""
        for reader in self.readers:
            if stream in reader.streams and reader.transport is not None:
                reader.transport.send(WSMsgType.TEXT, text)

    def hang_up(self) -> None:
        """Close every connection."""
        self.hang_ups += 1
        gone, self.readers = self.readers, set()
        for reader in gone:
            if reader.transport is not None:
                reader.transport.disconnect(graceful=False)

    async def _depth(self, request: web.Request) -> web.Response:
        return web.json_response(self.players[request.query["symbol"]].depth())

    async def _listed(self, _request: web.Request) -> web.Response:
        return web.json_response({"symbols": [{"symbol": name, "status": "TRADING"} for name in self.players]})
