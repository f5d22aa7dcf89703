"""The liquidator: what is sent for a decision, what is tried again, what gives way to a graver one, what is told."""

from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest

from pms_common.contracts.bus.orders import OrderUpdate
from pms_common.contracts.bus.risk import ChildRefused
from pms_risk.domain.liquidation.decision import decide

from .desk import child, view
from .floor import INSOLVENT, SECOND, THIRD, WARNED, Floor, liquidated_to
from .world import D, account, spec


async def test_tier_two_closes_thirty_percent_of_the_largest_and_nothing_more_meanwhile() -> None:
    floor = Floor()
    await liquidated_to(floor, SECOND)
    for _ in range(5):
        await floor.at(SECOND)
    (placed,) = floor.sent()
    assert (placed.side, placed.quantity, placed.reduce_only, placed.origin) == ("SELL", D(30), True, "LIQUIDATION")
    assert placed.self_trade_prevention == "EXPIRE_MAKER"
    floor.executed(placed, D(10))
    floor.executed(placed, D(20))
    (step,) = floor.payloads("adl_triggered")
    assert step == floor.payloads("liquidation")[0] | {"type": "adl_triggered"}
    assert (step["tier"], step["fraction"], step["symbol"]) == (2, 0.3, "BTCUSDT")
    assert step["positions"][0]["closedQty"] == 30
    assert step["positions"][0]["realizedPnl"] == pytest.approx(-300)
    assert {event["reason"] for event in floor.payloads("position_reduced")} == {"ADL_TIER2"}
    assert floor.account.status == "ACTIVE"
    assert floor.paper.hashes[floor.liquidator.key], "its decision is not in the database yet"
    floor.commit()
    assert not floor.state.courses.all()
    assert not floor.paper.hashes[floor.liquidator.key]


async def test_pb_03_a_failing_order_is_tried_again_with_pauses_and_an_alarm() -> None:
    """The earlier engine sent one order an evaluation: 20 evaluations, 20 orders."""
    floor = Floor()
    await liquidated_to(floor, SECOND)
    for _ in range(20):
        last = floor.sent()[-1]
        if last.client_order_id in floor.account.orders:
            floor.ended(last, "failed", error_code="EXCHANGE_UNAVAILABLE", error="busy")
        await floor.at(SECOND)
    sent = [placed.client_order_id for placed in floor.sent()]
    assert len(sent) == len(set(sent)) <= 7, "250 ms, 500 ms, 1 s, 2 s: not one an evaluation"
    assert {placed.quantity for placed in floor.sent()} == {D(30)}


async def test_tier_three_is_followed_by_everything_if_the_cut_did_not_help() -> None:
    floor = Floor()
    await liquidated_to(floor, THIRD)
    (cut,) = floor.sent()
    assert cut.command == "ADL_TIER3"
    floor.executed(cut, price=90.52)
    await floor.at(90.33)
    await floor.at(90.33)
    await floor.at(90.33)
    (_, rest) = floor.sent()
    assert (rest.quantity, rest.command) == (D(70), "LIQUIDATE")
    floor.executed(rest)
    (told,) = floor.payloads("full_liquidation")
    assert (told["mode"], told["account"]["positions"]) == ("ADL_30_ESCALATED", [])
    assert floor.account.status == "LIQUIDATED"


@pytest.mark.parametrize("why", ["insolvent", "mode"])
async def test_a_reduction_that_does_not_end_gives_way_to_a_graver_decision_and_nothing_is_closed_twice(
    why: str,
) -> None:
    floor = Floor()
    await liquidated_to(floor, SECOND)
    (stuck,) = floor.sent()
    if why == "mode":
        floor.account.set_mode("INSTANT_CLOSE", "flat", D("0.005"))
    for _ in range(3):
        await floor.at(INSOLVENT if why == "insolvent" else SECOND)
    (_, rest) = floor.sent()
    assert (stuck.quantity, rest.quantity) == (D(30), D(70)), "the first may still be executed"
    floor.executed(rest)
    assert floor.account.status == "ACTIVE"
    floor.ended(stuck, "failed", error_code="EXCHANGE_UNAVAILABLE", error="busy")
    await floor.at(SECOND)
    await floor.at(SECOND)
    (_, _, again) = floor.sent()
    assert again.quantity == D(30)
    floor.executed(again)
    assert floor.account.status == "LIQUIDATED"
    assert [decision.gravity for decision, _ in floor.decisions()] == [1, 3]


async def test_a_liquidation_that_does_not_end_is_an_alarm_every_minute(logged: Callable[[], str]) -> None:
    floor = Floor()
    await liquidated_to(floor, INSOLVENT)
    alarms = []
    for seconds in range(125):
        await floor.at(INSOLVENT, after_ms=1_000)
        if "liquidation_overdue" in logged():
            alarms.append(seconds)
    assert [after - before for before, after in pairwise([-1, *alarms])] == [60, 60]
    assert len(floor.sent()) == 1


