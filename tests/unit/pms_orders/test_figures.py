"""What a scrape tells of orders and of the rate budget is what is true at that moment."""

from pms_common import metrics
from pms_common.clock import monotonic_ms
from pms_common.rate.window import Window
from pms_orders.app.figures import Figures
from pms_orders.domain.rate import Budget, Lane
from pms_orders.domain.tracker import OrderTracker

from .orders import sent


def test_a_scrape_counts_the_orders_by_state_and_the_room_by_lane() -> None:
    tracker, weight = OrderTracker(), Window(60_000, 2_400)
    budget = Budget((Window(10_000, 300), Window(60_000, 1_200)), weight)
    Figures(tracker, budget)
    for name, state in (("PMS_1", "active"), ("PMS_2", "active"), ("PMS_3", "unknown")):
        order = sent(name)
        order.status = state  # type: ignore[assignment]
        tracker.add(order)
    now_ms = monotonic_ms()
    for _ in range(150):
        budget.spend(Lane.NEW, now_ms)
    weight.take(now_ms, 600)
    budget.block(now_ms + 5_000)

    text = metrics.exposition().decode()
    assert 'pms_orders_live{state="active"} 2.0' in text
    assert 'pms_orders_live{state="unknown"} 1.0' in text
    assert 'pms_orders_live{state="placing"} 0.0' in text
    assert 'pms_rate_used_ratio{limit="orders_10s"} 0.5' in text
    assert 'pms_rate_used_ratio{limit="orders_60s"} 0.125' in text
    assert 'pms_rate_used_ratio{limit="weight_60s"} 0.25' in text
    assert 'pms_rate_room{lane="close"} 0.0' in text
    assert 0 < metrics.values("rate_blocked_seconds")[("requests",)] <= 5

    budget.blocked_until_ms = 0
    metrics.exposition()
    rooms = metrics.values("rate_room")
    assert rooms[("close",)] > rooms[("new",)] > rooms[("reprice",)] == 0
    assert metrics.values("rate_blocked_seconds")[("requests",)] == 0
