"""The tiers, when they are acted on, and what a course closes: the pure part of liquidation."""

from dataclasses import replace
from decimal import Decimal
from itertools import takewhile
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_common.contracts.errors import ErrorCode
from pms_risk.domain.liquidation.course import FINAL_REFUSALS, Target, least, target_of
from pms_risk.domain.liquidation.decision import Decision, Facts, Held, Tiers, decide
from pms_risk.domain.liquidation.marks import bound, near
from pms_risk.domain.liquidation.watch import Guards, Watch
from pms_risk.domain.math import Leg
from pms_risk.domain.position import Position
from pms_risk.domain.prices import Quote

from .world import D, spec

GUARDS = Guards()


def facts(ratio: str, mode: Any = "ADL_30", *, escalating: bool = False, status: Any = "ACTIVE") -> Facts:
    """An account with two positions whose margin ratio is `ratio`."""
    needed = D(ratio) * 100
    legs = [Leg(D(1), D(cost), D(0), ((D(0), need),), need) for cost, need in ((10, D(0)), (20, needed))]
    held = tuple([Held(str(number), "BTCUSDT", D(10), leg) for number, leg in enumerate(legs)])
    return Facts(status, mode, D("0.9"), D(100), held, Tiers(), escalating)


def test_each_mode_has_its_tiers() -> None:
    found = {
        (mode, ratio): (made.act, made.kind, made.tier, made.position_id)
        if (made := decide(facts(ratio, mode)))
        else None
        for mode in ("ADL_30", "INSTANT_CLOSE", "TAKEOVER")
        for ratio in ("0.79", "0.8", "0.9", "0.95", "1")
    }
    assert found == {
        ("ADL_30", "0.79"): None,
        ("ADL_30", "0.8"): ("warn", "ADL_30", 1, ""),
        ("ADL_30", "0.9"): ("reduce", "ADL_30", 2, "1"),
        ("ADL_30", "0.95"): ("reduce", "ADL_30", 3, "1"),
        ("ADL_30", "1"): ("close", "INSOLVENCY_GUARD", None, ""),
        ("INSTANT_CLOSE", "0.79"): None,
        ("INSTANT_CLOSE", "0.8"): None,
        ("INSTANT_CLOSE", "0.9"): ("close", "INSTANT_CLOSE", None, ""),
        ("INSTANT_CLOSE", "0.95"): ("close", "INSTANT_CLOSE", None, ""),
        ("INSTANT_CLOSE", "1"): ("close", "INSOLVENCY_GUARD", None, ""),
        ("TAKEOVER", "0.79"): None,
        ("TAKEOVER", "0.8"): None,
        ("TAKEOVER", "0.9"): ("take_over", "VIRTUAL_LIQ", None, ""),
        ("TAKEOVER", "0.95"): ("take_over", "VIRTUAL_LIQ", None, ""),
        ("TAKEOVER", "1"): ("take_over", "INSOLVENCY_TAKEOVER", None, ""),
    }


def test_after_the_third_tier_everything_goes_unless_the_ratio_is_below_the_threshold() -> None:
    escalated = decide(facts("0.9", escalating=True))
    assert escalated is not None
    assert (escalated.act, escalated.kind) == ("close", "ADL_30_ESCALATED")
    assert decide(facts("0.89", escalating=True)) == Decision("warn", D("0.89"), tier=1)


def test_freezing_stops_new_risk_and_no_liquidation() -> None:
    assert decide(facts("0.9", status="FROZEN")) == decide(facts("0.9"))
    assert decide(facts("2", status="LIQUIDATED")) is None


def test_what_has_no_sound_price_is_not_what_is_reduced() -> None:
    seen = facts("0.9")
    small, large = seen.positions
    decision = decide(replace(seen, positions=(small, replace(large, sound=False))))
    assert decision is not None
    assert decision.position_id == small.id


quotes = st.tuples(st.decimals("50", "150", places=2), st.decimals("0", "50", places=2)).map(
    lambda one: Quote(one[0], one[0] + one[1])
)


