"""The formulas of margin accounts held against a second reading of their reference, in fractions: vectors without end.

Nothing of the product's arithmetic is used on the reference's side: entries are quotients, tiers are looked up by their
floor, a price of liquidation by tiers is searched for.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pms_common.contracts.bus.exchange import LeverageBracket
from pms_risk.domain.account import Account
from pms_risk.domain.books import Books
from pms_risk.domain.evaluation import evaluate, static_price
from pms_risk.domain.liquidation.decision import Tiers, decide, facts_of
from pms_risk.domain.math import INSOLVENT_RATIO
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules
from pms_risk.domain.validator.registry import validate
from pms_risk.domain.validator.trial import Trial

from .test_books import assert_equal, opened
from .world import D, Exchange, account, position_id

F = Fraction
RATES, THRESHOLDS = ("0.004", "0.005", "0.02"), ("0.5", "0.8", "0.9", "1")
STEPS = ((0, "0.004", 0), (50_000, "0.005", 50), (250_000, "0.01", 1_300), (1_000_000, "0.025", 16_300))
"""Floor, rate and cum of each tier."""
BRACKETS = tuple(
    LeverageBracket(cap=D(cap), rate=D(rate), cum=D(cum), leverage=50)
    for (_, rate, cum), cap in zip(STEPS, (50_000, 250_000, 1_000_000, 10**12), strict=True)
)


@dataclass(frozen=True)
class Ref:
    """A position, as the reference has it: s, e, q, L and m."""

    s: int
    e: Fraction
    q: Fraction
    leverage: Fraction
    m: Fraction

    @property
    def n(self) -> Fraction:
        return self.e * self.q

    @property
    def u(self) -> Fraction:
        return self.s * (self.m - self.e) * self.q


def sides(s: int) -> str:
    return "LONG" if s > 0 else "SHORT"


quantities = st.decimals("0.001", "50", places=3)
entries = st.decimals("1", "60000", places=2)
moves = st.decimals("0.5", "1.5", places=3)
positions = st.tuples(
    st.sampled_from((1, -1)), entries, quantities, st.sampled_from((D(1), D(5), D(20), D(125))), moves
)


@dataclass
class Case:
    """An account on both sides. Position `n` is on symbol `Sn`."""

    account: Account
    refs: list[Ref]
    cash: Fraction
    rate: Fraction
    threshold: Fraction
    marks: dict[str, Decimal]


@st.composite
def cases(draw: st.DrawFn, most: int = 4) -> Case:
    told = draw(st.lists(positions, min_size=1, max_size=most))
    rate, threshold = draw(st.sampled_from(RATES)), draw(st.sampled_from(THRESHOLDS))
    total = sum((e * q for _, e, q, _, _ in told), D(0))
    cash = (total * draw(st.decimals("0.001", "1.5", places=3))).quantize(D("0.01"))
    owner = account(Books(position_id), "a", cash)
    owner.set_rules(Rules(liquidation_threshold=D(threshold)))
    owner.set_mode("ADL_30", "flat", D(rate))
    refs, marks = [], {}
    for n, (s, e, q, leverage, move) in enumerate(told):
        marks[f"S{n}"] = mark = (e * move).quantize(D("0.01"))
        owner.put_position(Position(str(n), f"S{n}", "BOTH", leverage, n, s * q, s * q * e))
        refs.append(Ref(s, F(e), F(q), F(leverage), F(mark)))
    return Case(owner, refs, F(cash), F(rate), F(threshold), marks)


def same(value: Decimal, wanted: Fraction, scale: Fraction | int = 1) -> bool:
    return abs(F(value) - wanted) <= max(abs(wanted), F(scale)) / 10**18


def ratio(maintenance: Fraction, equity: Fraction) -> Fraction:
    return maintenance / equity if equity > 0 else F(INSOLVENT_RATIO)


@given(cases())
def test_an_account_stands_where_the_reference_says(case: Case) -> None:
    standing = evaluate(case.account, case.marks.get, {})
    u, n = sum((ref.u for ref in case.refs), F(0)), sum((ref.n for ref in case.refs), F(0))
    assert (F(standing.pnl), F(standing.equity), F(standing.maintenance)) == (u, case.cash + u, case.rate * n)
    assert (F(case.account.notional), F(case.account.margin)) == (n, sum((r.n / r.leverage for r in case.refs), F(0)))
    assert same(standing.ratio, ratio(case.rate * n, case.cash + u))


@given(cases())
def test_liquidation_prices_are_the_references(case: Case) -> None:
    floor = case.rate * sum((ref.n for ref in case.refs), F(0)) / case.threshold
    wanted = []
    for ref in case.refs:
        rest = sum((other.u for other in case.refs if other is not ref), F(0))
        need = (floor - case.cash - rest) / ref.q
        wanted.append(max(F(0), ref.e + ref.s * need))
    standing = evaluate(case.account, case.marks.get, {})
    for found, price, ref in zip(standing.liquidation_prices(), wanted, case.refs, strict=True):
        assert same(found, price, case.cash / ref.q)
    largest = max(range(len(wanted)), key=lambda n: (case.refs[n].n, -n))
    shown = standing.account_liquidation_price()
    assert shown is not None and same(shown, wanted[largest], case.cash / case.refs[largest].q)


@given(cases(most=1))
def test_the_static_price_is_the_references(case: Case) -> None:
    (ref,) = case.refs
    slack = case.cash - ref.n * case.rate / case.threshold
    wanted = max(F(0), ref.e - ref.s * slack / ref.q)
    (position,) = case.account.open_positions()
    found = static_price(case.account, position, {}, case.account.cash)
    assert same(found, wanted, case.cash / ref.q)


@given(cases())
def test_a_cut_of_thirty_percent_lowers_the_ratio_by_its_share(case: Case) -> None:
    standing = evaluate(case.account, case.marks.get, {})
    largest = max(case.account.open_positions(), key=lambda held: abs(held.cost))
    share = F(abs(largest.cost)) / F(case.account.notional)
    part = largest.quantity * D("0.3")
    profit = largest.reduce(-part, case.marks[largest.symbol])
    case.account.book_cash(profit, key="k", cause="realized_pnl", reference="r", at_ms=1)
    case.account.refresh(largest.symbol, "BOTH")
    after = evaluate(case.account, case.marks.get, {})
    assert abs(F(after.equity) - F(standing.equity)) <= F(1, 10**8), "without a fee it stays"
    if standing.equity > 1:
        wanted = F(standing.ratio) * (1 - F(3, 10) * share)
        assert abs(F(after.ratio) - wanted) <= wanted / 10**6


# -- the tiers


def wanted_step(mode: str, at: Fraction, equity: Fraction, threshold: Fraction) -> tuple[Any, ...] | None:
    """Section 5 of the reference, row by row."""
    insolvent = equity <= 0 or at >= 1
    if mode == "TAKEOVER" and (insolvent or at >= threshold):
        return "take_over", "INSOLVENCY_TAKEOVER" if insolvent else "VIRTUAL_LIQ", None
    if insolvent or (mode == "INSTANT_CLOSE" and at >= threshold):
        return "close", "INSOLVENCY_GUARD" if insolvent else "INSTANT_CLOSE", None
    if mode == "ADL_30" and at >= threshold:
        return "reduce", "ADL_30", 3 if at >= threshold + F(1, 20) else 2
    if mode == "ADL_30" and at >= threshold - F(1, 10):
        return "warn", "ADL_30", 1
    return None


@given(cases(), st.sampled_from(("ADL_30", "INSTANT_CLOSE", "TAKEOVER")), st.decimals("0.7", "1.1", places=4))
def test_the_step_is_the_references(case: Case, mode: Any, wished: Decimal) -> None:
    """The cash is set so that the ratio is near the tiers, or equity is none."""
    needed = case.rate * sum((ref.n for ref in case.refs), F(0))
    u = sum((ref.u for ref in case.refs), F(0))
    cash = (D(needed.numerator) / D(needed.denominator) / wished).quantize(D("1E-8")) - D(str(float(u))).quantize(
        D("1E-8")
    )
    case.account.book_cash(cash - case.account.cash, key="k", cause="deposit", reference="r", at_ms=1)
    case.account.set_mode(mode, "flat", case.account.maintenance_rate)
    equity = F(case.account.cash) + u
    step = decide(facts_of(case.account, evaluate(case.account, case.marks.get, {}), Tiers(), escalating=False))
    found = (step.act, step.kind, step.tier) if step is not None else None
    assert found == wanted_step(mode, ratio(needed, equity), equity, case.threshold)
    if step is not None and step.act == "reduce":
        largest = max(range(len(case.refs)), key=lambda n: (case.refs[n].n, -n))
        assert (step.position_id, step.fraction) == (str(largest), D("0.3"))


# -- the pre-trade check


@given(
    cases(),
    st.sampled_from(("BUY", "SELL")),
    st.integers(0, 5),
    quantities,
    entries,
    st.sampled_from((D(1), D(10), D(100))),
    st.tuples(*[st.sampled_from((D(50), D(1_000), D(10**5), D(10**8)))] * 2),
    st.none() | st.decimals("0.96", "1", places=3),
)
def test_the_codes_of_the_pre_trade_check_are_the_references(
    case: Case,
    side: Any,
    n: int,
    quantity: Decimal,
    price: Decimal,
    leverage: Decimal,
    limits: tuple[Decimal, Decimal],
    wished: Decimal | None,
) -> None:
    """An opposite position's profit counts once, and the reference's own order of codes holds. Some orders would use
    about what may be used."""
    symbol = f"S{n}"
    mark = case.marks.setdefault(symbol, price)
    s = 1 if side == "BUY" else -1
    opposite = case.refs[n] if n < len(case.refs) and case.refs[n].s == -s else None
    kept = [ref for ref in case.refs if ref is not opposite]
    equity = case.cash + sum((ref.u for ref in case.refs), F(0))
    before = sum((ref.n / ref.leverage for ref in kept), F(0))
    if wished is not None and (room := F(wished) * equity - before) > 0:
        quantity = D(str(round(float(room * F(leverage) / F(mark)), 6))) or quantity
    notional = F(quantity) * F(mark)
    used = before + notional / F(leverage)
    rules = Rules(max_leverage=D(20), max_notional_per_trade=limits[0], max_total_exposure=limits[1])
    case.account.set_rules(rules)
    pnl, _ = case.account.pnl(case.marks.get)
    trial = Trial(
        case.account, symbol, side, quantity, leverage, mark=mark, pnl=pnl, marks=case.marks.get, exchange_leverage=20
    )
    refused = {
        "MAX_LEVERAGE_EXCEEDED": leverage > 20,
        "MAX_NOTIONAL_EXCEEDED": notional > F(limits[0]),
        "MAX_EXPOSURE_EXCEEDED": sum((ref.n for ref in kept), F(0)) + notional > F(limits[1]),
        "INSUFFICIENT_MARGIN": notional / F(leverage) > equity - case.rate * sum((ref.n for ref in kept), F(0)),
        "MARGIN_RATIO_EXCEEDED": ratio(used, equity) >= F(98, 100),
    }
    found = [error.code for error in validate(trial).errors]
    assert found == [code for code, refuses in refused.items() if refuses]


# -- executions


executions = st.lists(
    st.tuples(
        st.sampled_from((1, -1)), st.decimals("0.001", "5", places=3), entries, st.decimals("0", "0.5", places=8)
    ),
    min_size=1,
    max_size=12,
)


@given(executions)
def test_positions_profit_and_fees_are_the_references(told: list[tuple[int, Decimal, Decimal, Decimal]]) -> None:
    """A smaller opposite order reduces, a larger one closes and opens the rest; every fee reaches the balance."""
    exchange = Exchange()
    books = opened(exchange, "10000000")
    owner = books.accounts["a"]
    q, e, cash = F(0), F(0), F(10_000_000)
    for sign, size, price, fee in told:
        side: Any = "BUY" if sign > 0 else "SELL"
        books.book(*exchange.execute("a", "BTCUSDT", side, size, price, commission=fee, leverage=D(10)))
        signed, closing = F(sign * size), F(0)
        if q and (q > 0) != (sign > 0):
            closing = signed if abs(signed) <= abs(q) else -q
        cash += -closing * (F(price) - e) - F(fee)
        q += closing
        opening = signed - closing
        if opening:
            e = (e * abs(q) + F(price) * abs(opening)) / (abs(q) + abs(opening))
            q += opening
        position = owner.holding("BTCUSDT", "BOTH").position
        assert (F(position.quantity) if position is not None else F(0)) == q
        assert abs(F(owner.cash) - cash) <= F(len(told), 10**8)
        if position is not None:
            assert abs(F(position.entry_price) - e) * abs(q) <= F(len(told), 10**8)
            assert position.side == sides(1 if q > 0 else -1)
            assert abs(F(position.margin) - abs(q) * e / 10) <= F(len(told), 10**8)
    assert_equal(books, exchange)


# -- the exchange's tiers


def by_floor(notional: Fraction) -> Fraction:
    """The tier whose floor the notional has passed."""
    _, rate, cum = [step for step in STEPS if step[0] <= notional][-1]
    return notional * F(rate) - cum


@given(cases())
def test_maintenance_by_tiers_is_looked_up_by_the_notional_at_the_mark(case: Case) -> None:
    case.account.set_mode("ADL_30", "brackets", D("0.005"))
    standing = evaluate(case.account, case.marks.get, dict.fromkeys(case.marks, BRACKETS))
    assert F(standing.maintenance) == sum((by_floor(ref.q * ref.m) for ref in case.refs), F(0))


@given(cases())
def test_liquidation_prices_by_tiers_are_where_the_searched_ratio_meets_the_threshold(case: Case) -> None:
    case.account.set_mode("ADL_30", "brackets", D("0.005"))
    found = evaluate(case.account, case.marks.get, dict.fromkeys(case.marks, BRACKETS)).liquidation_prices()
    for ref, price in zip(case.refs, found, strict=True):
        others = [other for other in case.refs if other is not ref]
        cash = case.cash + sum((other.u for other in others), F(0))
        needed = sum((by_floor(other.q * other.m) for other in others), F(0))

        def over(mark: Fraction, ref: Ref = ref, cash: Fraction = cash, needed: Fraction = needed) -> bool:
            equity = cash + ref.s * (mark - ref.e) * ref.q
            return needed + by_floor(ref.q * mark) >= case.threshold * equity

        low, high = F(0), max(F(price) * 2, ref.e * 4) + 1
        if ref.s > 0 and not over(low):
            assert price == 0, "nothing brings it down"
            continue
        if ref.s < 0 and over(low):
            assert price == 0, "it is over its limit at any price"
            continue
        for _ in range(90):  # of a long it is the last mark that is over, of a short the first
            middle = (low + high) / 2
            if over(middle) == (ref.s > 0):
                low = middle
            else:
                high = middle
        assert abs(F(price) - low) <= max(low, F(1)) / 10**9
