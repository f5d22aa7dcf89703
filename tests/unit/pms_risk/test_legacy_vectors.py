"""The recorded vectors of the earlier engine: formulas, liquidation prices, the pre-trade check, tiers and scenarios.

A vector marked as a defect is held to the outcome its `redesign` wants, not to what was shipped.
"""

from collections.abc import Callable

import pytest

from .legacy_formulas import (
    check_available,
    check_compare,
    check_dynamic,
    check_pnl,
    check_static,
    check_static_equals_dynamic,
    check_usage,
)
from .legacy_probes import check_probe
from .legacy_scenarios import check_close_by_price, check_fee, check_isolation, check_reconcile, check_scenario
from .legacy_tiers import check_evaluate, check_full_threshold
from .legacy_trials import check_validate
from .legacy_values import Json


def check_any_probe(vector: Json) -> None:
    (check_fee if set(vector["input"]) == {"fee", "balance"} else check_probe)(vector)


CHECKS: dict[str, Callable[[Json], None]] = {
    "pnl": check_pnl,
    "available_margin": check_available,
    "margin_usage_ratio": check_usage,
    "dynamic_liq_prices": check_dynamic,
    "static_liq_price": check_static,
    "static_equals_dynamic": check_static_equals_dynamic,
    "evaluate_account": check_evaluate,
    "effective_full_threshold": check_full_threshold,
    "compare": check_compare,
    "validate_trade": check_validate,
    "scenario": check_scenario,
    "isolation": check_isolation,
    "reconcile": check_reconcile,
    "close_by_price": check_close_by_price,
    "probe": check_any_probe,
}


def test_legacy_vector(legacy_vector: Json, record_property: Callable[[str, object], None]) -> None:
    check = CHECKS.get(legacy_vector["op"])
    try:
        if check is None:
            pytest.skip(f"{legacy_vector['op']} is no formula, no pre-trade check and no evaluation")
        check(legacy_vector)
    except pytest.skip.Exception:
        record_property("cases", 0)
        raise
