"""Answers to those who ask for everything: complete, in parts, and only while somebody waits."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import SnapshotBegin, SnapshotEnd, SnapshotRequest
from pms_common.contracts.bus.risk import AccountState, TradingState
from pms_common.contracts.caches import RISK_REFRESH_S
from pms_risk.app.caches import TURN_S, Caches
from pms_risk.app.snapshots import PART, TOO_OLD_MS, Snapshots

from .desk import Desk, entry, fill, update, view
from .world import account


@pytest.fixture
async def asked() -> AsyncIterator[tuple[Desk, Snapshots]]:
    desk = Desk()
    outbox: Any = desk.paper
    snapshots = Snapshots(desk.state, Caches(desk.state, outbox, desk.updates, desk.names), outbox, desk.updates)
    answering = asyncio.create_task(snapshots.run())
    yield desk, snapshots
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)


def question(at_ms: int = 2_000_000) -> Any:
    return entry(encode(SnapshotRequest(asker="gateway", token="t")), at_ms)


async def test_many_accounts_are_told_in_parts(asked: tuple[Desk, Snapshots], monkeypatch: pytest.MonkeyPatch) -> None:
    desk, snapshots = asked
    desk.state.gates.set("a", "", "halted")
    for number in range(2 * PART):
        account(desk.state.books, f"b{number}")
    told: list[int] = []

    async def flush() -> None:
        told.append(len(desk.told(AccountState)))
        await asyncio.sleep(0)

    monkeypatch.setattr(desk.paper, "flush", flush)
    snapshots.on_request(question())
    async with asyncio.timeout(5):
        while not desk.paper.acked:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert told == [PART, 2 * PART]
    assert len(desk.told(AccountState)) == 2 * PART + 1
    assert [state.state for state in desk.told(TradingState)] == ["halted"]
    assert [desk.told(kind)[0].token for kind in (SnapshotBegin, SnapshotEnd)] == ["t", "t"]


async def test_a_question_nobody_waits_for_any_more_is_only_acknowledged(asked: tuple[Desk, Snapshots]) -> None:
    desk, snapshots = asked
    old = question(desk.now_ms - TOO_OLD_MS - 1)
    snapshots.on_request(old)
    async with asyncio.timeout(5):
        while not desk.paper.acked:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert desk.paper.acked == [old]
    assert not desk.told(SnapshotBegin)


def test_an_account_at_rest_that_has_a_position_is_told_at_new_prices_within_five_seconds() -> None:
    desk = Desk()
    outbox: Any = desk.paper
    account(desk.state.books, "b")
    desk.hear(update("fill", view(state="filled"), fill=fill()))
    held = desk.state.books.accounts["a"]
    assert held.positions
    caches = Caches(desk.state, outbox, desk.updates, desk.names)
    caches.turn()
    before = len(desk.told(AccountState))
    for _ in range(int(RISK_REFRESH_S / TURN_S)):
        caches.turn()
    again = desk.told(AccountState)[before:]
    assert {(state.account_id, state.version) for state in again} == {("a", held.version)}
