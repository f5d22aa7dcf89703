"""What JS sees of an account."""

import json

from pms_common.contracts.base import encode
from pms_risk.domain.books import Books
from pms_risk.domain.snapshot import liquidation_price, risk_snapshot, snapshot

from .world import D, Exchange, account, live, position_id


def books() -> Books:
    made = Books(position_id)
    account(made, "a", "1000")
    made.book(*Exchange().execute("a", "BTCUSDT", "BUY", D("0.3"), D(100), leverage=D(10)))
    return made


def test_the_snapshot_events_carry() -> None:
    shot = json.loads(encode(snapshot(books().accounts["a"], {"BTCUSDT": D(110)}.get)))
    assert shot == {
        "balance": 1000,
        "equity": 1003,
        "marginUsed": 3,
        "availableMargin": 1000,
        "positions": [
            {
                "id": shot["positions"][0]["id"],
                "symbol": "BTCUSDT",
                "side": "LONG",
                "entryPrice": 100,
                "quantity": 0.3,
                "margin": 3,
                "leverage": 10,
            }
        ],
    }


def test_quotients_are_shown_with_the_digits_of_a_double() -> None:
    made = books()
    made.book(*Exchange().execute("a", "BTCUSDT", "BUY", D("0.4"), D(101), leverage=D(3)))
    text = encode(snapshot(made.accounts["a"], {}.get)).decode()
    assert '"entryPrice":100.5714285714286' in text
    assert '"margin":23.46666666666667' in text


def test_the_risk_cache_tells_more() -> None:
    owner = books().accounts["a"]
    owner.put_order(live("o1", "SELL", "0.1", 120, reduce_only=True))
    shot = json.loads(encode(risk_snapshot(owner, {"BTCUSDT": D(90)}.get, {}, 5)))
    position = shot["positions"][0]
    assert (position["markPrice"], position["unrealizedPnl"], position["pnlPercent"]) == (90, -3, -100)
    assert shot["accountLiqPrice"] == position["liquidationPrice"] == 0
    assert (shot["totalExposure"], shot["maintenanceMargin"], shot["unrealizedPnl"]) == (30, 0.15, -3)
    assert shot["openOrders"][0]["orderId"] == "o1"
    assert (shot["status"], shot["timestamp"], shot["liquidationMode"]) == ("ACTIVE", 5, "ADL_30")


def test_without_a_price_what_needs_one_is_null() -> None:
    position = json.loads(encode(risk_snapshot(books().accounts["a"], {}.get, {}, 5)))["positions"][0]
    assert (position["markPrice"], position["unrealizedPnl"], position["pnlPercent"]) == (None, None, None)


def test_the_static_price_is_that_of_the_formula() -> None:
    made = books()
    owner = made.accounts["a"]
    owner.book_cash(D(-990), key="k", cause="withdrawal", reference="r", at_ms=1)
    (position,) = owner.open_positions()
    assert liquidation_price(owner, position, {}) == D("67.22222222222222")
