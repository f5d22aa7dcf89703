"""Maintenance margin and liquidation prices, flat and by the exchange's tiers."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_common.contracts.bus.exchange import LeverageBracket
from pms_risk.domain.books import Books
from pms_risk.domain.evaluation import evaluate
from pms_risk.domain.maintenance import lines, required
from pms_risk.domain.math import Leg, liquidation_prices, static_liquidation_price
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules

from .world import D, account, position_id

ONE = D(1)
TIERS = (
    LeverageBracket(cap=D(50_000), rate=D("0.004"), cum=D(0), leverage=125),
    LeverageBracket(cap=D(250_000), rate=D("0.005"), cum=D(50), leverage=100),
    LeverageBracket(cap=D(1_000_000), rate=D("0.01"), cum=D(1_300), leverage=50),
    LeverageBracket(cap=D(5_000_000), rate=D("0.5"), cum=D(491_300), leverage=1),
)


@pytest.mark.parametrize(
    ("wallet", "others", "pnl", "cum", "quantity", "entry", "rate", "price"),
    [
        ("1535443.01", "0", "0", "135365.00", "3683.979", "1456.84", "0.10", "1114.78"),
        ("1535443.01", "0", "0", "16300.000", "109.488", "32481.980", "0.025", "18778.73"),
        ("1535443.01", "71200.81144", "-56354.57", "135365.00", "3683.979", "1456.84", "0.10", "1153.26"),
        ("1535443.01", "356512.508", "-448192.89", "16300.000", "109.488", "32481.980", "0.025", "26316.89"),
    ],
)
def test_the_venues_own_examples(
    wallet: str, others: str, pnl: str, cum: str, quantity: str, entry: str, rate: str, price: str
) -> None:
    """Two isolated, two cross (support FAQ b3c689c1f50a44cabb3a84e663b81d93); the venue liquidates at a ratio of 1."""
    tier = LeverageBracket(cap=D(10**9), rate=D(rate), cum=D(cum), leverage=1)
    size, cost = D(quantity), D(quantity) * D(entry)
    of = lines("brackets", D(0), size, cost, (tier,))
    own = Leg(size, cost, D(0), of, required(of, D(entry)))
    rest = Leg(ONE, D(0), D(pnl), ((D(0), D(others)),), D(others))
    found = liquidation_prices([own, rest], D(wallet), ONE)[0]
    assert found.quantize(D("0.01")) == D(price)


amounts = st.decimals("0.001", "500", places=3)
prices = st.decimals("1", "90000", places=2)
shares = st.decimals("0.002", "0.9", places=3)
thresholds = st.sampled_from([D("0.3"), D("0.7"), D("0.9"), ONE])


@given(amounts, prices, shares, st.sampled_from(["flat", "brackets"]), st.booleans(), thresholds)
def test_at_the_liquidation_price_the_ratio_is_the_threshold(
    size: Decimal, entry: Decimal, share: Decimal, mode: Any, short: bool, threshold: Decimal
) -> None:
    quantity = -size if short else size
    cost = quantity * entry
    balance = abs(cost) * share
    of = lines(mode, D("0.005"), quantity, cost, TIERS)
    price = static_liquidation_price(quantity, cost, of, balance, threshold)
    if not price:
        return  # a long that its balance carries to zero
    equity, needed = balance + price * quantity - cost, required(of, price)
    if short or any(slope < threshold * quantity and slope * price + offset == needed for slope, offset in of):
        assert abs(needed - threshold * equity) < D("1e-9") * max(needed, ONE)
    better = price * (D("0.999") if short else D("1.001"))
    if required(of, better) < threshold * (balance + better * quantity - cost):
        worse = price * (D("1.001") if short else D("0.999"))
        assert required(of, worse) > threshold * (balance + worse * quantity - cost)


@given(amounts, prices, amounts, prices, shares, thresholds)
def test_a_price_of_the_whole_account_is_where_the_whole_account_meets_the_threshold(
    size: Decimal, entry: Decimal, other: Decimal, other_mark: Decimal, share: Decimal, threshold: Decimal
) -> None:
    books = Books(position_id)
    owner = account(books, "a", str(size * entry * share))
    owner.set_rules(Rules(liquidation_threshold=threshold))
    owner.set_mode("ADL_30", "brackets", D("0.005"))
    owner.put_position(Position("1", "BTCUSDT", "BOTH", D(10), 1, size, size * entry))
    owner.put_position(Position("2", "ETHUSDT", "BOTH", D(10), 1, -other, -other * other_mark))
    brackets = {"BTCUSDT": TIERS[:3], "ETHUSDT": TIERS[:3]}
    found = evaluate(owner, {"BTCUSDT": entry, "ETHUSDT": other_mark}.get, brackets).liquidation_prices()[0]
    if found:
        at = evaluate(owner, {"BTCUSDT": found, "ETHUSDT": other_mark}.get, brackets)
        assert abs(at.maintenance - threshold * at.equity) < D("1e-9") * max(at.maintenance, ONE)


def test_a_symbol_without_tiers_is_reckoned_flat() -> None:
    assert lines("brackets", D("0.005"), D(2), D(200), ()) == lines("flat", D("0.005"), D(2), D(200), TIERS)


def tiers_of(bracket_file: Path) -> dict[str, tuple[LeverageBracket, ...]]:
    content = json.loads(bracket_file.read_text(encoding="utf-8"))
    return {
        symbol: tuple(
            [
                LeverageBracket(
                    cap=D(row["info"]["notionalCap"]),
                    rate=D(row["info"]["maintMarginRatio"]),
                    cum=D(row["info"]["cum"]),
                    leverage=int(row["info"]["initialLeverage"]),
                )
                for row in rows
            ]
        )
        for symbol, rows in content.items()
    }


def test_the_exchanges_tiers_join_and_the_one_that_applies_asks_for_most(
    bracket_file: Path, record_property: Callable[[str, object], None]
) -> None:
    tables = tiers_of(bracket_file)
    record_property("cases", len(tables))
    for symbol, tiers in tables.items():
        floor = D(0)
        for number, tier in enumerate(tiers):
            for notional in (floor, (floor + tier.cap) / 2, tier.cap):
                of = lines("brackets", D(0), ONE, notional, tiers)
                assert required(of, notional) == notional * tier.rate - tier.cum, (symbol, number, notional)
            floor = tier.cap
