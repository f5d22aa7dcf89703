"""kill -9 of any one service during trading: nothing is lost and nothing repeated (invariants 1, 2, 3)."""

import asyncio

import pytest
from tests.chaos.conftest import Broken
from tests.chaos.trading import Trading

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
TRADING_S = 6.0
KILLS_AT_S = (1.0, 3.5)


@pytest.mark.parametrize("service", ["feed", "risk", "orders", "algos", "gateway"])
async def test_a_killed_service_loses_and_repeats_nothing(broken: Broken, service: str) -> None:
    trading = Trading(broken.place)
    await trading.open_accounts()
    running = asyncio.create_task(trading.run(TRADING_S))
    for n, at in enumerate(KILLS_AT_S):
        await asyncio.sleep(at - (KILLS_AT_S[n - 1] if n else 0))
        broken.kill(service)
    await running
    await trading.cancel_all_resting()
    books = await trading.settled()
    assert books.equal, books
    await trading.check()
