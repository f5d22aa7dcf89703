"""Two feeds beside each other: each symbol is told by one of them, and a killed one's symbols by the other."""

from functools import partial

from tests.integration.pms_feed.rig import Rig, until

from pms_common.contracts.bus.common import Tick

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")


async def test_symbols_move_to_a_feed_that_joins_and_back_when_it_is_killed(rig: Rig) -> None:
    for at, symbol in enumerate(SYMBOLS):
        await rig.market(100.0 + at, 100.1 + at, symbol)
    await rig.start(symbols=",".join(SYMBOLS))
    for at, symbol in enumerate(SYMBOLS):
        await rig.tick(partial(_told, symbol, 100.0 + at))
    second = await rig.join(",".join(SYMBOLS))
    try:
        await until(lambda: _carries(rig, fewer_than=len(SYMBOLS)))
        moved = len(SYMBOLS) - int(await rig.metric("pms_feed_watched_symbols"))
        assert moved < len(SYMBOLS), f"{second.log}\n{rig.feed.log if rig.feed else ''}"
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
