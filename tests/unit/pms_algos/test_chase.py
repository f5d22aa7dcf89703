"""The chase's rules one by one: modes, thresholds, flicker, filters, distance, refusals, dust."""

from decimal import Decimal

import pytest
from tests.unit.pms_algos.build import D, market, plan, spec, update

from pms_algos.app.kinds.chase import KIND as CHASE
from pms_algos.domain import chase as plans
from pms_algos.domain.actions import Amend, Ask, CancelChild, Ended, Market, Progress, Save, Started
from pms_algos.domain.chase_price import target_price
from pms_algos.domain.chase_state import Chase, ChasePlan, Refusal
from pms_common.contracts.errors import ErrorCode

T0 = 1_000_000


def live(the_plan: ChasePlan | None = None, at: Market | None = None, now_ms: int = T0) -> Chase:
    """A chase whose first child rests."""
    the_plan, at = the_plan or plan(), at or market("100", "100.1")
    state, _ = plans.start(the_plan)
    state, actions = plans.on_saved(state, at, now_ms)
    (ask,) = actions
    assert isinstance(ask, Ask)
    told = update("accepted", "active", side=the_plan.side, quantity=the_plan.quantity, price=ask.price)
    state, actions = plans.on_child(state, 0, 0, told, at.spec, now_ms)
    assert actions == (Started(), Save(), Progress(changed=True))
    return state


def amends(state: Chase, at: Market, now_ms: int) -> list[Decimal]:
    _, actions = plans.on_quote(state, at, now_ms)
    return [action.price for action in actions if isinstance(action, Amend)]


def test_nothing_is_asked_before_the_plan_is_saved() -> None:
    state, actions = plans.start(plan())
    assert actions == (Save(),)
    assert plans.on_quote(state, market("100", "100.1"), T0)[1] == ()


@pytest.mark.parametrize(
    ("side", "changes", "price"),
    [
        ("BUY", {}, "100.0"),
        ("SELL", {}, "100.1"),
        ("BUY", {"offset_pct": D("0.25")}, "99.7"),  # 99.75 away from the market: down
        ("SELL", {"offset_pct": D("0.25")}, "100.4"),  # 100.35025: up
        ("BUY", {"offset_ticks": 3}, "99.7"),
        ("SELL", {"offset_ticks": 3}, "100.4"),
        ("BUY", {"offset_pct": D(10)}, "95.1"),  # PERCENT_PRICE: 95 % of the mid 100.05 is 95.0475
        ("SELL", {"offset_pct": D(10)}, "105.0"),
    ],
)
def test_first_price(side: str, changes: dict[str, object], price: str) -> None:
    assert target_price(plan(side=side, **changes), market("100", "100.1")) == D(price)


def test_post_only_has_no_price_in_a_locked_market() -> None:
    locked = market("100", "100")
    assert target_price(plan(post_only=True), locked) is None
    assert target_price(plan(), locked) == D(100)


@pytest.mark.parametrize("mode", ["none", "maintain"])
def test_none_and_maintain_follow_both_ways(mode: str) -> None:
    state = live(plan(mode=mode))
    assert amends(state, market("101", "101.1"), T0 + 200) == [D("101.0")]
    assert amends(state, market("99", "99.1"), T0 + 200) == [D("99.0")]


@pytest.mark.parametrize(
    ("side", "toward", "away"), [("BUY", ("101", "101.1"), ("99", "99.1")), ("SELL", ("99", "99.1"), ("101", "101.1"))]
)
def test_trail_moves_only_toward_the_market(side: str, toward: tuple[str, str], away: tuple[str, str]) -> None:
    state = live(plan(side=side, mode="trail"))
    assert len(amends(state, market(*toward), T0 + 200)) == 1
    assert amends(state, market(*away), T0 + 200) == []


def test_the_least_interval_is_kept_and_the_state_asks_to_be_woken() -> None:
    state = live(plan(min_interval_ms=500))
    state, actions = plans.on_quote(state, market("101", "101.1"), T0 + 499)
    assert actions == ()
    assert state.wake_ms == T0 + 500
    state, actions = plans.on_clock(state, market("101", "101.1"), T0 + 500)
    assert [type(action) for action in actions] == [Amend]


def test_less_than_a_thousandth_of_a_percent_is_noise() -> None:
    coarse = market("60000", "60000.1")
    state = live(plan(anchor=D(60000), quantity=D("0.1")), coarse)
    assert amends(state, market("60000.5", "60000.6"), T0 + 500) == []
    assert amends(state, market("60000.7", "60000.8"), T0 + 500) == [D("60000.7")]


