"""Every (happening, state) pair is decided, and the decisions that money depends on."""

import pytest

from pms_common.contracts.bus.base import FINAL_STATES
from pms_orders.domain.table import STATES, TABLE, Kind


def test_every_pair_is_decided() -> None:
    assert set(TABLE) == set(Kind)
    for row in TABLE.values():
        assert set(row) == set(STATES)


@pytest.mark.parametrize("kind", Kind)
def test_a_final_state_is_left_only_by_late_truth(kind: Kind) -> None:
    for state in FINAL_STATES:
        cell = TABLE[kind][state]  # type: ignore[index]
        if cell.state != state:
            assert cell.odd, f"{state} → {cell.state} by {kind} is not told to be odd"
            assert state != "filled"


def test_an_acknowledgement_never_makes_an_order_active() -> None:
    assert all(TABLE[Kind.ACKNOWLEDGED][state].state != "active" for state in STATES if state != "active")


def test_r03_only_a_conclusive_absence_ends_an_unknown_order_without_the_feed() -> None:
    ends = {kind for kind in Kind if TABLE[kind]["unknown"].state == "failed"}
    assert ends == {Kind.ABSENT}
    assert TABLE[Kind.LOST]["placing"].state == "unknown"
