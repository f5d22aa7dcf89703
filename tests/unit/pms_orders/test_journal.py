"""From when on the journal is told again at a start."""

import pytest
from tests.unit.pms_orders.orders import NOW

from pms_orders.adapters.recall import MAX_REPEAT_MS, REPEAT_MS, _recent_since


@pytest.mark.parametrize(
    ("newest_ms", "heard_ms", "since_ms"),
    [
        (NOW, NOW, NOW - REPEAT_MS),
        (NOW, NOW + 5_000, NOW - REPEAT_MS),
        (NOW, NOW - 600_000, NOW - 600_000 - REPEAT_MS),  # Redis was away for ten minutes
        (NOW, 0, NOW - MAX_REPEAT_MS),
        (0, 0, -REPEAT_MS),
    ],
)
def test_the_journal_is_told_again_since_redis_last_heard(newest_ms: int, heard_ms: int, since_ms: int) -> None:
    assert _recent_since(newest_ms, heard_ms) == since_ms
