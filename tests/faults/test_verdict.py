"""The verdict finds what is wrong: a true story without a difference, and each way in which it can be false."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.faults.hearing import Heard
from tests.faults.verdict import Asked, Truth, differences

from pms_common.contracts.bus.exchange import ForeignOrder
from pms_common.contracts.bus.orders import Fill, OrderUpdate, OrderView
from pms_common.names import Names

NAME, KEY = "PMS_a_LMT_1", "BTCUSDT:7:5"
MONEY = {"price": Decimal(100), "quantity": Decimal(2), "commission": Decimal("0.1"), "realized_pnl": Decimal(0)}


class Story:
    """An order of 2 that was placed and filled at once."""

    def __init__(self) -> None:
        self.asked = Asked()
        self.asked.orders[NAME] = {"account": "a", "request": "r1", "answer": True, "symbol": "BTCUSDT"}
        order = {"clientOrderId": NAME, "orderId": 7, "symbol": "BTCUSDT", "status": "FILLED", "type": "LIMIT"}
        order["timeInForce"] = "GTC"
        trade = {"symbol": "BTCUSDT", "orderId": 7, "id": 5, "price": "100", "qty": "2", "commission": "0.1"}
        state = {"executed_quantity": Decimal(2), "price": Decimal(100), "quantity": Decimal(2)}
        row = {"symbol": "BTCUSDT", "exchange_order_id": 7, "trade_id": 5, **MONEY, "maker": False}
        self.truth = Truth(
            orders=[{**order, "price": "100", "origQty": "2", "executedQty": "2"}],
            trades=[{**trade, "realizedPnl": "0", "maker": False}],
            positions={("BTCUSDT", "BOTH"): Decimal(2)},
            placed_again=[],
            journal={NAME: {"status": "filled", "exchange_order_id": 7, **state}},
            journal_fills=[row],
            pending={NAME: {"status": "FILLED", "exchange_order_id": "7", "price": 100.0, "quantity": 2.0}},
        )
        self.heard = Heard(Names("t"))
        self.heard.results["r1"].append(b'{"success": true}')
        self.heard.positions = {("BTCUSDT", "BOTH"): Decimal(2)}
        self.tell("filled", Decimal(2), KEY)

    def tell(self, state: Any, executed: Decimal, key: str, **more: Any) -> None:
        view = OrderView(
            client_order_id=NAME, account_id="a", symbol="BTCUSDT", side="BUY", order_type="LIMIT",
            quantity=Decimal(2), price=Decimal(100), leverage=Decimal(1), state=state, exchange_order_id=7,
            executed_quantity=executed, version=1, created_ms=1, updated_ms=1,
        )  # fmt: skip
        fill = Fill(trade_id=5, **MONEY, commission_asset="USDT", maker=False, trade_ms=1)
        self.heard._take(OrderUpdate(epoch=1, n=1, key=key, cause="fill", order=view, fill=fill, event_ms=1, **more))

    def kinds(self) -> set[str]:
        return {difference.kind for difference in differences(self.asked, self.heard, self.truth)}


def test_a_true_story_has_no_difference() -> None:
    assert not Story().kinds()


def _twice(story: Story) -> None:
    story.truth.orders *= 2


def _again(story: Story) -> None:
    story.truth.placed_again.append(NAME)


def _others(story: Story) -> None:
    story.heard._take(
        ForeignOrder(epoch=1, n=2, key=KEY, kind="orphan", symbol="BTCUSDT", exchange_order_id=7, event_ms=1)
    )


def _untold(story: Story) -> None:
    story.heard.orders.clear()


def _no_result(story: Story) -> None:
    story.heard.results.clear()


def _unbooked(story: Story) -> None:
    story.truth.journal_fills.clear()


def _stale(story: Story) -> None:
    story.truth.orders[0]["executedQty"] = "1"


def _rests(story: Story) -> None:
    story.asked.cancelled.add(NAME)
    story.truth.orders[0].update(status="PARTIALLY_FILLED")
    story.truth.journal[NAME]["status"] = "active"
    story.heard.orders.clear()
    story.heard.histories.clear()
    story.tell("active", Decimal(2), KEY)


def _still_pending(story: Story) -> None:
    story.truth.pending[NAME]["status"] = "PENDING"


def _unknown_order(story: Story) -> None:
    story.truth.orders.clear()


def _unknown_trade(story: Story) -> None:
    story.truth.trades.clear()


def _other_money(story: Story) -> None:
    story.truth.trades[0]["commission"] = "0.2"


def _backwards(story: Story) -> None:
    story.tell("active", Decimal(1), "k2")
    story.tell("filled", Decimal(2), KEY)


def _lie(story: Story) -> None:
    story.heard.results["r1"] = [b'{"success": false, "errorCategory": "EXCHANGE"}']


def _position(story: Story) -> None:
    story.truth.positions.clear()


@pytest.mark.parametrize(
    ("falsify", "kind"),
    [
        (_twice, "duplicate"),
        (_again, "duplicate"),
        (_others, "duplicate"),
        (_untold, "lost"),
        (_no_result, "lost"),
        (_unbooked, "lost"),
        (_stale, "lost"),
        (_rests, "lost"),
        (_still_pending, "lost"),
        (_unknown_order, "phantom"),
        (_unknown_trade, "phantom"),
        (_other_money, "wrong"),
        (_backwards, "wrong"),
        (_lie, "wrong"),
        (_position, "wrong"),
    ],
)
def test_a_false_one_is_found_by_its_kind(falsify: Callable[[Story], None], kind: str) -> None:
    story = Story()
    falsify(story)
    assert kind in story.kinds()
