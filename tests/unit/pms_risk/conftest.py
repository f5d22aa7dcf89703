"""What was logged; and that asserts of the recorded vectors' checks show their values, as those of test modules do."""

from collections.abc import Callable

import pytest

for checks in ("formulas", "probes", "scenarios", "tiers", "trials"):
    pytest.register_assert_rewrite(f"tests.unit.pms_risk.legacy_{checks}")


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """The lines since the last call, wherever they went: an earlier test of this process may have set up logging."""

    def logged() -> str:
        lines = [capsys.readouterr().out, *caplog.messages]
        caplog.clear()
        return "\n".join(lines)

    return logged
