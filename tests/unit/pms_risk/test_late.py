"""What is older than memory is booked where the database does not have it, and once, however soon it comes again."""

import asyncio
from collections import Counter

import pytest

from pms_risk.app import late
from pms_risk.app.late import Doubt, Late


async def answered(doubts: list[tuple[str, bool]]) -> Counter[tuple[str, str]]:
    """What became of doubts: their keys, and whether the database has them."""
    asked, done = Late(), Counter[tuple[str, str]]()

    def became(key: str, what: str) -> None:
        done[key, what] += 1

    for key, committed in doubts:

        async def is_booked(committed: bool = committed) -> bool:
            return committed

        book, skip = [lambda key=key, what=what: became(key, what) for what in ("booked", "skipped")]  # type: ignore[misc]
        asked.ask(Doubt(key, is_booked, book, skip))
    running = asyncio.create_task(asked.run())
    while done.total() < len(doubts):  # noqa: ASYNC110
        await asyncio.sleep(0)
    running.cancel()
    return done


async def test_r08_a_late_execution_is_booked_once_though_its_commit_is_on_its_way() -> None:
    done = await answered([("new", False), ("known", True), ("new", False)])
    assert done == {("new", "booked"): 1, ("new", "skipped"): 1, ("known", "skipped"): 1}


async def test_only_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "MAX_BOOKED_HERE", 2)
    done = await answered([(key, False) for key in ("a", "b", "c", "b", "c", "a")])
    assert done == {("a", "booked"): 2, **{(key, what): 1 for key in "bc" for what in ("booked", "skipped")}}
