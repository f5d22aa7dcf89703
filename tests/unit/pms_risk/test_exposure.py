"""What all accounts stand for together, and how much of it is near a liquidation."""

import pytest

from pms_common import metrics
from pms_risk.app.exposure import Exposure

from .test_screen import long


async def test_sums_over_all_accounts_and_those_near_their_limit() -> None:
    rows = {"a": long("a"), "b": long("b", "ETHUSDT", cash=900), "c": long("c", "NOPRICE")}
    exposure = Exposure(rows, {"BTCUSDT": 100.0, "ETHUSDT": 100.0})
    await exposure.look()
    assert metrics.value("risk_equity") == pytest.approx(50 + 900)
    assert metrics.value("risk_notional") == pytest.approx(200)
    assert (metrics.value("risk_accounts_at_risk"), metrics.value("risk_equity_at_risk")) == (0, 0)

    fallen = Exposure(rows, {"BTCUSDT": 50.5, "ETHUSDT": 100.0})
    await fallen.look()
    assert metrics.value("risk_accounts_at_risk") == 1
    assert metrics.value("risk_equity_at_risk") == pytest.approx(0.5)
    assert metrics.value("risk_equity") == pytest.approx(0.5 + 900)


async def test_more_accounts_than_one_turn_takes_are_all_counted() -> None:
    rows = {str(n): long(str(n)) for n in range(200)}
    await Exposure(rows, {"BTCUSDT": 100.0}).look()
    assert metrics.value("risk_notional") == pytest.approx(200 * 100)
