"""The simulation of a shared Redis against what can be worked out, and the docs against the simulation."""

import pytest
from tests.conftest import ROOT

from pms_cli.scaling import BURST, CELLS, REDIS_US, SPREAD_S, STAGES_US, delays


def test_one_order_takes_what_its_stages_take() -> None:
    assert delays(1, 1) == [pytest.approx((REDIS_US + sum(STAGES_US.values())) / 1e6)]


@pytest.mark.parametrize("cells", [100, 250])
def test_an_overloaded_server_is_late_by_what_it_was_given_too_much(cells: int) -> None:
    assert delays(cells, BURST)[-1] == pytest.approx(cells * BURST * REDIS_US / 1e6 - SPREAD_S, rel=0.05)


def test_the_docs_have_these_figures() -> None:
    text = (ROOT / "docs" / "scaling.md").read_text()
    for cells in CELLS:
        took = delays(cells, BURST)
        assert f"| {cells} | {took[len(took) // 2]:.3f} s | {took[-1]:.3f} s |" in text