async def test_a_reduction_goes_on_when_the_price_recovers_before_its_end() -> None:
    floor = Floor()
    await liquidated_to(floor, SECOND)
    (cut,) = floor.sent()
    for _ in range(3):
        await floor.at(WARNED)
    assert [course.name for course in floor.state.courses.all()] == ["a"]
    floor.ended(cut, "expired")
    await floor.at(WARNED)
    await floor.at(WARNED)
    (_, again) = floor.sent()
    assert again.quantity == D(30)


async def test_insolvency_closes_everything_and_blocks_trading() -> None:
    floor = Floor()
    floor.state.specs["ETHUSDT"] = spec("ETHUSDT")
    await liquidated_to(floor, INSOLVENT)
    (placed,) = floor.sent()
    assert placed.quantity == D(100)
    floor.executed(placed, D(60))
    floor.ended(placed)
    await floor.at(INSOLVENT)
    (_, again) = floor.sent()
    assert again.quantity == D(40)
    floor.executed(again)
    assert floor.account.status == "LIQUIDATED"
    assert floor.payloads("full_liquidation")[0]["mode"] == "INSOLVENCY_GUARD"
    assert floor.payloads("full_liquidation")[0]["positions"][0]["closedQty"] == 100
    floor.ask()
    assert floor.told(ChildRefused)
    assert not floor.placed()


async def test_a_takeover_gives_the_house_everything_at_mid() -> None:
    floor = Floor()
    floor.account.set_mode("TAKEOVER", "flat", D("0.005"))
    await liquidated_to(floor, SECOND)
    assert not floor.sent()
    assert not floor.account.positions
    assert floor.account.cash == pytest.approx(D(1000) - D(100) * (D(100) - D("90.55")))
    assert floor.state.books.house.positions["BTCUSDT", "BOTH"].quantity == D(100)
    floor.commit()
    assert floor.payloads("full_liquidation")[0]["mode"] == "VIRTUAL_LIQ"


async def test_a_reduction_waits_for_the_symbols_rules_and_is_a_share_that_they_allow() -> None:
    floor = Floor()
    rules = floor.state.specs.pop("BTCUSDT")
    await liquidated_to(floor, SECOND)
    assert not floor.sent()
    floor.state.specs["BTCUSDT"] = msgspec.structs.replace(rules, step_size=D(4), market_step_size=D(4))
    await floor.at(SECOND)
    (placed,) = floor.sent()
    assert placed.quantity == D(32), "30 of 100, rounded up to a step of 4"


async def test_what_the_venue_refuses_for_good_goes_to_the_house_at_mid() -> None:
    floor = Floor()
    await liquidated_to(floor, INSOLVENT)
    floor.ended(floor.sent()[0], "rejected", error_code="SYMBOL_NOT_TRADING", error="closed")
    assert not floor.account.positions
    assert floor.state.books.house.positions["BTCUSDT", "BOTH"].quantity == D(100)
    floor.commit()
    assert floor.account.status == "LIQUIDATED"
    assert floor.payloads("position_closed")[-1]["reason"] == "TAKEOVER"


async def test_every_decision_is_recorded_and_can_be_replayed() -> None:
    floor = Floor()
    await liquidated_to(floor, THIRD)
    floor.executed(floor.sent()[0])
    await floor.at(90.4)
    await floor.at(90.4)
    recorded = floor.decisions()
    assert [decision.kind for decision, _ in recorded] == ["ADL_30", "INSOLVENCY_GUARD"]
    for decision, facts in recorded:
        assert decide(facts) == decision


async def test_insolvency_does_not_wait_for_a_reduction_that_cannot_finish() -> None:
    floor = Floor()
    await liquidated_to(floor, SECOND)
    (cut,) = floor.sent()
    for _ in range(4):  # its outcome is not known
        await floor.at(INSOLVENT)
    (_, rest) = floor.sent()
    assert (rest.quantity, rest.command) == (D(70), "LIQUIDATE"), "what the cut may still close is left to it"
    floor.executed(cut)
    floor.executed(rest)
    assert floor.account.status == "LIQUIDATED"
    assert floor.payloads("full_liquidation")[0]["mode"] == "INSOLVENCY_GUARD"


async def test_another_account_on_the_symbol_is_left_alone() -> None:
    floor = Floor()
    other = account(floor.state.books, "b", 1_000)
    floor.open(other, "BTCUSDT", "-50")
    await liquidated_to(floor, INSOLVENT)
    assert {work.account_id for work in floor.urgent()} == {"a"}
    assert other.holding("BTCUSDT", "BOTH").quantity == D(-50)


def test_updates_of_orders_nobody_liquidates_cost_nothing() -> None:
    floor = Floor()
    floor.hear(OrderUpdate(epoch=1, n=1, key="k", cause="active", order=view(), event_ms=1))
    floor.ask(**msgspec.structs.asdict(child(client_order_id="Z")) | {"quantity": D("0.1")})
    assert not floor.sent()
