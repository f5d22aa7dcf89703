"""Isolated positions: what is assigned to one is all that it may lose, and all that stands behind it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms_common.contracts.bus.base import encode
from pms_common.contracts.errors import CommandError
from pms_common.decimals import ZERO
from pms_risk.app.approvals import Ask
from pms_risk.domain.account import Account
from pms_risk.domain.books import Books
from pms_risk.domain.cashflows import book_funding
from pms_risk.domain.evaluation import evaluate
from pms_risk.domain.funding import Funding
from pms_risk.domain.house import BAD_DEBT
from pms_risk.domain.liquidation.screen import Row
from pms_risk.domain.position import Position
from pms_risk.domain.reserve import reserve
from pms_risk.domain.snapshot import risk_snapshot, snapshot
from pms_risk.domain.validator.registry import validate
from pms_risk.domain.validator.trial import Trial, compute

from .desk import Desk
from .test_books import assert_equal, opened, trade
from .world import D, Exchange, live, spec


def isolated(cash: str = "1000") -> tuple[Books, Exchange, Account]:
    exchange = Exchange()
    books = opened(exchange, cash)
    books.accounts["a"].set_margin_mode("isolated")
    return books, exchange, books.accounts["a"]


def held(owner: Account, symbol: str = "BTCUSDT") -> Position:
    position = owner.holding(symbol, "BOTH").position
    assert position is not None
    return position


def test_its_initial_margin_is_assigned_to_it() -> None:
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100), leverage=D(10)))
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(120), leverage=D(20)))
    assert held(owner).isolated == held(owner).margin == owner.isolated == owner.margin == D(16)
    assert (owner.cash, owner.cross_cash) == (D(1000), D(984))
    assert owner.isolated_notional == owner.notional == D(220)


def test_a_part_that_is_closed_releases_its_part_of_the_margin_less_its_loss() -> None:
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(4), D(100), leverage=D(10)))
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(1), D(95)))
    assert (held(owner).isolated, owner.cross_cash) == (D(30), D(965))
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(1), D(80)))  # loses 20, of which 10 were released
    assert (held(owner).isolated, owner.cross_cash) == (D(10), D(965))
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(2), D(110)))
    assert (owner.isolated, owner.margin, owner.cash) == (ZERO, ZERO, D(995))


def test_a_reduction_by_a_liquidation_releases_nothing() -> None:
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(10), D(100), leverage=D(10)))
    order, fill = exchange.execute("a", "BTCUSDT", "SELL", D(3), D(95), reduce_only=True)
    before = evaluate(owner, {"BTCUSDT": D(95)}.get, {}, held(owner)).ratio
    books.book(msgspec.structs.replace(order, origin="LIQUIDATION"), fill)
    assert held(owner).isolated == D(85)
    after = evaluate(owner, {"BTCUSDT": D(95)}.get, {}, held(owner)).ratio
    assert after == before * D("0.7")


def test_what_it_loses_beyond_its_margin_is_the_houses() -> None:
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100), leverage=D(10)))
    booking = books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(1), D(60)))
    assert (owner.cash, owner.isolated) == (D(990), ZERO)
    assert books.house.cash[BAD_DEBT, "USDT"] == D(-30)
    assert [entry.cause for entry in booking.account_entries] == ["realized_pnl", "bad_debt"]
    assert_equal(books, exchange)


def test_a_flip_settles_one_and_assigns_to_the_other() -> None:
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100), leverage=D(10)))
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(3), D(110), leverage=D(5)))
    assert (held(owner).quantity, held(owner).isolated, owner.cash) == (D(-2), D(44), D(1010))


def test_its_margin_pays_its_funding() -> None:
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100), leverage=D(10)))
    bookings = book_funding(books, Funding("BTCUSDT", D("0.01"), D(100), 10**12))
    assert (owner.cash, owner.isolated, owner.cross_cash) == (D(999), D(9), D(990))
    assert bookings[0].margined == [held(owner)]


def test_the_margin_of_a_position_opened_after_the_instant_pays_nothing_for_the_one_before_it() -> None:
    books, exchange, owner = isolated()
    terms: Any = {"leverage": D(10)}
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(2), D(100), **terms))
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(2), D(100)))
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100), **terms))
    (paid, _) = book_funding(books, Funding("BTCUSDT", D("0.01"), D(100), 1))
    assert (owner.cash, owner.isolated, paid.margined) == (D(998), D(10), [])


@pytest.mark.parametrize(("price", "cash", "debt"), [(110, 1007, 0), (101, 999, 1), (99, 999, 3)])
def test_profit_makes_up_for_funding_beyond_its_margin(price: int, cash: int, debt: int) -> None:
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100), leverage=D(100)))
    book_funding(books, Funding("BTCUSDT", D("0.03"), D(100), 10**12))
    assert (owner.cash, owner.isolated) == (D(997), D(-2))
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(1), D(price)))
    assert (owner.cash, owner.isolated) == (D(cash), ZERO)
    assert books.house.cash.get((BAD_DEBT, "USDT"), ZERO) == -D(debt)


def test_a_part_closed_at_a_profit_makes_up_for_it_too_and_the_rest_stays_owed() -> None:
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(2), D(100), leverage=D(100)))
    book_funding(books, Funding("BTCUSDT", D("0.03"), D(100), 10**12))
    assert owner.isolated == D(-4)
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(1), D(103)))
    assert (owner.isolated, owner.cross_cash) == (D(-1), D(998))
    books.book(*exchange.execute("a", "BTCUSDT", "SELL", D(1), D(103)))
    assert owner.cash == D(1000)
    assert (BAD_DEBT, "USDT") not in books.house.cash


def test_nobody_loses_what_the_account_has_not() -> None:
    """The application lowers the balance below what is assigned: the positions answer for it in proportion."""
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(30), D(100)))
    books.book(*exchange.execute("a", "ETHUSDT", "SELL", D(10), D(100)))
    marks = {"BTCUSDT": D(100), "ETHUSDT": D(100), "BNBUSDT": D(100)}.get
    btc, eth = held(owner), held(owner, "ETHUSDT")
    books.transfer(owner, D(-800), "sub_accounts:0", 1, "admin_set")
    assert [evaluate(owner, marks, {}, one).equity for one in (btc, eth)] == [D(150), D(50)]
    books.transfer(owner, D(-300), "sub_accounts:1", 1, "admin_set")
    assert sum(evaluate(owner, marks, {}, one).equity for one in (btc, eth)) == owner.cash == D(-100)
    assert Row(owner, {}, 0.8, btc).ratio({"BTCUSDT": 100.0}) == float(evaluate(owner, marks, {}, btc).ratio)
    owner.set_margin_mode("cross")
    books.book(*exchange.execute("a", "BNBUSDT", "BUY", D(1), D(100)))
    assert [evaluate(owner, marks, {}, one).equity for one in (btc, eth)] == [D(300), D(100)], "it goes first"
    assert evaluate(owner, marks, {}).equity == D(-500)


def test_positions_keep_their_mode_to_their_end() -> None:
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    owner.set_margin_mode("cross")
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    books.book(*exchange.execute("a", "ETHUSDT", "BUY", D(1), D(100)))
    assert held(owner).isolated == D(20)
    assert held(owner, "ETHUSDT").isolated is None
    assert (owner.isolated, owner.margin) == (D(20), D(30))


def mixed() -> tuple[Books, Account]:
    """1 000 cash, cross long 5 ETH and isolated long 1 BTC, both at 100 and 10 times."""
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    owner.set_margin_mode("cross")
    books.book(*exchange.execute("a", "ETHUSDT", "BUY", D(5), D(100)))
    return books, owner


def test_both_kinds_are_evaluated_apart() -> None:
    _, owner = mixed()
    marks = {"BTCUSDT": D(92), "ETHUSDT": D(200)}.get
    cross = evaluate(owner, marks, {})
    assert (cross.balance, cross.pnl, cross.maintenance) == (D(990), D(500), D("2.5"))
    assert [position.symbol for position in cross.positions] == ["ETHUSDT"]
    alone = evaluate(owner, marks, {}, held(owner))
    assert (alone.balance, alone.equity, alone.ratio) == (D(10), D(2), D("0.25"))
    assert (cross.isolated, alone.isolated) == ("", held(owner).id)


@given(
    side=st.sampled_from(["BUY", "SELL"]),
    price=st.integers(1, 10**6).map(lambda n: D(n) / 100),
    leverage=st.integers(1, 100).map(D),
    paid=st.integers(0, 90).map(lambda n: D(n) / 100),
)
@settings(deadline=None)
def test_it_reaches_the_threshold_at_its_liquidation_price(
    side: Any, price: Decimal, leverage: Decimal, paid: Decimal
) -> None:
    books, exchange, owner = isolated("100000000")
    books.book(*exchange.execute("a", "BTCUSDT", side, D(7), price, leverage=leverage))
    position = held(owner)
    assert position.isolated is not None
    position.isolated -= position.isolated * paid
    (found,) = evaluate(owner, {"BTCUSDT": price}.get, {}, position).liquidation_prices()
    if found:
        ratio = evaluate(owner, {"BTCUSDT": found}.get, {}, position).ratio
        assert ratio == pytest.approx(owner.rules.liquidation_threshold, rel=D("1E-12"))


def test_what_is_shown_keeps_both_apart() -> None:
    _, owner = mixed()
    shot = risk_snapshot(owner, {"BTCUSDT": D(92), "ETHUSDT": D(110)}.get, {}, 5)
    assert (shot.equity, shot.unrealized_pnl, shot.margin_used) == (D(1042), D(42), D(60))
    assert shot.available_margin == D(990)
    assert shot.maintenance_margin == D("2.5")
    by_symbol = {row.symbol: row for row in shot.positions}
    assert (by_symbol["BTCUSDT"].margin_mode, by_symbol["BTCUSDT"].margin_ratio) == ("isolated", D("0.25"))
    assert by_symbol["BTCUSDT"].liquidation_price == by_symbol["BTCUSDT"].isolated_liquidation_price
    assert (by_symbol["ETHUSDT"].margin_mode, by_symbol["ETHUSDT"].margin_ratio) == ("cross", None)
    assert snapshot(owner, {"BTCUSDT": D(92), "ETHUSDT": D(110)}.get).available_margin == shot.available_margin
    assert b'"marginMode":"isolated"' in encode(shot)


def test_neither_its_margin_nor_its_profit_is_available_for_others() -> None:
    books, exchange, owner = isolated("100")
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(6), D(100)))
    owner.set_margin_mode("cross")
    marks = {"BTCUSDT": D(150), "ETHUSDT": D(100)}.get

    def trial(quantity: str) -> Trial:
        given = {"account": owner, "symbol": "ETHUSDT", "side": "BUY", "quantity": D(quantity), "leverage": D(1)}
        pnl, _ = owner.pnl(marks)
        return Trial(**given, mark=D(100), pnl=pnl, isolated_pnl=owner.isolated_pnl(marks), marks=marks)  # type: ignore[arg-type]

    computed = compute(trial("0.3"), owner, D(100), D(300))
    assert (computed.equity, computed.available, computed.maintenance) == (D(40), D(40), ZERO)
    assert not validate(trial("0.3")).errors or {e.code for e in validate(trial("0.3")).errors} == {
        "MAX_EXPOSURE_EXCEEDED"
    }
    assert "INSUFFICIENT_MARGIN" in {error.code for error in validate(trial("0.5")).errors}
    with pytest.raises(CommandError):
        reserve(owner, [live("o1", "BUY", "0.5", 100, symbol="ETHUSDT", leverage=D(1))], owner.cash, ZERO)


@pytest.mark.parametrize(
    ("leverage", "held", "mode", "refused"),
    [
        (100, None, "isolated", False),
        (180, None, "isolated", True),  # 0.5 % is 0.9 of what it gets
        (180, None, "cross", False),
        (180, "cross", "isolated", False),
        (180, "isolated", "cross", True),
    ],
)
def test_a_leverage_that_would_have_it_liquidated_at_once_is_refused(
    leverage: int, held: Any, mode: Any, refused: bool
) -> None:
    books, exchange, owner = isolated("100000")
    if held is not None:
        owner.set_margin_mode(held)
        books.book(*exchange.execute("a", "BTCUSDT", "BUY", D("0.1"), D(100)))
    owner.set_margin_mode(mode)
    owner.set_rules(replace(owner.rules, max_leverage=D(500)))
    given: dict[str, Any] = {"account": owner, "symbol": "BTCUSDT", "side": "BUY", "quantity": D(1)}
    errors = validate(Trial(**given, leverage=D(leverage), mark=D(100), pnl=ZERO)).errors
    assert [error.field for error in errors] == (["leverage"] if refused else [])


def test_in_hedge_mode_the_profit_of_a_leg_that_others_close_is_not_available() -> None:
    desk = Desk(100)
    desk.state.mode = "hedge"
    owner = desk.account
    owner.set_margin_mode("isolated")
    desk.state.books.book(*Exchange().execute("a", "BTCUSDT", "SELL", D(9), D(100), leg="SHORT"))
    desk.price(50)
    ask = Ask(owner, spec(), "BUY", D(1), D(10), "MARKET")
    assert desk.approvals.judge(ask)[1] == D(550), "it would close the leg"
    owner.put_order(live("target", "BUY", 9, 10, leg="SHORT", reduce_only=True))
    assert desk.approvals.judge(ask)[1] == D(100)


def test_an_order_that_adds_reserves_what_it_will_be_assigned() -> None:
    books, exchange, owner = isolated()
    books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100), leverage=D(50)))
    owner.put_order(live("o1", "BUY", 1, 120, leverage=D(10)))
    assert owner.reserved_margin == D(12)
    owner.drop_order("o1")
    owner.put_order(live("o2", "SELL", 3, 120, leverage=D(10)))
    assert owner.reserved_margin == D(22), "of 24 it gets 2 back"


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_r18_no_execution_takes_more_than_what_is_assigned(data: st.DataObject) -> None:
    """Invariant 3 with both kinds of positions; the cash behind the cross ones changes by theirs alone."""
    exchange = Exchange()
    books = opened(exchange)
    for step in data.draw(st.lists(trade, min_size=1, max_size=40)):
        owner = books.accounts.get(str(step["account_id"]))
        if owner is not None:
            owner.set_margin_mode(data.draw(st.sampled_from(["cross", "isolated"])))
        position = owner.holding(str(step["symbol"]), "BOTH").position if owner is not None else None
        alone, paid = position is not None and position.isolated is not None, owner.cross_cash if owner else ZERO
        order, fill = exchange.execute(**step)
        origin = data.draw(st.sampled_from(["MANUAL", "LIQUIDATION"]))
        booking = books.book(msgspec.structs.replace(order, origin=origin), fill)
        assert_equal(books, exchange)
        if owner is None:
            continue
        isolates = [one for one in owner.open_positions() if one.isolated is not None]
        assert owner.isolated == sum([one.margin for one in isolates], ZERO)
        assert owner.isolated_notional == sum([one.notional for one in isolates], ZERO)
        assert all(one.margin >= 0 for one in isolates)
        closes = all(one.kind in ("reduced", "closed") for one in booking.own_steps)
        if alone and closes and owner.positions:
            assert owner.cross_cash >= paid - booking.paid
