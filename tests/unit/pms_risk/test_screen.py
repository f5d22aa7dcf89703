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
    screen.put("a", row)
    for symbol, mid in moves:
        market = market | {symbol: mid}
        screen.move(symbol, mid)
        marks: dict[str, Decimal] = {name: from_float(value) for name, value in market.items()}
        exact = evaluate(owner, marks.get, BRACKETS)
        assert min(row.ratio(market) or 0, 10) == pytest.approx(min(float(exact.ratio), 10), rel=1e-6)
        if exact.ratio >= LIMIT:
            assert "a" in screen.within()


@given(accounts(), markets)
def test_a_calm_market_looks_at_nobody_who_is_safe(owner: Account, market: dict[str, float]) -> None:
    screen = Screen(market)
    row = Row(owner, BRACKETS, float(LIMIT))
    screen.put("a", row)
    ratio = row.ratio(market)
    assert ratio is not None
    assert ("a" in screen.within()) == (ratio >= float(LIMIT) * (1 - 1e-12))


def test_the_widest_move_follows_the_market_back() -> None:
    screen = Screen({"BTCUSDT": 100.0, "ETHUSDT": 100.0})
    screen.move("BTCUSDT", 90.0)
    screen.move("ETHUSDT", 98.0)
    screen.move("BTCUSDT", 99.0)
    assert abs(screen.widest - 0.02) < 1e-12


def test_an_account_that_is_put_again_or_dropped_is_there_once_or_not_at_all() -> None:
    owner = Account("a", "a", 1)
    owner.put_position(Position("p", "BTCUSDT", "BOTH", D(10), 1, D(1), D(100)))
    screen = Screen({"BTCUSDT": 100.0})
    for _ in range(3):
        screen.put("a", Row(owner, {}, 0.8))
    assert list(screen.within()) == ["a"]
    screen.drop("a")
    assert not list(screen.within())
