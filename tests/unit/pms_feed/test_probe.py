"""Silence held against a venue that answers, refuses and halts symbols."""

import asyncio

from pms_feed.app.market import Market
from pms_feed.app.probe import EVERY_MS, HALTED_EVERY_MS, Probe
from pms_feed.app.wire import RestError, RestQuote

T = 1_700_000_000_000


class Venue:
    """The exchange's REST side, as told."""

    def __init__(self) -> None:
        self.bids = {"BTCUSDT": 10.0, "ETHUSDT": 20.0}
        self.listed = {"BTCUSDT", "ETHUSDT"}
        self.down = False
        self.asked: list[list[str]] = []

    async def quotes(self, symbols: list[str]) -> list[RestQuote]:
        self.asked.append(sorted(symbols))
        if self.down:
            raise RestError("down")
        return [RestQuote(symbol, bid, 1.0, bid + 1, 1.0, T) for symbol, bid in self.bids.items()]

    async def trading(self) -> set[str]:
        return self.listed


def market(symbol: str) -> Market:
    made = Market(symbol, "both", lambda _: None)
    made.opened(T - 60_000)
    return made


async def turn(probe: Probe, markets: list[Market], now: int) -> None:
    probe.turn(markets, now)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_equal_quotes_confirm_and_different_ones_raise_doubt() -> None:
    venue, btc, eth = Venue(), market("BTCUSDT"), market("ETHUSDT")
    probe = Probe(venue)
    await turn(probe, [btc, eth], T)
    assert (btc.l1.bid, btc.liveness.agreed_ms, eth.liveness.agreed_ms) == (10.0, T, T)
    venue.bids["BTCUSDT"] = 11.0
    await turn(probe, [btc, eth], T + 3_000)
    assert btc.liveness.doubted_ms == eth.liveness.agreed_ms == T + 3_000


async def test_only_silent_markets_are_asked_for_and_not_in_a_hurry() -> None:
    venue, btc, eth = Venue(), market("BTCUSDT"), market("ETHUSDT")
    btc.quote_us = (T - 100) * 1000
    probe = Probe(venue)
    await turn(probe, [btc, eth], T)
    await turn(probe, [btc, eth], T + EVERY_MS - 1)
    assert venue.asked == [["ETHUSDT"]]
    eth.disconnected()
    await turn(probe, [btc, eth], T + EVERY_MS)
    assert venue.asked == [["ETHUSDT"]]


async def test_a_symbol_that_does_not_trade_is_halted_until_it_does() -> None:
    venue, btc = Venue(), market("BTCUSDT")
    venue.listed = set()
    probe = Probe(venue)
    await turn(probe, [btc], T)
    btc.look(T, T)
    assert btc.tick(T * 1000).state == "halted"
    assert venue.asked == []
    venue.listed = {"BTCUSDT"}
    await turn(probe, [btc], T + HALTED_EVERY_MS)
    btc.look(T + HALTED_EVERY_MS, T + HALTED_EVERY_MS)
    assert btc.tick((T + HALTED_EVERY_MS) * 1000).state == "live"


async def test_a_venue_that_refuses_confirms_nothing_and_stops_nothing() -> None:
    venue, btc = Venue(), market("BTCUSDT")
    venue.down = True
    probe = Probe(venue)
    await turn(probe, [btc], T)
    assert btc.liveness.agreed_ms == btc.liveness.doubted_ms == 0
    venue.down = False
    await turn(probe, [btc], T + EVERY_MS)
    assert btc.liveness.agreed_ms == T + EVERY_MS
