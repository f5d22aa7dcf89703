"""Two feeds beside each other: each symbol is told by one of them, and a killed one's symbols by the other."""

import asyncio
import signal
from functools import partial

from tests.integration.pms_feed.rig import Rig, now_ms, until
from tests.services import ServiceProcess

from pms_common.contracts.bus.common import Tick

TAKEOVER_MS = 3_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")


async def test_symbols_move_to_a_feed_that_joins_and_back_when_it_is_killed(rig: Rig) -> None:
    for at, symbol in enumerate(SYMBOLS):
        await rig.market(100.0 + at, 100.1 + at, symbol)
    await rig.start(symbols=",".join(SYMBOLS))
    for at, symbol in enumerate(SYMBOLS):
        await rig.tick(partial(_told, symbol, 100.0 + at))
    second = await _joined(rig)
    try:
        for at, symbol in enumerate(SYMBOLS):
            await rig.market(200.0 + at, 200.1 + at, symbol)
            await rig.tick(partial(_told, symbol, 200.0 + at))
    finally:
        second.kill()
    for at, symbol in enumerate(SYMBOLS):
        await rig.market(300.0 + at, 300.1 + at, symbol)
        await rig.tick(partial(_told, symbol, 300.0 + at))
    assert await rig.metric("pms_feed_watched_symbols") == len(SYMBOLS)
    await rig.close()


async def test_a_feed_that_hangs_is_taken_over_within_three_seconds_and_tells_nothing_old_when_it_goes_on(
    rig: Rig,
) -> None:
    """Its process lives, so that only the end of its record tells of it. The best of three: the machine may be busy."""
    market = Rising(rig)
    await market.rise()
    await rig.start(symbols=",".join(SYMBOLS))
    second = await _joined(rig)
    try:
        for _ in range(3):
            await until(lambda: _carries(rig, fewer_than=len(SYMBOLS)))
            await market.told()
            second.signal(signal.SIGSTOP)
            hung_ms = now_ms()
            await market.rise()
            took_ms = await market.told() - hung_ms
            second.signal(signal.SIGCONT)
            if took_ms <= TAKEOVER_MS:
                break
        await market.rise()
        await market.told()
    finally:
        second.kill()
    assert took_ms <= TAKEOVER_MS
    for symbol in SYMBOLS:
        bids = [tick.bid for tick in rig.ticks if tick.symbol == symbol]
        assert bids == sorted(bids)


class Rising:
    """A market that only rises, so that a price of before is known by being lower."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._bid = 100.0

    async def rise(self) -> None:
        self._bid += 1
        for symbol in SYMBOLS:
            await self._rig.market(self._bid, self._bid + 0.1, symbol)

    async def told(self) -> int:
        """When the last of all symbols was first told at its present price (ms)."""
        for symbol in SYMBOLS:
            await self._rig.tick(partial(_told, symbol, self._bid))
        told = [tick for tick in self._rig.ticks if tick.bid == self._bid]
        return max(min(tick.sent_us for tick in told if tick.symbol == symbol) for symbol in SYMBOLS) // 1000


async def _joined(rig: Rig) -> ServiceProcess:
    """A second feed that has got some of the symbols: its name, which is random, decides whether it does."""
    while True:
        second = await rig.join(",".join(SYMBOLS))
        try:
            async with asyncio.timeout(10):
                await until(lambda: _carries(rig, fewer_than=len(SYMBOLS)))
        except TimeoutError:
            second.kill()
        else:
            return second


def _told(symbol: str, bid: float, tick: Tick) -> bool:
    return (tick.symbol, tick.bid, tick.state) == (symbol, bid, "live")


async def _carries(rig: Rig, fewer_than: int) -> bool:
    return await rig.metric("pms_feed_watched_symbols") < fewer_than


async def test_leases_are_heard_by_every_feed_and_kept_in_the_stream_while_they_hold(rig: Rig) -> None:
    await rig.start()
    await rig.lease("risk", ["ETHUSDT"])
    await rig.tick(lambda tick: tick.symbol == "ETHUSDT")
    for _ in range(20):
        await rig.lease("algos", ["BNBUSDT"])
    await until(lambda: _undelivered(rig, at_most=21))
    await rig.kill()
    await rig.start()
    await rig.tick(lambda tick: tick.symbol == "ETHUSDT" and tick.state == "live")


async def _undelivered(rig: Rig, at_most: int) -> bool:
    (group,) = await rig.redis.xinfo_groups(rig.names.watch)
    return group["name"] == b"feed" and group["pending"] == 0 and 0 < (group["lag"] or 0) <= at_most