def test_one_tick_toward_the_market_is_followed_only_when_it_lasts() -> None:
    state = live()
    up = market("100.1", "100.2")
    state, actions = plans.on_quote(state, up, T0 + 200)
    assert (actions, state.wake_ms) == ((), T0 + 350)
    state, actions = plans.on_quote(state, market("100", "100.1"), T0 + 300)  # gone again
    assert (actions, state.held) == ((), None)
    state, _ = plans.on_quote(state, up, T0 + 400)
    assert plans.on_quote(state, up, T0 + 549)[1] == ()
    assert amends(state, up, T0 + 550) == [D("100.1")]
    assert amends(state, market("100.2", "100.3"), T0 + 401) == [D("100.2")]  # two ticks: at once
    assert amends(state, market("99.9", "100"), T0 + 401) == [D("99.9")]  # away from the market: at once


def test_one_amend_at_a_time_until_it_is_answered_or_too_old() -> None:
    state, _ = plans.on_quote(live(), market("101", "101.1"), T0 + 200)
    assert amends(state, market("102", "102.1"), T0 + 2_199) == []
    assert amends(state, market("102", "102.1"), T0 + 2_200) == [D("102.0")]
    told = update("amended", "active", price=D("101.0"))
    answered, actions = plans.on_child(state, 0, 0, told, spec(), T0 + 300)
    assert actions == (Progress(changed=True),)
    assert (answered.child.price, answered.child.target, answered.reprices) == (D("101.0"), None, 1)
    assert amends(answered, market("102", "102.1"), T0 + 310) == [D("102.0")]


def test_an_amend_beyond_the_approved_range_says_so() -> None:
    _, (near,) = plans.on_quote(live(), market("102", "102.1"), T0 + 200)
    _, (far,) = plans.on_quote(live(), market("102.1", "102.2"), T0 + 200)
    assert isinstance(near, Amend)
    assert isinstance(far, Amend)
    assert (near.approved, far.approved) == (True, False)


def test_what_risk_has_placed_a_part_of_is_moved_as_it_is_and_the_rest_follows() -> None:
    state, _ = plans.start(plan())
    state, _ = plans.on_saved(state, market("100", "100.1"), T0)
    state, _ = plans.on_child(state, 0, 0, update("accepted", "active", quantity=D("0.4")), spec(), T0)
    _, (amend,) = plans.on_quote(state, market("101", "101.1"), T0 + 200)
    assert isinstance(amend, Amend)
    assert amend.quantity == D("0.4")
    filled = update("fill", "filled", quantity=D("0.4"), executed=D("0.4"))
    state, _ = plans.on_child(state, 0, 0, filled, spec(), T0 + 300)
    assert (state.child.number, state.child.quantity) == (1, D("0.6"))


def test_a_distance_declares_its_range_and_ends_the_chase_when_it_is_passed() -> None:
    state, _ = plans.start(plan(max_distance_pct=D(3), offset_pct=D(1)))
    state, (ask,) = plans.on_saved(state, market("100", "100.1"), T0)
    assert isinstance(ask, Ask)
    assert (ask.lowest, ask.highest) == (D("96.0"), D("102.0"))  # 97 and 103, less 1 %
    state, _ = plans.on_child(state, 0, 0, update("active", "active", price=ask.price), spec(), T0)
    assert plans.on_quote(state, market("103", "103.1"), T0 + 1)[0].ending is None
    state, actions = plans.on_quote(state, market("103.1", "103.2"), T0 + 1)
    assert actions == (Save(), CancelChild(0, 0))
    state, actions = plans.on_child(state, 0, 0, update("cancelled", "cancelled"), spec(), T0 + 2)
    assert (state.outcome, actions) == ("distance_breached", (Save(), Ended()))


def test_a_cancelled_child_is_followed_by_the_next_with_the_remainder() -> None:
    told = update("cancelled", "cancelled", executed=D("0.4"))
    state, actions = plans.on_child(live(), 0, 0, told, spec(), T0 + 10)
    assert actions == (Save(), Progress(changed=True))
    assert (state.child.number, state.child.quantity, state.executed) == (1, D("0.6"), D("0.4"))
    assert plans.on_saved(state, market("100", "100.1"), T0 + 10)[1] == ()  # not at once: somebody cancelled it
    state, _ = plans.on_saved(state, market("100", "100.1"), T0 + 10)
    _, (ask,) = plans.on_quote(state, market("100", "100.1"), T0 + 1_010)
    assert isinstance(ask, Ask)
    assert (ask.number, ask.quantity) == (1, D("0.6"))


