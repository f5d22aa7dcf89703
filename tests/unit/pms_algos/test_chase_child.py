"""The life of a child's name: one expiry, one answer, and no end while somebody may still grant it."""

from typing import Any

import msgspec
from tests.unit.pms_algos.build import D, market, plan, spec, update

from pms_algos.domain import chase as plans
from pms_algos.domain.actions import Action, Ask, CancelChild, Ended, Save
from pms_algos.domain.chase_state import Chase, Refusal
from pms_common.contracts.errors import ErrorCode

T0 = 1_000_000
OPEN, HALTED = market("100", "100.1"), market("100", "100.1", "halted")
EXPIRED = Refusal("EXPIRED_COMMAND", ErrorCode.EXPIRED_COMMAND.meaning)


def asks(actions: tuple[Action, ...]) -> list[Ask]:
    return [action for action in actions if isinstance(action, Ask)]


def asked(**changes: Any) -> tuple[Chase, Ask]:
    state, _ = plans.start(plan(**changes))
    state, (ask,) = plans.on_saved(state, OPEN, T0)
    assert isinstance(ask, Ask)
    return state, ask


def killed(state: Chase) -> Chase:
    """A process that died, and its successor."""
    return plans.resumed(msgspec.json.decode(msgspec.json.encode(state), type=Chase), state.answered)


def second_child() -> Chase:
    """An answered chase whose second child is saved and was never asked for."""
    state, _ = asked()
    state, _ = plans.on_child(state, 0, 0, update("accepted", "active"), spec(), T0)
    state, _ = plans.on_child(state, 0, 0, update("cancelled", "cancelled"), spec(), T0 + 100)
    state, actions = plans.on_saved(state, HALTED, T0 + 100)
    assert not asks(actions)
    return state


def test_a_name_asked_for_again_keeps_its_first_terms_and_expiry() -> None:
    state, first = asked()
    for ms in range(5_000, 30_000, 5_000):
        state, actions = plans.on_clock(state, market("102", "102.1"), T0 + ms)
        assert asks(actions) == [first]
    assert first.expires_at_ms == T0 + 10_000


def test_a_name_asked_for_again_after_a_restart_keeps_its_expiry() -> None:
    reserved, _ = plans.start(plan())
    _, (first,) = plans.on_saved(reserved, OPEN, T0)
    for ms in (1_000, 3_600_000):
        state, actions = plans.on_lookup_done(killed(reserved), OPEN, T0 + ms)
        (again,) = asks(actions)
        assert isinstance(first, Ask)
        assert (again.number, again.attempt, again.expires_at_ms) == (0, 0, first.expires_at_ms)
    state, actions = plans.on_refused(state, 0, 0, False, "EXPIRED_COMMAND", "", T0 + 3_600_000)
    assert (actions, state.refusal) == ((Save(), Ended()), EXPIRED)


def test_the_first_child_expires_with_its_command() -> None:
    state, _ = plans.start(plan(), T0 + 700)
    _, (ask,) = plans.on_saved(state, OPEN, T0)
    assert isinstance(ask, Ask)
    assert ask.expires_at_ms == T0 + 700


def test_a_start_under_a_closed_gate_is_answered_when_its_life_is_over() -> None:
    state, _ = plans.start(plan())
    state, actions = plans.on_saved(state, HALTED, T0)
    assert (actions, state.wake_ms) == ((), T0 + 10_000)
    state, actions = plans.on_clock(state, HALTED, T0 + 10_000)
    assert (actions, state.refusal) == ((Save(), Ended()), EXPIRED)


def test_a_start_without_a_price_is_answered_when_its_life_is_over() -> None:
    state, _ = plans.start(plan())
    state, actions = plans.on_saved(state, None, T0)
    assert (actions, state.wake_ms) == ((), T0 + 10_000)
    state, actions = plans.on_clock(state, None, T0 + 10_000)
    assert (actions, state.refusal) == ((Save(), Ended()), EXPIRED)


def test_a_gate_that_opens_hours_later_does_not_start_a_chase() -> None:
    state, _ = plans.start(plan())
    state, _ = plans.on_saved(state, HALTED, T0)
    state, actions = plans.on_quote(state, OPEN, T0 + 3 * 3_600_000)
    assert (actions, state.refusal) == ((Save(), Ended()), EXPIRED)


def test_a_later_child_held_up_by_a_gate_is_asked_for_under_a_new_name() -> None:
    late = T0 + 3 * 3_600_000
    state, actions = plans.on_quote(second_child(), OPEN, late)
    assert actions == (Save(),)
    assert (state.child.number, state.child.attempt, state.refusals) == (1, 1, 0)
    _, (ask,) = plans.on_saved(state, OPEN, late)
    assert isinstance(ask, Ask)
    assert (ask.attempt, ask.expires_at_ms) == (1, late + 10_000)


def test_a_later_child_that_may_have_been_asked_for_is_cleared_up_first() -> None:
    late = T0 + 3 * 3_600_000
    state, actions = plans.on_lookup_done(killed(second_child()), HALTED, late)
    (probe,) = asks(actions)
    assert (probe.number, probe.attempt) == (1, 0)
    assert probe.expires_at_ms < late
    state, actions = plans.on_refused(state, 1, 0, False, "EXPIRED_COMMAND", "", late)
    assert (state.child.attempt, actions) == (1, (Save(),))


def test_a_cancel_of_what_was_asked_for_waits_for_its_end_whatever_the_gate() -> None:
    state, _ = asked()
    state, _ = plans.on_clock(state, HALTED, T0 + 5_000)
    state, actions = plans.on_cancel(state, "cancelled", T0 + 6_000)
    assert (state.ended, actions) == (False, (Save(), CancelChild(0, 0)))


def test_a_cancel_after_a_restart_waits_for_what_may_have_been_asked_for() -> None:
    reserved, _ = plans.start(plan())
    state, _ = plans.on_lookup_done(killed(reserved), None, T0 + 1_000)
    state, actions = plans.on_cancel(state, "cancelled", T0 + 1_001)
    assert (state.ended, actions) == (False, (Save(), CancelChild(0, 0)))


def test_a_cancel_of_what_was_never_asked_for_ends_at_once() -> None:
    state, actions = plans.on_cancel(second_child(), "cancelled", T0 + 200)
    assert (state.outcome, actions) == ("cancelled", (Save(), Ended()))


def test_a_child_missing_from_a_whole_snapshot_is_cleared_up_and_followed_by_the_remainder() -> None:
    state, _ = asked()
    assert plans.on_missing(state, T0) == (state, ())  # nobody has seen it yet: it is being asked for
    state, _ = plans.on_child(state, 0, 0, update("accepted", "active"), spec(), T0)
    state, actions = plans.on_missing(state, T0 + 100)
    assert (state.child.phase, actions) == ("cancelling", (CancelChild(0, 0),))
    told = update("snapshot", "cancelled", executed=D("0.4"))
    state, _ = plans.on_child(state, 0, 0, told, spec(), T0 + 200)
    assert (state.child.number, state.remaining) == (1, D("0.6"))


def test_a_child_seen_before_a_restart_and_gone_after_it_is_never_asked_for_again() -> None:
    state, _ = asked()
    state, _ = plans.on_child(state, 0, 0, update("accepted", "active"), spec(), T0)
    _, actions = plans.on_lookup_done(killed(state), OPEN, T0 + 1_000)
    assert actions == (CancelChild(0, 0),)
