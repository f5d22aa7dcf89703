"""R-12, R-13, R-14: one connection follows another without a gap, and what both tell is heard once."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.test_user_stream import ACCEPT, TEXT, Ear, event, forgotten, frame

from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.exchange_client import VenueUnreachable
from pms_orders.adapters.binance.seen import Seen
from pms_orders.adapters.binance.user_stream import UserStream

PATIENCE_S = 30


class Venue:
    """A venue whose user sockets the test holds in its hands."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.paths: list[str] = []
        self.key = "key-1"
        self.kept = "key-1"
        self.down = False
        self.changed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if b"websocket-key" in line.lower())
        accept = base64.b64encode(hashlib.sha1(key + ACCEPT).digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        self.paths.append(head.split(b" ")[1].decode())
        self.writers.append(writer)
        self.changed.set()
        await reader.read()
        self.writers.remove(writer)
        self.changed.set()
        writer.close()

    async def until(self, true: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def tell(self, number: int, *trade_ids: int) -> None:
        self.writers[number].write(b"".join(map(event, trade_ids)))

    async def listen_key(self) -> str:
        if self.down:
            raise VenueUnreachable("down")
        return self.key

    async def keep_listen_key(self) -> str:
        return self.kept


@asynccontextmanager
async def listening(venue: Venue, ear: Ear, **times: float) -> AsyncIterator[UserStream]:
    server = await asyncio.start_server(venue.serve, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    rest: Any = SimpleNamespace(listen_key=venue.listen_key, keep_listen_key=venue.keep_listen_key)
    stream = UserStream(rest, url, heard=ear.hear, connected=ear.connected, **times)
    task = asyncio.create_task(stream.run())
    try:
        await venue.until(lambda: True in ear.connections)
        yield stream
    finally:
        await stream.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()
        await forgotten()


async def test_the_route_is_told_every_event_that_is_read() -> None:
    venue, ear = Venue(), Ear()
    async with listening(venue, ear):
        path, _, query = venue.paths[0].partition("?")
        assert path == "/private/ws"
        assert query == (
            "listenKey=key-1&events=ORDER_TRADE_UPDATE/TRADE_LITE/ACCOUNT_UPDATE/ACCOUNT_CONFIG_UPDATE"
            "/MARGIN_CALL/listenKeyExpired"
        )


async def test_r13_a_connection_that_is_a_day_old_is_followed_without_a_gap() -> None:
    venue, ear = Venue(), Ear()
    async with listening(venue, ear, roll_over_s=1, overlap_s=0.5):
        await venue.until(lambda: len(venue.writers) == 2)
        venue.tell(0, 1, 2)
        venue.tell(1, 1, 2, 3)
        await venue.until(lambda: ear.trades[:3] == [1, 2, 3])
        venue.tell(0, 3)
        await venue.until(lambda: ear.connections.count(True) == 2)
        assert ear.connections == [True, True] and ear.trades == [1, 2, 3]


async def test_r13_a_successor_that_ends_at_once_leaves_the_old_connection() -> None:
    venue, ear = Venue(), Ear()
    async with listening(venue, ear, roll_over_s=0.2, overlap_s=5):
        await venue.until(lambda: len(venue.writers) == 2)
        venue.writers[1].close()
        await venue.until(lambda: len(venue.writers) == 1)
        venue.tell(0, 7)
        await venue.until(lambda: ear.trades == [7])
        assert ear.connections == [True]


async def test_r13_a_venue_that_takes_no_successor_keeps_the_old_connection() -> None:
    venue, ear = Venue(), Ear()
    async with listening(venue, ear, roll_over_s=0.2, overlap_s=0.1):
        venue.down = True
        await asyncio.sleep(0.6)
        venue.tell(0, 7)
        await venue.until(lambda: ear.trades == [7])
        assert ear.connections == [True]


async def test_r14_an_hour_of_silence_leads_to_another_connection_and_a_reconciliation() -> None:
    venue, ear = Venue(), Ear()
    async with listening(venue, ear, quiet_s=0.3, overlap_s=0.05):
        venue.key = "key-2"
        await venue.until(lambda: ear.connections.count(True) >= 2)
        assert "listenKey=key-2" in venue.paths[1] and False not in ear.connections


async def test_r14_a_listen_key_that_somebody_else_has_replaced_leads_to_a_new_connection() -> None:
    venue, ear = Venue(), Ear()
    async with listening(venue, ear, keep_alive_s=0.05):
        venue.key = venue.kept = "key-2"
        await venue.until(lambda: ear.connections[:3] == [True, False, True])
        assert "listenKey=key-2" in venue.paths[1]
        await asyncio.sleep(0.3)
        assert ear.connections == [True, False, True]


async def test_r14_an_expired_key_ends_both_connections() -> None:
    venue, ear = Venue(), Ear()
    async with listening(venue, ear, roll_over_s=0.2, overlap_s=PATIENCE_S):
        await venue.until(lambda: len(venue.writers) == 2)
        venue.writers[1].write(frame(TEXT, b'{"e":"listenKeyExpired","E":1,"listenKey":"key-1"}'))
        await venue.until(lambda: ear.connections[:3] == [True, False, True])


async def test_r12_silence_while_orders_move_ends_the_connection() -> None:
    venue, ear = Venue(), Ear()
    async with listening(venue, ear) as stream:
        stream.doubt()  # it is new: nothing may have been told yet
        assert ear.connections == [True]
        stream._heard_s -= 2
        stream.doubt()
        await venue.until(lambda: ear.connections[:3] == [True, False, True])


def test_r13_events_are_the_same_by_what_they_say() -> None:
    shown = (
        b'{"e":"ORDER_TRADE_UPDATE","E":%d,"T":5,"o":{"s":"A","S":"BUY","c":"x","x":"TRADE","X":"%b","i":1,"q":"1%b",'
    )
    rest = b'"p":"0","ap":"0","z":"1","l":"1","L":"1","T":5,"t":%d}}'

    def told(event_ms: int, status: bytes, zeros: bytes, trade_id: int) -> wire.FeedEvent:
        decoded = wire.decode_event(shown % (event_ms, status, zeros) + rest % trade_id)
        assert decoded is not None
        return decoded

    seen = Seen()
    first = told(5, b"FILLED", b"", 9)
    assert seen.new([first]) == [first]
    assert seen.new([told(6, b"FILLED", b".0", 9)]) == []
    others = [told(5, b"PARTIALLY_FILLED", b"", 9), told(5, b"FILLED", b"", 10)]
    assert seen.new(others) == others


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 10))
def test_r13_whatever_two_connections_tell_it_is_heard_once_and_remembered_within_bounds(
    trades: list[int], bound: int
) -> None:
    seen = Seen(bound)
    heard = [e.trade_id for n in trades for e in seen.new([wire.TradeLite("S", "c", 1, n)])]  # type: ignore[union-attr]
    assert set(heard) == set(trades) and len(seen._known) <= bound
    if len(set(trades)) <= bound:
        assert len(heard) == len(set(heard))