def test_a_failed_amend_leads_to_cancel_and_place() -> None:
    state, _ = plans.on_quote(live(), market("101", "101.1"), T0 + 200)
    failed = update("amend_failed", "active", error_code="EXCHANGE_REJECTED")
    state, actions = plans.on_child(state, 0, 0, failed, spec(), T0 + 210)
    assert actions == (CancelChild(0, 0),)
    state, actions = plans.on_child(state, 0, 0, update("cancelled", "cancelled"), spec(), T0 + 220)
    assert isinstance(actions[0], Save)
    _, (ask,) = plans.on_saved(state, market("101", "101.1"), T0 + 230)
    assert isinstance(ask, Ask)
    assert (ask.number, ask.price) == (1, D("101.0"))


@pytest.mark.parametrize("code", ["EXCHANGE_CAPACITY", "EXPIRED_COMMAND"])
def test_an_amend_refused_in_passing_leaves_the_order_where_it_rests(code: str) -> None:
    state, _ = plans.on_quote(live(), market("101", "101.1"), T0 + 200)
    failed = update("amend_failed", "active", error_code=code)
    state, actions = plans.on_child(state, 0, 0, failed, spec(), T0 + 210)
    assert actions == ()
    assert amends(state, market("101", "101.1"), T0 + 1_209) == []
    assert amends(state, market("101", "101.1"), T0 + 1_210) == [D("101.0")]


def test_a_cancel_that_meets_the_fill_ends_as_filled() -> None:
    state, actions = plans.on_cancel(live(), "cancelled", T0 + 5)
    assert actions == (Save(), CancelChild(0, 0))
    assert plans.on_cancel(state, "cancelled", T0 + 6)[1] == ()
    state, actions = plans.on_child(state, 0, 0, update("fill", "filled", executed=D(1)), spec(), T0 + 7)
    assert (state.outcome, state.fill_price) == ("filled", D(100))


def test_a_cancel_before_the_first_answer_ends_the_command_too() -> None:
    state, _ = plans.start(plan())
    state, actions = plans.on_cancel(state, "cancelled", T0)
    assert actions == (Save(), Ended())
    assert state.refusal is not None
    assert (state.outcome, state.refusal.code) == ("cancelled", "CANCELLED_BEFORE_SEND")


def test_dust_is_reported_and_not_placed() -> None:
    state = live(plan(quantity=D("1.0004")))
    told = update("cancelled", "cancelled", quantity=D("1.0004"), executed=D(1))
    state, actions = plans.on_child(state, 0, 0, told, spec(), T0)
    assert actions == (Save(), Ended())
    assert (state.outcome, state.remaining) == ("filled", D("0.0004"))


def test_r22_post_only_refusals_are_priced_again_from_a_fresh_book_and_bounded() -> None:
    state, _ = plans.start(plan(post_only=True))
    state, (ask,) = plans.on_saved(state, market("100", "100.1"), T0)
    now = T0
    refused = update("rejected", "rejected", error_code="EXCHANGE_POST_ONLY")
    prices = []
    for attempt in range(9):
        state, actions = plans.on_child(state, 0, attempt, refused, spec(), now)
        assert actions == (Save(),)
        now += 100
        state, (ask,) = plans.on_saved(state, market(D(100) - attempt, D("100.1") - attempt), now)
        assert isinstance(ask, Ask)
        assert (ask.number, ask.attempt) == (0, attempt + 1)
        prices.append(ask.price)
    assert prices == [D(100) - n for n in range(9)]
    state, actions = plans.on_child(state, 0, 9, refused, spec(), now)
    assert actions == (Save(), Ended())
    assert state.refusal == Refusal("EXCHANGE_POST_ONLY", ErrorCode.EXCHANGE_POST_ONLY.meaning)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("INSUFFICIENT_MARGIN", "risk"), ("REDUCE_ONLY_REJECTED", "position_closed"), ("EXCHANGE_PRECISION", "error")],
)
def test_a_later_child_refused_for_good_ends_the_chase_with_the_reason(code: str, outcome: str) -> None:
    state, _ = plans.on_child(live(), 0, 0, update("cancelled", "cancelled"), spec(), T0)
    state, _ = plans.on_saved(state, market("100", "100.1"), T0)
    state, _ = plans.on_quote(state, market("100", "100.1"), T0 + 1_000)
    state, actions = plans.on_refused(state, 1, 0, False, code, "no", T0 + 1_001)
    assert (state.outcome, actions) == (outcome, (Save(), Ended()))
    assert state.refusal == Refusal(code, "no")
    assert CHASE.end(state)[1] == {"reason": outcome, "error": "no", "error_code": code}