@given(st.sampled_from([D(3), D(-3)]), quotes, st.decimals("0", "1", places=2))
def test_a_bound_is_never_worse_for_the_account_than_what_the_price_can_be(
    quantity: Decimal, quote: Quote, share: Decimal
) -> None:
    wide = bound(quantity, D(100), quote, fresh=True)
    inside = quote.bid + (quote.ask - quote.bid) * share
    assert quantity * wide >= quantity * inside
    assert quantity * bound(quantity, D(100), quote, True, 100 * share) >= quantity * 100 * share
    assert quantity * bound(quantity, D(100), quote, True, 100 * share) >= quantity * inside
    assert quantity * bound(quantity, D(100), quote, fresh=False) >= quantity * 2 * share * quote.ask
    assert bound(quantity, D(100), None, fresh=False) == (200 if quantity > 0 else 0)


@given(quotes, st.decimals("40", "200", places=2), st.decimals("0.001", "0.1", places=3))
def test_a_mid_is_near_the_exchanges_mark_within_a_share_of_it(quote: Quote, mark: Decimal, gap: Decimal) -> None:
    assert near(quote, mark, gap) == (mark - mark * gap <= quote.mid <= mark + mark * gap)
    assert near(quote, None, D(0)) and not near(quote, None, gap)


def test_a_recorded_decision_can_be_made_again_from_what_was_recorded() -> None:
    for ratio in ("0.8", "0.9", "0.95", "1", "999"):
        seen = facts(ratio)
        told = msgspec.json.decode(msgspec.json.encode(seen), type=Facts)
        assert told == seen
        assert decide(told) == decide(seen)


ratios = st.sampled_from(["0.5", "0.79", "0.81", "0.9", "0.93", "0.96", "1.1"])


GRAVITY = {"0.5": 0, "0.79": 0, "0.81": 0, "0.9": 1, "0.93": 1, "0.96": 2, "1.1": 3}


@given(st.lists(st.tuples(st.integers(1, 400), ratios), max_size=40))
def test_a_step_is_taken_only_when_it_or_a_graver_one_was_asked_for_without_a_break(
    seen: list[tuple[int, str]],
) -> None:
    watch, at_ms = Watch(), 1_000_000
    asked: list[tuple[int, int]] = []
    for gap_ms, ratio in seen:
        at_ms += gap_ms
        asked.append((at_ms, GRAVITY[ratio]))
        judged = watch.judge(facts(ratio), at_ms, at_ms, GUARDS)
        taken = judged[0].gravity if judged is not None else 0
        assert taken == max((level for level in (1, 2, 3) if held_since(asked, level)), default=0)
        if taken:
            asked = []


def held_since(asked: list[tuple[int, int]], level: int) -> bool:
    run = list(takewhile(lambda one: one[1] >= level, reversed(asked)))
    return bool(run) and asked[-1][0] - run[-1][0] >= GUARDS.hold_ms


def judge_twice(watch: Watch, ratio: str, at_ms: int, *, escalating: bool = False) -> Decision | None:
    """Two updates that ask for it, as far apart as they must be."""
    assert watch.judge(facts(ratio, escalating=escalating), at_ms, at_ms, GUARDS) is None
    judged = watch.judge(facts(ratio, escalating=escalating), at_ms + GUARDS.hold_ms, at_ms + GUARDS.hold_ms, GUARDS)
    return judged[0] if judged is not None else None


def test_a_spike_of_one_update_liquidates_nobody() -> None:
    watch = Watch()
    watch.judge(facts("0.9"), 1_000, 1_000, GUARDS)
    watch.judge(facts("0.5"), 1_100, 1_100, GUARDS)
    assert watch.judge(facts("0.9"), 1_300, 1_300, GUARDS) is None
    assert watch.judge(facts("0.9"), 1_549, 1_549, GUARDS) is None
    judged = watch.judge(facts("1.1"), 1_550, 1_550, GUARDS)
    assert judged is not None
    assert judged[0].tier == 2, "a graver step has not been asked for so long"
    assert decide(judged[1]) == judged[0]


