"""The sentinel: who is watched, warned and liquidated, and from when on."""

from dataclasses import replace

import msgspec
import pytest

from pms_common.contracts.bus.exchange import LeverageBracket

from .desk import fill, update, view
from .floor import CALM, INSOLVENT, SECOND, WARNED, Floor, liquidated_to
from .world import D


async def test_tier_one_warns_once() -> None:
    floor = Floor()
    await liquidated_to(floor, WARNED)
    await floor.at(WARNED)
    (warning,) = floor.payloads("margin_warning")
    assert warning["marginRatio"] == pytest.approx(50 / 60)
    assert warning["account"]["equity"] == pytest.approx(60)
    assert not floor.sent()


async def test_a_successor_does_not_warn_again_before_the_account_has_recovered() -> None:
    floor = Floor()
    await liquidated_to(floor, WARNED)
    floor.succeed()
    for mid in (WARNED, WARNED, CALM, CALM):
        await floor.at(mid)
    assert len(floor.payloads("margin_warning")) == 1
    floor.succeed()
    await floor.at(WARNED)
    assert len(floor.payloads("margin_warning")) == 2
    assert list(floor.paper.hashes["watches"]) == ["a"]


@pytest.mark.parametrize("successor", [False, True])
async def test_the_second_tier_is_repeated_only_after_it_has_cooled_down(successor: bool) -> None:
    floor = Floor()
    await liquidated_to(floor, SECOND)
    floor.executed(floor.sent()[0], price=90.55)
    # 70 left, maintenance margin 35, equity 38.2
    for seen in range(10):
        await floor.at(90.31)
        if successor and seen == 3:
            floor.succeed()
    assert len(floor.sent()) == 1
    for _ in range(10):
        await floor.at(90.31)
    assert [placed.quantity for placed in floor.sent()] == [D(30), D(21)]


async def test_a_clock_that_is_set_back_liquidates_no_later() -> None:
    floor = Floor()
    await floor.at(CALM)
    await floor.at(INSOLVENT)
    floor.now_ms -= 60_000
    await floor.at(INSOLVENT)
    await floor.at(INSOLVENT)
    assert floor.sent()


async def test_pb_09_a_frozen_account_is_liquidated() -> None:
    floor = Floor()
    floor.account.set_status("FROZEN")
    await liquidated_to(floor, SECOND)
    assert len(floor.sent()) == 1


@pytest.mark.parametrize("change", ["deposit", "threshold", "rate", "mode"])
async def test_what_an_operator_changes_holds_at_once(change: str) -> None:
    floor = Floor()
    await floor.at(CALM)
    await floor.at(90.9)  # ratio 0.55
    if change == "deposit":
        await floor.at(SECOND)
        floor.state.books.transfer(floor.account, D(100), "more", 1)
        await floor.at(SECOND)
        assert not floor.sent()
        return
    if change == "rate":
        floor.account.set_mode("ADL_30", "flat", D("0.0085"))
    else:
        floor.account.set_rules(replace(floor.account.rules, liquidation_threshold=D("0.5")))
    if change == "mode":
        floor.account.set_mode("INSTANT_CLOSE", "flat", D("0.005"))
    await floor.at(90.9)
    await floor.at(90.9)
    (placed,) = floor.sent()
    assert placed.quantity == D(100) if change == "mode" else D(30)


async def test_tiers_that_change_hold_at_once() -> None:
    floor = Floor()
    floor.account.set_mode("ADL_30", "brackets", D("0.005"))
    tier = LeverageBracket(cap=D(10**9), rate=D("0.005"), cum=D(0), leverage=20)
    floor.state.learn_brackets({"BTCUSDT": (tier,)})
    await floor.at(CALM)
    await floor.at(CALM)
    assert not floor.sent()
    dear = msgspec.structs.replace(tier, rate=D("0.06"))
    floor.state.learn_brackets({"BTCUSDT": (dear,)})
    await floor.at(CALM)
    await floor.at(CALM)
    assert floor.sent()


async def test_an_account_called_liquidated_with_open_positions_is_watched() -> None:
    floor = Floor()
    floor.account.set_status("LIQUIDATED")
    await liquidated_to(floor, INSOLVENT)
    assert [placed.quantity for placed in floor.sent()] == [D(100)]


async def test_an_execution_after_the_end_puts_the_account_under_watch_again() -> None:
    floor = Floor()
    await liquidated_to(floor, INSOLVENT)
    floor.executed(floor.sent()[0])
    assert floor.account.status == "LIQUIDATED"
    floor.trades += 1
    floor.hear(update("fill", view(state="filled", executed_quantity=D(1)), n=floor.trades, fill=fill(floor.trades)))
    assert floor.account.status == "FROZEN"
