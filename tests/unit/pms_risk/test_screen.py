"""The screen never overlooks an account: floats may look too often, not too seldom."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_common.decimals import from_float
from pms_risk.domain.account import Account
from pms_risk.domain.evaluation import evaluate
from pms_risk.domain.liquidation.screen import Row, Screen
from pms_risk.domain.position import Position

from .test_maintenance import TIERS
from .world import D

SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT")
BRACKETS = {"BTCUSDT": TIERS[:3], "ETHUSDT": TIERS[:2]}
LIMIT = D("0.8")
mids = st.floats(10, 1_000).map(lambda value: round(value, 2))
markets = st.fixed_dictionaries(dict.fromkeys(SYMBOLS, mids))


@st.composite
def accounts(draw: Any) -> Account:
    made = Account("a", "a", 1)
    notional = D(0)
    for number, symbol in enumerate(draw(st.lists(st.sampled_from(SYMBOLS), min_size=1, unique=True))):
        quantity = draw(st.decimals("0.01", "50", places=2)) * draw(st.sampled_from([1, -1]))
        cost = quantity * draw(st.decimals("10", "1000", places=2))
        made.put_position(Position(str(number), symbol, "BOTH", D(10), 1, quantity, cost))
        notional += abs(cost)
    made.set_mode("ADL_30", draw(st.sampled_from(["flat", "brackets"])), D("0.005"))
    made.book_cash(notional * draw(shares), key="k", cause="deposit", reference="r", at_ms=1)
    return made


shares = st.decimals("0", "0.5", places=3)


@given(accounts(), markets, st.lists(st.tuples(st.sampled_from(SYMBOLS), mids), max_size=8))
def test_an_account_at_its_limit_is_always_within_reach(
    owner: Account, market: dict[str, float], moves: list[tuple[str, float]]
) -> None:
    screen = Screen(market)
    row = Row(owner, BRACKETS, float(LIMIT))
    screen.put(row)
    for symbol, mid in moves:
        market = market | {symbol: mid}
        looked_at = screen.move(symbol, mid)
        marks: dict[str, Decimal] = {name: from_float(value) for name, value in market.items()}
        exact = evaluate(owner, marks.get, BRACKETS)
        assert min(row.ratio(market) or 0, 10) == pytest.approx(min(float(exact.ratio), 10), rel=1e-6)
        if exact.ratio >= LIMIT and symbol in row.symbols:
            assert "a" in looked_at


@given(accounts(), markets)
def test_a_calm_market_looks_at_nobody_who_is_safe(owner: Account, market: dict[str, float]) -> None:
    screen = Screen(market)
    row = Row(owner, BRACKETS, float(LIMIT))
    screen.put(row)
    ratio = row.ratio(market)
    assert ratio is not None
    looked_at = [symbol for symbol, mid in market.items() if "a" in screen.move(symbol, mid)]
    assert set(looked_at) == (row.symbols if ratio >= float(LIMIT) * (1 - 1e-12) else set())


def long(account_id: str, symbol: str = "BTCUSDT", cash: int = 50) -> Row:
    """Long one at 100; with 50 of cash its ratio is 0.8 after a fall of 49 %."""
    owner = Account(account_id, account_id, 1)
    owner.put_position(Position(account_id, symbol, "BOTH", D(10), 1, D(1), D(100)))
    owner.book_cash(D(cash), key="k", cause="deposit", reference="r", at_ms=1)
    return Row(owner, {}, 0.8)


def test_a_move_of_a_symbol_stirs_only_those_who_hold_it_and_they_stay_stirred() -> None:
    screen = Screen({"BTCUSDT": 100.0, "ETHUSDT": 100.0})
    screen.put(long("a"))
    screen.put(long("b", "ETHUSDT"))
    screen.put(long("c", cash=500))
    assert not screen.move("BTCUSDT", 80.0)
    assert set(screen.move("BTCUSDT", 50.0)) == {"a"}
    assert not screen.move("ETHUSDT", 90.0)
    assert set(screen.move("BTCUSDT", 100.0)) == {"a"}


def test_an_account_that_has_changed_counts_as_it_is_now() -> None:
    screen = Screen({"BTCUSDT": 100.0})
    screen.move("BTCUSDT", 60.0)
    screen.put(long("a"))
    screen.put(long("a", cash=500))
    assert not screen.move("BTCUSDT", 40.0), "the entry of what it was is stale"
    screen.put(long("a"))
    assert set(screen.move("BTCUSDT", 100.0)) == {"a"}, "the price had moved beyond its reach before"
    screen.drop("a")
    assert not screen.move("BTCUSDT", 40.0)
