"""The whole feed: leases in, ticks and prices out, on a venue that hangs up, refuses and stays silent."""

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.pms_feed.rig import Rig, now_ms, until

from pms_common.contracts.bus.common import Tick
from pms_common.names import Names


def of(symbol: str, bid: float) -> Callable[[Tick], bool]:
    return lambda tick: tick.symbol == symbol and tick.bid == bid and tick.state == "live"


@pytest.mark.parametrize("source", ["both", "depth", "bookticker"])
async def test_every_source_gives_the_first_price_of_a_quiet_market_and_follows_it(rig: Rig, source: str) -> None:
    await rig.start(source=source)
    first = await rig.tick(of("BTCUSDT", 64_000.0), within_s=4)
    assert (first.ask, first.symbol) == (64_000.1, "BTCUSDT")
    await rig.market(64_010.0, 64_010.1)
    moved = await rig.tick(of("BTCUSDT", 64_010.0), within_s=2)
    assert moved.ask == 64_010.1
    assert moved.bid_quantity > 0
    assert moved.event_ms <= moved.received_us // 1000 + 50
    assert moved.received_us <= moved.sent_us
    assert abs(now_ms() - moved.ts_ms) < 3_000


async def test_the_exchanges_mark_goes_out_with_each_price_where_it_is_asked_for(rig: Rig) -> None:
    await rig.start(PMS_LIQUIDATION_MAX_MARK_GAP_PCT="1")
    marked = await rig.tick(lambda tick: tick.symbol == "BTCUSDT" and tick.mark > 0)
    assert abs(marked.mark / marked.mid - 1) < 0.05


