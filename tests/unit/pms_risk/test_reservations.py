"""Reservations: margin is never promised twice (invariant 5), nor is a position closed twice (invariant 4)."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pms_common.contracts.errors import CommandError, ErrorCode
from pms_risk.domain.account import Account
from pms_risk.domain.books import Books
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.plan import split
from pms_risk.domain.reserve import committed, reserve

from .world import D, Exchange, account, live, position_id

FEE = D("0.0005")


def holder(cash: str = "1000") -> Account:
    books = Books(position_id)
    return account(books, "a", cash)


def held(owner: Account, quantity: int, price: int, leverage: int = 10) -> None:
    books = Books(position_id)
    books.accounts["a"] = owner
    side: Any = "BUY" if quantity > 0 else "SELL"
    books.book(*Exchange().execute("a", "BTCUSDT", side, D(abs(quantity)), D(price), leverage=D(leverage)))


def test_an_opening_order_reserves_margin_at_its_bound() -> None:
    owner = holder()
    owner.put_order(live("o1", "BUY", 2, 100))
    assert (owner.reserved_margin, owner.reserved_notional) == (20, 200)
    owner.change_order(owner.orders["o1"], quantity=D(2), bound=D(100), executed=D("0.5"))
    assert owner.reserved_margin == 15
    owner.drop_order("o1")
    assert (owner.reserved_margin, owner.holdings) == (0, {})


def test_buys_and_sells_net_so_the_larger_need_counts() -> None:
    owner = holder()
    owner.put_order(live("o1", "BUY", 2, 100))
    owner.put_order(live("o2", "SELL", 3, 100))
    assert owner.reserved_margin == 30


def test_what_closes_needs_nothing_and_the_dearest_orders_count_as_opening() -> None:
    owner = holder()
    held(owner, 10, 100)
    owner.put_order(live("o1", "SELL", 10, 200))
    assert owner.reserved_margin == 0
    owner.put_order(live("o2", "SELL", 10, 100))
    assert owner.reserved_margin == 200 - owner.margin, "the cheap one may close, and the dear one open"


def test_a_lower_leverage_counts_for_the_whole_position() -> None:
    owner = holder()
    held(owner, 1, 100, leverage=10)
    owner.put_order(live("o1", "BUY", 1, 100, leverage=D(2)))
    assert owner.margin + owner.reserved_margin == 100


def test_reserve_is_all_or_none() -> None:
    owner = holder("30")
    with pytest.raises(CommandError) as refused:
        reserve(owner, [live("o1", "BUY", 2, 100), live("o2", "BUY", 2, 100)], D(30), FEE)
    assert refused.value.code is ErrorCode.INSUFFICIENT_MARGIN
    assert not owner.orders
    reserve(owner, [live("o1", "BUY", 2, 100)], D(30), FEE)
    assert owner.reserved_margin == 20


def test_closing_is_reserved_even_when_the_account_is_under_water() -> None:
    owner = holder("10")
    held(owner, 1, 100)
    reserve(owner, [live("o1", "SELL", 1, 100)], D(-50), FEE)
    assert owner.orders


def refusal_of(owner: Account, mode: Any, side: Any, quantity: int, reduce_only: bool) -> ErrorCode | None:
    try:
        split(owner, mode, "BTCUSDT", side, D(quantity), reduce_only)
    except CommandError as error:
        return error.code
    return None


def test_invariant_4_closers_never_exceed_the_position() -> None:
    owner = holder()
    assert refusal_of(owner, "oneway", "SELL", 1, True) is ErrorCode.REDUCE_ONLY_REJECTED
    held(owner, 5, 100)
    owner.put_order(live("o1", "SELL", 3, 100, reduce_only=True))
    assert refusal_of(owner, "oneway", "SELL", 2, True) is None
    assert refusal_of(owner, "oneway", "SELL", 3, True) is ErrorCode.REDUCE_ONLY_REJECTED
    assert refusal_of(owner, "oneway", "BUY", 1, True) is ErrorCode.REDUCE_ONLY_REJECTED
    assert refusal_of(owner, "oneway", "SELL", 3, False) is ErrorCode.RISK_REJECTED
    assert refusal_of(owner, "oneway", "SELL", 2, False) is None
    assert refusal_of(owner, "oneway", "BUY", 50, False) is None


def test_a_plain_order_may_flip_and_tells_whether_it_only_closes() -> None:
    owner = holder()
    held(owner, 5, 100)
    assert split(owner, "oneway", "BTCUSDT", "SELL", D(8), False)[0].closes is False
    assert split(owner, "oneway", "BTCUSDT", "SELL", D(5), False)[0].closes is True


def test_hedge_splits_an_opposite_order_over_the_legs() -> None:
    owner = holder()
    books = Books(position_id)
    books.accounts["a"] = owner
    books.book(*Exchange().execute("a", "BTCUSDT", "BUY", D(5), D(100), leg="LONG"))
    parts = split(owner, "hedge", "BTCUSDT", "SELL", D(8), False)
    assert [(part.leg, part.quantity, part.closes) for part in parts] == [("LONG", 5, True), ("SHORT", 3, False)]
    owner.put_order(live("o1", "SELL", 4, 100, leg="LONG"))
    parts = split(owner, "hedge", "BTCUSDT", "SELL", D(8), False)
    assert [(part.leg, part.quantity) for part in parts] == [("LONG", 1), ("SHORT", 7)]
    assert refusal_of(owner, "hedge", "SELL", 2, True) is ErrorCode.REDUCE_ONLY_REJECTED


class Desk(RuleBasedStateMachine):
    """Orders are approved, executed in part and in any order, amended down, cancelled; prices stay where they are.

    With executions at or better than the bound, at a mark equal to it, what is used and reserved never passes equity.
    """

    PRICE = D(100)

    def __init__(self) -> None:
        super().__init__()
        self.books = Books(position_id)
        self.exchange = Exchange()
        self.account = account(self.books, "a", "500")
        self.number = 0
        self.closes_beyond = D(0)

    def equity(self) -> Decimal:
        return self.account.cash + self.account.pnl(lambda _: self.PRICE)[0]

    @rule(
        side=st.sampled_from(["BUY", "SELL"]),
        quantity=st.integers(1, 60),
        leverage=st.sampled_from([1, 5, 10, 50]),
        reduce_only=st.booleans(),
    )
    def approve(self, side: Any, quantity: int, leverage: int, reduce_only: bool) -> None:
        self.number += 1
        try:
            split(self.account, "oneway", "BTCUSDT", side, D(quantity), reduce_only)
            order = live(f"o{self.number}", side, quantity, self.PRICE, leverage=D(leverage), reduce_only=reduce_only)
            reserve(self.account, [order], self.equity(), FEE)
        except CommandError:
            return

    @rule(mode=st.sampled_from(["cross", "isolated"]))
    def set_margin_mode(self, mode: Any) -> None:
        self.account.set_margin_mode(mode)

    @rule(data=st.data())
    def execute(self, data: st.DataObject) -> None:
        if not self.account.orders:
            return
        order: LiveOrder = data.draw(
            st.sampled_from([self.account.orders[name] for name in sorted(self.account.orders)])
        )
        quantity = D(data.draw(st.integers(1, int(order.remaining))))
        booking = self.books.book(
            *self.exchange.execute(
                "a",
                "BTCUSDT",
                order.side,
                quantity,
                self.PRICE,
                reduce_only=order.reduce_only,
                leverage=order.leverage,
                commission=quantity * self.PRICE * FEE,
            )
        )
        self.closes_beyond += booking.excess
        if quantity == order.remaining:
            self.account.drop_order(order.client_order_id)
        else:
            executed = order.executed + quantity
            self.account.change_order(order, quantity=order.quantity, bound=order.bound, executed=executed)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.account.orders:
            self.account.drop_order(data.draw(st.sampled_from(sorted(self.account.orders))))

    @invariant()
    def never_more_than_equity(self) -> None:
        closing_fees = D(500) * FEE * 100  # closings pay theirs from what they release
        assert committed(self.account, FEE) <= self.equity() + closing_fees

    @invariant()
    def reduce_only_never_passes_the_position(self) -> None:
        assert self.closes_beyond == 0
        holding = self.account.holding("BTCUSDT", "BOTH")
        for orders, side in ((holding.buys, "BUY"), (holding.sells, "SELL")):
            if any(order.reduce_only for order in orders):
                assert holding.unreserved(side) >= 0  # type: ignore[arg-type]

    @invariant()
    def totals_are_sums(self) -> None:
        holdings = self.account.holdings.values()
        assert self.account.reserved_margin == sum((h.reserved_margin for h in holdings), D(0))
        assert self.account.notional == sum((h.notional for h in holdings), D(0))
        assert abs(self.account.margin - sum((h.margin for h in holdings), D(0))) < D("1E-15")


TestInvariants4And5 = Desk.TestCase
TestInvariants4And5.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
