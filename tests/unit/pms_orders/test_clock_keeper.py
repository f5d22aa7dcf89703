"""R-24: the venue's clock is asked for again until it is told."""

import asyncio

import pytest

from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_client import VenueUnreachable
from pms_orders.app import startup
from pms_orders.app.startup import ClockKeeper


class Venue:
    """Does not answer the first requests."""

    def __init__(self, silent: int) -> None:
        self.silent = silent

    async def time_ms(self) -> int:
        if self.silent:
            self.silent -= 1
            raise VenueUnreachable("GET /fapi/v1/time: TimeoutError")
        return 1_700_000_000_000


async def test_r24_a_venue_that_did_not_answer_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "MEASURE_CLOCK_EVERY_S", 3_600.0)
    monkeypatch.setattr(startup, "RETRY_S", 0.001)
    reports: list[bool] = []
    clock = VenueClock()
    keeper = ClockKeeper(clock, Venue(silent=3), lambda ok, _why: reports.append(ok))  # type: ignore[arg-type]
    keeper.measure_soon()
    async with asyncio.timeout(30):
        task = asyncio.create_task(keeper.run())
        while not clock.known:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    task.cancel()
    assert reports == [False, False, False, True]
