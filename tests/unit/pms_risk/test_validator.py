"""Pre-trade rules, one by one. The values of the eight old checks are tested on the recorded vectors."""

from typing import Any

import pytest

from pms_risk.domain.account import Account
from pms_risk.domain.books import Books
from pms_risk.domain.rules import Rules
from pms_risk.domain.validator.registry import validate
from pms_risk.domain.validator.trial import Trial

from .world import D, Exchange, account, live, position_id, spec

WIDE = Rules(max_notional_per_trade=D(10**9), max_total_exposure=D(10**9))


def owner(rules: Rules = WIDE, cash: str = "1000", status: Any = "ACTIVE") -> Account:
    books = Books(position_id)
    made = account(books, "a", cash)
    made.rules, made.status = rules, status
    return made


def codes(made: Account | None, **changes: Any) -> list[str]:
    fields: dict[str, Any] = {
        "account": made,
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": D(1),
        "leverage": D(10),
        "mark": D(100),
        "pnl": D(0),
        "spec": spec(),
    }
    return [error.code for error in validate(Trial(**(fields | changes))).errors]


def test_a_plain_order_passes() -> None:
    assert codes(owner()) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": D("NaN")}, "VALIDATION_FAILED"),
        ({"quantity": D(-1)}, "VALIDATION_FAILED"),
        ({"leverage": D(-10)}, "VALIDATION_FAILED"),
        ({"price": D("Infinity")}, "VALIDATION_FAILED"),
        ({"mark": None, "pnl": None}, "NO_PRICE"),
        ({"pnl": None}, "NO_PRICE"),
        ({"state": "halted"}, "TRADING_HALTED"),
        ({"state": "reducing"}, "TRADING_REDUCING"),
        ({"symbol_frozen": True}, "SYMBOL_FROZEN"),
        ({"spec": spec(status="BREAK")}, "SYMBOL_NOT_TRADING"),
        ({"spec": spec(margin_asset="BNB")}, "SYMBOL_NOT_TRADING"),
        ({"quantity": D("1.0005")}, "FILTER_QUANTITY"),
        ({"quantity": D(101)}, "FILTER_QUANTITY"),
        ({"price": D("100.05")}, "FILTER_PRICE"),
        ({"price": D(106)}, "FILTER_PRICE"),
        ({"side": "SELL", "price": D(94)}, "FILTER_PRICE"),
        ({"quantity": D("0.049")}, "EXCHANGE_MIN_NOTIONAL"),
    ],
)
def test_each_refusal(changes: dict[str, Any], code: str) -> None:
    assert codes(owner(cash="100000"), **changes) == [code]


def test_too_small_tells_quantity_and_notional() -> None:
    assert codes(owner(), quantity=D("0.0001")) == ["FILTER_QUANTITY", "EXCHANGE_MIN_NOTIONAL"]


def test_passive_prices_far_from_the_market_are_allowed() -> None:
    assert codes(owner(), price=D(50)) == []
    assert codes(owner(), side="SELL", price=D(150)) == []


def test_accounts_rules_and_states() -> None:
    assert codes(None) == ["ACCOUNT_NOT_FOUND"]
    assert codes(owner(status="FROZEN")) == ["ACCOUNT_FROZEN"]
    assert codes(owner(status="LIQUIDATED")) == ["ACCOUNT_FROZEN"]
    assert codes(owner(Rules(allowed_symbols=frozenset({"ETHUSDT"})))) == ["SYMBOL_NOT_ALLOWED"]
    assert codes(owner(Rules(allowed_symbols=frozenset({"BTCUSDT"})))) == []


def test_reducing_is_allowed_where_new_risk_is_not() -> None:
    frozen = owner(status="FROZEN")
    assert codes(frozen, side="SELL", reduce_only=True, state="reducing", mark=None, pnl=None) == []
    assert codes(frozen, side="SELL", reduce_only=True, state="halted") == ["TRADING_HALTED"]


def test_reservations_count_against_every_limit() -> None:
    made = owner(Rules(max_total_exposure=D(250), max_open_orders=2, max_notional_per_trade=D(10**6)), cash="30")
    made.put_order(live("o1", "BUY", "1.9", 100))
    assert codes(made) == ["MAX_EXPOSURE_EXCEEDED"]
    made.put_order(live("o2", "BUY", "0.1", 100))
    assert codes(made, quantity=D(2)) == [
        "MAX_EXPOSURE_EXCEEDED",
        "INSUFFICIENT_MARGIN",
        "MARGIN_RATIO_EXCEEDED",
        "MAX_OPEN_ORDERS_EXCEEDED",
    ]


def test_profit_of_the_opposite_position_counts_once() -> None:
    made = owner(cash="100")
    books = Books(position_id)
    books.accounts["a"] = made
    books.book(*Exchange().execute("a", "BTCUSDT", "SELL", D(4), D(90)))
    pnl, missing = made.pnl(lambda _: D(100))
    verdict = validate(Trial(made, "BTCUSDT", "BUY", D(4), D(10), mark=D(100), pnl=pnl, spec=spec()))
    assert missing is None
    assert verdict.computed is not None
    assert verdict.computed.equity == 60
    assert verdict.errors == ()
