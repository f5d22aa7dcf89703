"""Asserts of the recorded vectors' checks show their values, as those of test modules do."""

import pytest

for checks in ("formulas", "probes", "scenarios", "tiers", "trials"):
    pytest.register_assert_rewrite(f"tests.unit.pms_risk.legacy_{checks}")
