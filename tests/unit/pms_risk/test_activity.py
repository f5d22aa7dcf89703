"""Limits of the loss of a day and of orders a minute."""

from dataclasses import replace

from pms_risk.domain.activity import DAY_MS, Activity

from .closing_steps import opened, position_of, result
from .desk import Desk
from .test_validator import WIDE, codes, owner
from .world import D

NOON = 20_000 * DAY_MS + DAY_MS // 2


def test_the_result_of_a_day_leaves_transfers_out_and_ends_with_the_day() -> None:
    activity = Activity()
    activity.book("realized_pnl", D(-30), NOON)
    activity.book("deposit", D(1000), NOON)
    activity.book("commission", D(-1), NOON + 1)
    activity.book("funding", D("-0.5"), NOON + 2)
    activity.book("realized_pnl", D(-9), NOON - DAY_MS)
    assert activity.result(NOON + 3) == D("-31.5")
    assert activity.result(NOON + DAY_MS) == 0


def test_a_loss_of_the_day_ends_new_risk_and_open_losses_count() -> None:
    made = owner(replace(WIDE, max_daily_loss=D(50)))
    made.activity.book("realized_pnl", D(-40), NOON)
    assert codes(made, now_ms=NOON, pnl=D(-9)) == []
    assert codes(made, now_ms=NOON, pnl=D(-10)) == ["MAX_DAILY_LOSS_REACHED"]
    assert codes(made, now_ms=NOON, pnl=D(500)) == [], "an open profit does not pay for a loss"
    made.activity.book("realized_pnl", D(-10), NOON)
    assert codes(made, now_ms=NOON, pnl=D(500)) == ["MAX_DAILY_LOSS_REACHED"]
    assert codes(made, now_ms=NOON + DAY_MS, pnl=D(0)) == []
    assert codes(made, now_ms=NOON, reduce_only=True) == []


def test_orders_a_minute_are_counted_and_closes_are_not() -> None:
    desk, venue = opened()
    desk.account.set_rules(replace(desk.account.rules, max_orders_per_minute=2))
    for number in (1, 2, 3):
        trade(desk, f"t{number}")
    assert result(desk, "t3")["errorCode"] == "MAX_ORDER_RATE_EXCEEDED"
    assert len(venue.take()) == 2
    desk.send(desk.closes.close, "close", requestId="c", positionId=position_of(desk))
    assert len(venue.take()) == 1
    desk.now_ms += 60_000
    desk.price()
    trade(desk, "t4")
    assert len(venue.take()) == 1


def trade(desk: Desk, request_id: str) -> None:
    fields = {"requestId": request_id, "subAccountId": "a", "symbol": "BTCUSDT", "side": "BUY", "quantity": 0.1}
    desk.send(desk.trading.trade, "trade", leverage=10, **fields)


def test_a_reduce_only_order_needs_something_to_reduce() -> None:
    desk, _ = opened()
    fields = {"requestId": "v", "subAccountId": "a", "symbol": "BTCUSDT", "leverage": 10, "reduceOnly": True}
    desk.send(desk.trading.validate, "validate", side="BUY", quantity=1, **fields)
    assert [error["code"] for error in result(desk, "v")["errors"]] == ["REDUCE_ONLY_REJECTED"]
    desk.send(desk.trading.validate, "validate", side="SELL", quantity=1, **fields | {"requestId": "v2"})
    assert result(desk, "v2")["valid"]