def test_a_first_child_refused_fails_the_command_with_the_same_code() -> None:
    state, _ = plans.start(plan())
    state, _ = plans.on_saved(state, market("100", "100.1"), T0)
    state, actions = plans.on_refused(state, 0, 0, False, "ACCOUNT_FROZEN", "frozen", T0)
    assert actions == (Save(), Ended())
    assert state.refusal == Refusal("ACCOUNT_FROZEN", "frozen")


def test_a_halt_stops_asking_and_moving_and_reducing_lets_reductions_pass() -> None:
    halted = Market(D(101), D("101.1"), spec(), "halted")
    reducing = Market(D(101), D("101.1"), spec(), "reducing")
    assert amends(live(), halted, T0 + 200) == []
    assert amends(live(), reducing, T0 + 200) == []
    assert amends(live(plan(reduce_only=True)), reducing, T0 + 200) == [D("101.0")]
    state, _ = plans.start(plan())
    assert plans.on_saved(state, halted, T0)[1] == ()


def test_an_unanswered_child_is_asked_for_again_under_its_own_name() -> None:
    state, _ = plans.start(plan())
    state, (first,) = plans.on_saved(state, market("100", "100.1"), T0)
    assert state.wake_ms == T0 + 5_000
    _, (again,) = plans.on_clock(state, market("102", "102.1"), T0 + 5_000)
    assert isinstance(first, Ask)
    assert isinstance(again, Ask)
    assert (again.number, again.attempt) == (first.number, first.attempt)


def test_an_older_attempt_that_turns_out_alive_is_cancelled() -> None:
    state, _ = plans.on_child(live(), 0, 0, update("cancelled", "cancelled"), spec(), T0)
    assert plans.on_child(state, 0, 0, update("active", "active"), spec(), T0)[1] == (CancelChild(0, 0),)


def test_progress_is_told_once_a_second_when_nothing_changes() -> None:
    state = live()
    told = []
    for ms in range(0, 3_000, 50):
        state, actions = plans.on_quote(state, market("100", "100.1"), T0 + ms)
        told += [action for action in actions if isinstance(action, Progress)]
    assert told == [Progress(changed=False)] * 2


def test_a_tick_that_changes_nothing_gives_the_same_state_back() -> None:
    state = live()
    assert plans.on_quote(state, market("100", "100.1"), T0 + 10)[0] is state


def test_an_amend_beyond_the_approval_becomes_cancel_and_place() -> None:
    state, _ = plans.on_quote(live(), market("103", "103.1"), T0 + 200)
    state, actions = plans.on_refused(state, 0, 0, True, "APPROVAL_EXCEEDED", "", T0 + 210)
    assert (state.ending, actions) == (None, (CancelChild(0, 0),))
    state, actions = plans.on_child(state, 0, 0, update("cancelled", "cancelled"), spec(), T0 + 220)
    _, (ask,) = plans.on_saved(state, market("103", "103.1"), T0 + 230)
    assert isinstance(ask, Ask)
    assert (ask.number, ask.price) == (1, D(103))


def test_an_amend_that_risk_forbids_ends_the_chase() -> None:
    state, _ = plans.on_quote(live(), market("103", "103.1"), T0 + 200)
    state, actions = plans.on_refused(state, 0, 0, True, "MAX_NOTIONAL_EXCEEDED", "", T0 + 210)
    assert (state.ending, actions) == ("risk", (Save(), CancelChild(0, 0)))


def test_r22_a_post_only_order_that_expires_at_once_counts_as_a_refusal() -> None:
    state = live(plan(post_only=True))
    gone = update("expired", "expired")
    again, actions = plans.on_child(state, 0, 0, gone, spec(), T0 + 5)
    assert (again.refusals, again.child.attempt, actions) == (1, 1, (Save(),))
    later, _ = plans.on_child(state, 0, 0, gone, spec(), T0 + 5_000)
    assert (later.refusals, later.child.number) == (0, 1)