async def test_quiet_symbol_is_repeated_every_second_with_a_fresh_alive_time(rig: Rig) -> None:
    """Even beside a symbol that the venue does not list."""
    await rig.start()
    await rig.lease("risk", ["NOSUCHUSDT"])
    await rig.tick(of("BTCUSDT", 64_000.0))
    await asyncio.sleep(8)
    await rig.read()
    mine = [tick for tick in rig.ticks if tick.symbol == "BTCUSDT"]
    sent = [tick.sent_us / 1e6 for tick in mine]
    assert max(late - early for early, late in itertools.pairwise(sent)) < 1.1
    assert {tick.state for tick in mine} == {"live"}
    assert all(tick.sent_us // 1000 - tick.ts_ms < 3_000 for tick in mine)
    assert mine[-1].ts_ms - mine[0].ts_ms > 6_000
    assert mine[-1].changed_ms == mine[0].changed_ms


async def test_lease_brings_a_symbol_within_a_second_and_leaves_what_stands(rig: Rig) -> None:
    await rig.start()
    await rig.tick(of("BTCUSDT", 64_000.0))
    assert await rig.public_sockets() == 1
    asked = time.monotonic()
    await rig.lease("risk", ["ETHUSDT"], lasts_ms=3_000)
    await rig.tick(of("ETHUSDT", 3_000.0), within_s=3)
    assert time.monotonic() - asked < 2.0
    assert await rig.public_sockets() == 1
    assert await rig.metric("pms_feed_reconnects_total") == 0
    await asyncio.sleep(3.5 - (time.monotonic() - asked))
    await rig.read()
    seen = len(rig.ticks)
    await asyncio.sleep(1.5)
    await rig.read()
    assert {tick.symbol for tick in rig.ticks[seen:]} == {"BTCUSDT"}
    assert await rig.redis.xpending(rig.names.watch, "feed") == {
        "pending": 0,
        "min": None,
        "max": None,
        "consumers": [],
    }


async def test_lease_survives_a_kill_of_the_feed(rig: Rig) -> None:
    await rig.start()
    await rig.lease("algos", ["ETHUSDT"])
    await rig.tick(of("ETHUSDT", 3_000.0))
    await rig.kill()
    await rig.market(3_100.0, 3_100.01, "ETHUSDT")
    await rig.start()
    await rig.tick(of("ETHUSDT", 3_100.0), within_s=4)


async def test_garbage_on_the_watch_stream_is_put_aside_and_nothing_stops(rig: Rig, names: Names) -> None:
    await rig.start()
    for body in ('{"t":"watch","owner":"x","symbols":"BTC","until_ms":1}', "garbage", '{"t":"other"}'):
        await rig.redis.xadd(names.watch, {"data": body})
    bad_symbol = '{"t":"watch","owner":"x","symbols":["BT$"],"until_ms":9999999999999}'
    await rig.redis.xadd(names.watch, {"data": bad_symbol})
    await rig.lease("risk", ["ETHUSDT"])
    await rig.tick(of("ETHUSDT", 3_000.0))
    dead: Any = await rig.redis.xrange(names.dead)
    assert len(dead) == 4
    assert any(b"symbols" in b"".join(fields.values()) for _, fields in dead)


@pytest.mark.parametrize("source", ["both", "depth"])
async def test_disconnect_is_healed_and_new_prices_come(rig: Rig, source: str) -> None:
    await rig.start(source=source)
    await rig.tick(of("BTCUSDT", 64_000.0))
    for at in range(1, 4):
        await rig.post("/sim/faults", kind="disconnect", sockets="public")
        bid = 64_000.0 + 10 * at
        await rig.market(bid, bid + 0.1)
        await rig.tick(of("BTCUSDT", bid), within_s=5)
    assert await rig.metric("pms_feed_reconnects_total") == 3
    assert await rig.public_sockets() == 1


async def test_book_ticker_carries_on_while_snapshots_are_refused(rig: Rig) -> None:
    await rig.post("/sim/faults", kind="error", operation="GET /fapi/v1/depth", http=500, code=-1000, msg="no")
    await rig.start()
    for at in range(5):
        await rig.market(64_100.0 + at, 64_100.1 + at)
        await rig.tick(of("BTCUSDT", 64_100.0 + at), within_s=3)
    await until(lambda: rig.metric("pms_feed_resyncs_total"))
    await rig.market(64_200.0, 64_200.1)
    await rig.tick(of("BTCUSDT", 64_200.0), within_s=3)


@pytest.mark.parametrize("http", [418, 429])
async def test_book_ticker_carries_on_through_a_ban_and_nothing_is_asked_for_meanwhile(rig: Rig, http: int) -> None:
    await rig.start()
    await rig.tick(of("BTCUSDT", 64_000.0))
    await rig.lease("risk", ["ETHUSDT"])
    await rig.tick(of("ETHUSDT", 3_000.0))
    await rig.post("/sim/faults", kind="ban", http=http, seconds=60, retryAfter=60, operation="GET /fapi/v1/depth")
    await rig.lease("algos", ["BNBUSDT"])
    await until(lambda: rig.requests("BNBUSDT"))
    asked = await rig.requests("/fapi/v1/")
    for at in range(4):
        await rig.market(64_100.0 + at, 64_100.1 + at)
        await rig.tick(of("BTCUSDT", 64_100.0 + at))
        await asyncio.sleep(1)
    assert await rig.requests("/fapi/v1/") == asked


async def test_r12_a_socket_that_stays_open_and_says_nothing_is_replaced(rig: Rig) -> None:
    await rig.start()
    await rig.tick(of("BTCUSDT", 64_000.0))
    await rig.post("/sim/faults", kind="half_open", sockets="public", pongs=False)
    await rig.market(64_300.0, 64_300.1)
    healed = await rig.tick(of("BTCUSDT", 64_300.0))
    assert healed.state == "live"
    assert await rig.metric("pms_feed_reconnects_total") == 1


async def test_price_is_cached_for_old_readers(rig: Rig) -> None:
    await rig.start()
    price = await rig.price()
    assert price == {"bid": 64_000.0, "ask": 64_000.1, "mid": 64_000.05, "mark": 64_000.05, "ts": price["ts"]}
    assert abs(now_ms() - price["ts"]) < 3_000
    assert 20 < await rig.redis.ttl(rig.names.price("BTCUSDT")) <= 30
    await rig.market(64_020.0, 64_020.1)
    await rig.tick(of("BTCUSDT", 64_020.0))
    await asyncio.sleep(0.4)
    assert (await rig.price())["bid"] == 64_020.0


async def test_slow_redis_does_not_block_the_socket_and_the_newest_wins(rig: Rig) -> None:
    await rig.start()
    await rig.tick(of("BTCUSDT", 64_000.0))
    frames, entries = await rig.metric("pms_feed_frames_total"), rig.entries
    await rig.redis.client_pause(2_000, all=False)
    for at in range(1, 101):
        await rig.market(64_000.0 + at, 64_000.1 + at)
    await asyncio.sleep(0.3)  # the counts are told ten times a second
    assert await rig.metric("pms_feed_frames_total") >= frames + 100
    await rig.tick(of("BTCUSDT", 64_100.0), within_s=5)
    assert rig.entries - entries < 20
    bids = [tick.bid for tick in rig.ticks]
    assert bids == sorted(bids)


async def test_a_venue_that_is_gone_is_told_on_the_stream(rig: Rig) -> None:
    """Invariant 6: a price that nothing confirms says so, and its time stands still."""
    await rig.start()
    last = await rig.tick(of("BTCUSDT", 64_000.0))
    rig.stop_simulator()
    lost = await rig.tick(lambda tick: tick.state != "live", within_s=8)
    assert lost.state == "resyncing"
    assert lost.sent_us // 1000 - lost.ts_ms > 3_000
    assert lost.ts_ms - last.ts_ms < 3_000
    again = await rig.tick(lambda tick: True, within_s=2)
    assert again.ts_ms == lost.ts_ms