def test_a_clock_that_is_set_back_makes_no_wait_longer() -> None:
    watch, back_ms = Watch(), 10_000
    assert watch.judge(facts("0.91"), 100_000, 100_000, GUARDS) is None
    assert not watch.waits(back_ms, back_ms, GUARDS)
    first = judge_twice(watch, "0.91", back_ms)
    assert first is not None
    watch.reduced(first, 100_000, GUARDS)
    assert judge_twice(watch, "0.91", 96_000) is None
    assert judge_twice(watch, "0.91", back_ms) is not None
    target = whole()
    target.try_again()
    target.ended("EXCHANGE_UNAVAILABLE", 100_000)
    assert (target.pauses(100_249), target.pauses(100_250), target.pauses(back_ms)) == (True, False, False)


def test_the_second_tier_cools_down_and_the_others_do_not_wait_for_it() -> None:
    watch = Watch()
    first = judge_twice(watch, "0.91", 1_000)
    assert first is not None
    watch.reduced(first, 2_000, GUARDS)
    assert judge_twice(watch, "0.91", 3_000) is None
    assert judge_twice(watch, "0.96", 4_000) is not None
    assert judge_twice(watch, "0.91", 2_000 + GUARDS.cooldown_ms) is not None


def test_the_third_tier_is_followed_by_everything_at_once() -> None:
    watch = Watch()
    third = judge_twice(watch, "0.96", 1_000)
    assert third is not None
    watch.reduced(third, 2_000, GUARDS)
    assert watch.escalating
    everything = judge_twice(watch, "0.91", 2_100, escalating=watch.escalating)
    assert everything is not None
    assert everything.kind == "ADL_30_ESCALATED"


def test_a_warning_is_told_once_until_the_account_has_recovered() -> None:
    watch = Watch()
    told = [
        watch.judge(facts(ratio), 1, 1, GUARDS) is not None
        for ratio in ("0.81", "0.82", "0.79", "0.81", "0.77", "0.81")
    ]
    assert told == [True, False, False, False, False, True]


quantities = st.decimals("0.001", "200", places=3)


@given(quantities, st.decimals("0.01", "1", places=2), st.decimals("20", "90000", places=1))
def test_a_reduction_rounds_up_and_leaves_what_can_be_closed_again_or_nothing(
    held: Decimal, share: Decimal, mark: Decimal
) -> None:
    rules = spec()
    position = Position("p", "BTCUSDT", "BOTH", D(10), 1, held, held * mark)
    decision = Decision("reduce", D("0.9"), fraction=share, tier=2, position_id="p")
    target = target_of(position, decision, rules, mark)
    closed = held - target.keep
    assert closed >= held * share
    if target.keep:
        assert closed - held * share < rules.step_size
        assert target.keep >= least(rules, mark)
        assert target.keep * mark >= rules.min_notional


def test_without_the_symbols_rules_a_reduction_is_still_a_reduction() -> None:
    position = Position("p", "BTCUSDT", "BOTH", D(10), 1, D(1), D(100))
    decision = Decision("reduce", D("0.9"), fraction=D("0.3"), tier=2, position_id="p")
    assert target_of(position, decision, None, None).keep == D("0.7")


def whole(held: str = "1") -> Target:
    position = Position("p", "BTCUSDT", "BOTH", D(10), 1, D(held), D(held) * 100)
    return target_of(position, Decision("close", D(1)), spec(), D(100))


def test_attempts_that_close_nothing_wait_longer_each_time() -> None:
    target, waits = whole(), []
    for _ in range(8):
        target.try_again()
        target.ended("EXCHANGE_UNAVAILABLE", 0)
        waits.append(target.retry_ms)
    assert waits == [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]
    target.try_again()
    target.left = D("0.4")
    target.ended("EXCHANGE_UNAVAILABLE", 0)
    assert (target.failures, target.excess, target.refused) == (0, D("0.4"), False)


@pytest.mark.parametrize("code", sorted(FINAL_REFUSALS))
def test_a_final_refusal_is_for_the_house(code: str) -> None:
    target = whole()
    target.try_again()
    target.ended(code, 0)
    assert target.refused
    assert code in ErrorCode.__members__


def test_a_target_survives_its_way_to_redis() -> None:
    target = whole()
    target.try_again()
    assert msgspec.json.decode(msgspec.json.encode(target), type=Target) == target
