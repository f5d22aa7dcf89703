"""Snapshots: few at a time, not in a hurry, and none for a symbol that is given up."""

import asyncio

from pms_feed.app.market import Market
from pms_feed.app.resync import AFTER_OPENED_MS, AT_ONCE, FIRST_RETRY_MS, Resync
from pms_feed.app.wire import RestError, Snapshot

T = 1_700_000_000_000


class Venue:
    """Answers when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()

    async def snapshot(self, symbol: str) -> Snapshot:
        self.asked.append(symbol)
        return await asyncio.shield(self.answer)


def market(symbol: str) -> Market:
    made = Market(symbol, "both", lambda _: None)
    made.opened(T)
    return made


async def test_r25_few_snapshots_are_asked_for_at_once_and_none_before_the_stream_is_open() -> None:
    venue = Venue()
    resync, markets = Resync(venue), [market(f"S{at}") for at in range(AT_ONCE + 3)]
    closed = Market("CLOSED", "both", lambda _: None)
    resync.turn([closed, *markets], T + AFTER_OPENED_MS - 1)
    await asyncio.sleep(0)
    assert venue.asked == []
    for _ in range(3):
        resync.turn([closed, *markets], T + AFTER_OPENED_MS)
        await asyncio.sleep(0)
    assert venue.asked == [one.symbol for one in markets[:AT_ONCE]]
    await resync.close()


async def test_a_refused_snapshot_is_asked_for_again_later_and_ever_later() -> None:
    venue, btc = Venue(), market("BTCUSDT")
    resync = Resync(venue)
    venue.answer.set_exception(RestError("no"))
    waits_ms = []
    for _ in range(4):
        resync._not_before_ms.clear()
        resync.turn([btc], T + AFTER_OPENED_MS)
        await asyncio.sleep(0.01)
        waits_ms.append(resync._retry_ms["BTCUSDT"])
    assert waits_ms == [FIRST_RETRY_MS * 2**at for at in range(4)]
    assert not btc.book.expecting


async def test_r26_a_symbol_that_is_given_up_leaves_nothing_behind() -> None:
    venue, btc = Venue(), market("BTCUSDT")
    resync = Resync(venue)
    resync.turn([btc], T + AFTER_OPENED_MS)
    await asyncio.sleep(0)
    assert btc.book.expecting
    resync.forget("BTCUSDT")
    await asyncio.sleep(0.01)
    assert not btc.book.expecting
    assert resync._running == resync._retry_ms == resync._not_before_ms == {}
