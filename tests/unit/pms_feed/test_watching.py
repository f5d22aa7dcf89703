"""What a feed tells of symbols that come and go."""

from types import SimpleNamespace
from typing import Any

from pms_common.clock import monotonic_ms, now_ms
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import WatchLease
from pms_common.names import Names
from pms_feed.app.frames import Frames
from pms_feed.app.publisher import Publisher
from pms_feed.app.resync import Resync
from pms_feed.app.watching import Watching
from pms_feed.domain.shares import Member, Shares
from pms_feed.domain.subscriptions import Leases

QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":7,"s":"BTCUSDT",'
    b'"b":"1","B":"1","a":"2","A":"1","T":1,"E":1}}'
)


async def never(*_: Any) -> Any:
    raise AssertionError("nothing is connected to here")


def test_a_tick_that_waits_to_be_written_is_not_when_its_symbol_has_gone() -> None:
    writer = SimpleNamespace(wake=lambda: None)
    bus: Any = SimpleNamespace(ticks_writer=lambda _stream, _take: writer)
    venue: Any = SimpleNamespace(snapshot=never)
    shares, frames = Shares("one"), Frames()
    shares.renewed(monotonic_ms(), [Member("one", 0, 1)], monotonic_ms())
    publisher = Publisher(bus, Names("t"), shares)
    watching = Watching(Leases(()), shares, "both", frames, publisher, Resync(venue), never, lambda _connection: None)
    lease(watching, now_ms() + 60_000)
    watching.follow()
    frames.on_text(lambda _id, _ok: None, QUOTE)
    assert [tick.bid for tick in publisher.take()] == [1]
    frames.on_text(lambda _id, _ok: None, QUOTE.replace(b'"u":7', b'"u":8'))
    lease(watching, 0)
    watching.follow()
    assert publisher.take() == []


def lease(watching: Watching, until_ms: int) -> None:
    watching.on_lease("1-1", encode(WatchLease(owner="o", symbols=["BTCUSDT"], until_ms=until_ms)))
