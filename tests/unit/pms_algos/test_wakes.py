"""One timer for all: called at the asked time, the earliest first."""

import asyncio

from pms_algos.app.wakes import Wakes
from pms_common.clock import now_ms


async def test_wakes_come_in_order_whatever_the_order_of_asking() -> None:
    woken: list[tuple[str, int]] = []
    wakes = Wakes(lambda algo_id, at_ms: woken.append((algo_id, at_ms)), now_ms)
    start = now_ms()
    for name, after in (("c", 90), ("a", 30), ("b", 60)):
        wakes.at(start + after, name)
    wakes.at(start - 5, "past")
    await asyncio.sleep(0.3)
    assert woken == [("past", start - 5), ("a", start + 30), ("b", start + 60), ("c", start + 90)]


async def test_a_wake_may_ask_for_the_next() -> None:
    count = 0

    def wake(algo_id: str, at_ms: int) -> None:
        nonlocal count
        count += 1
        if count < 3:
            wakes.at(at_ms + 10, algo_id)

    wakes = Wakes(wake, now_ms)
    wakes.at(now_ms() + 10, "x")
    await asyncio.sleep(0.3)
    assert count == 3
