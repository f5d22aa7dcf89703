"""What a difference to the JS application's tables means, and how its numbers and words are read."""

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_risk.world import position_id

from pms_common.contracts.symbols import ccxt_symbol, native_symbol
from pms_risk.domain.account import Account
from pms_risk.domain.administration import MAX_BALANCE, Balance, Difference, apply, terms_of, unreadable
from pms_risk.domain.books import Books
from pms_risk.domain.position import WALLET_UNIT

D = Decimal
doubles = st.floats(-MAX_BALANCE, MAX_BALANCE)
cents = st.decimals(min_value=-(10**12), max_value=10**12, places=8)


def account() -> Account:
    return Account("a", "one", 1)


def difference(shared: dict[str, Any], agreed: dict[str, Any], ours: dict[str, Any]) -> Difference:
    terms = terms_of(account())
    return Difference("a", terms | shared, terms | agreed, terms | ours)


@given(exact=cents, found=cents, value=doubles)
def test_a_balance_set_by_another_is_found_to_the_wallets_unit(exact: Decimal, found: Decimal, value: float) -> None:
    left = float(exact)
    by_now = Balance(value, left, exact, found).found_by_now()
    if value == left:
        assert by_now == found
    else:
        assert exact + (by_now - found) == D(repr(value)).quantize(WALLET_UNIT, ROUND_HALF_UP)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_a_balance_that_is_no_number_is_none(value: float) -> None:
    assert Balance(value, 1.0, D(1), D(3)).found_by_now() == 3


def test_what_differs_from_what_was_agreed_is_a_change_of_whose_it_is() -> None:
    found = difference({"status": "FROZEN"}, {}, {"max_leverage": 5.0})
    assert (found.theirs(), found.own()) == ({"status": "FROZEN"}, {"max_leverage": 5.0})


def test_an_account_that_is_not_in_our_tables_has_no_change_of_ours() -> None:
    terms = terms_of(account())
    assert Difference("a", terms, terms, None).own() == {}


def test_where_both_changed_one_thing_theirs_stands() -> None:
    found = difference({"status": "ACTIVE"}, {"status": "FROZEN"}, {"status": "LIQUIDATED"})
    assert (found.theirs(), found.own()) == ({"status": "ACTIVE"}, {})


def test_a_word_nobody_knows_is_agreed_on_as_it_is_and_read_with_caution() -> None:
    strange = {"status": "ON_HOLIDAY", "liquidation_mode": "SLOWLY"}
    one = account()
    assert apply(one, strange)
    assert (one.status, one.liquidation_mode) == ("FROZEN", "ADL_30")
    agreed = difference(strange, strange, {"status": "FROZEN"})
    assert (agreed.theirs(), agreed.own()) == ({}, {})
    assert not apply(one, strange)


def test_numbers_become_what_people_wrote() -> None:
    one = account()
    apply(one, {"maintenance_rate": 0.1, "max_notional_per_trade": 1e7, "name": "two"})
    assert (one.maintenance_rate, one.rules.max_notional_per_trade, one.name) == (D("0.1"), D("1E+7"), "two")
    assert one.rules.max_open_orders == 200
    assert unreadable({"name": "x", "max_leverage": math.nan, "maintenance_rate": -1.0}) == {
        "max_leverage",
        "maintenance_rate",
    }


@pytest.mark.parametrize("threshold", [0.0, -0.0, -1.0, 1.1, math.nan])
def test_a_liquidation_threshold_of_0_or_above_1_is_not_taken(threshold: float) -> None:
    assert unreadable({"liquidation_threshold": threshold}) == {"liquidation_threshold"}
    assert unreadable({"liquidation_threshold": 0.01, "max_leverage": 0.0}) == set()
    assert unreadable({"liquidation_threshold": 1.0}) == set()


def test_a_set_balance_has_its_counter_entry_in_the_house() -> None:
    books = Books(position_id)
    one = books.accounts["a"] = account()
    credit, debit = books.transfer(one, D("-5.5"), "sub_accounts:0", 7, "admin_set")
    assert (credit.cause, debit.cause, credit.amount + debit.amount) == ("admin_set", "admin_set", 0)
    assert books.cash("USDT") == 0


@given(st.from_regex(r"[A-Z0-9]{1,8}USDT(_[0-9]{6})?", fullmatch=True))
def test_symbols_of_either_form_name_the_same(symbol: str) -> None:
    assert native_symbol(ccxt_symbol(symbol)) == symbol
