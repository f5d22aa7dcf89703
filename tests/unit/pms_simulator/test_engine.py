"""What the venue does with orders: events and their order, time in force, amendments, self-trades, reduce-only."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pms_simulator.domain.amendment import Amendment
from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.orders import Order

IMMEDIATE_FILL = ["TRADE_LITE", "NEW/NEW", "ACCOUNT_UPDATE", "TRADE/FILLED"]


def refused(code: int, act: Callable[[], Any]) -> None:
    with pytest.raises(VenueError) as refusal:
        act()
    assert refusal.value.code == code


def amend(desk: Any, order: Order, price: str, quantity: str, **more: Any) -> Order:
    spec = desk.market.spec
    wanted = Amendment(
        int(Decimal(price) * 10**spec.price_places), int(Decimal(quantity) * 10**spec.qty_places), **more
    )
    return desk.engine.amend(desk.main, order, wanted, desk.now_ms)  # type: ignore[no-any-return]


def test_immediate_fill_leaves_in_the_order_the_venue_really_sends(desk: Any) -> None:
    order = desk.place("BUY", "0.010", "60000.10")
    events = desk.events()
    assert [e.get("o", {}).get("x", e["e"]) for e in events] == ["TRADE_LITE", "NEW", "ACCOUNT_UPDATE", "TRADE"]
    assert len({(event["E"], event["T"]) for event in events}) == 1
    lite, new, account, trade = events
    assert new["o"]["b"] == "600.001" and new["o"]["ap"] == "0" and new["o"]["z"] == "0"
    assert lite["t"] == trade["o"]["t"] and trade["o"]["n"] == "0.3000005" and trade["o"]["m"] is False
    assert account["a"]["P"][0]["pa"] == "0.010" and account["a"]["B"][0]["wb"] == "9999.69999950"
    assert order.status == "FILLED"


def test_resting_order_is_filled_by_the_flow_as_maker(desk: Any) -> None:
    order = desk.place("BUY", "0.010", "59990.00")
    assert desk.kinds() == ["NEW/NEW"]
    desk.quote("59980.00", "59985.00")
    assert desk.kinds() == ["TRADE_LITE", "ACCOUNT_UPDATE", "TRADE/FILLED"]
    (trade,) = desk.main.trades
    assert trade.maker and trade.price == order.price and trade.commission == "0.11998"


def test_market_order_through_several_levels(desk: Any) -> None:
    desk.main.wallet = Decimal(1_000_000)
    desk.market.book.set_background(-1, 6_000_020, 5_000)
    order = desk.place("BUY", "7")
    assert desk.kinds() == [
        "TRADE_LITE",
        "TRADE_LITE",
        "NEW/NEW",
        "ACCOUNT_UPDATE",
        "TRADE/PARTIALLY_FILLED",
        "TRADE/FILLED",
    ]
    assert order.quote == 5_000 * 6_000_010 + 2_000 * 6_000_020


def test_market_remainder_expires_for_lack_of_liquidity(desk: Any) -> None:
    order = desk.place("BUY", "0.010")
    desk.quote(size="0.005")
    order = desk.place("BUY", "0.010")
    assert desk.kinds()[-1] == "EXPIRED/EXPIRED"
    assert (order.executed, order.expiry_reason) == (5, "9")


def test_immediate_or_cancel_remainder_expires(desk: Any) -> None:
    desk.quote(size="0.004")
    order = desk.place("BUY", "0.010", "60000.10", timeInForce="IOC")
    assert (order.status, order.executed, order.expiry_reason) == ("EXPIRED", 4, "2")


@pytest.mark.parametrize(("tif", "code"), [("FOK", -5021), ("GTX", -5022)])
def test_fill_or_kill_and_post_only_are_refused_without_a_trace(desk: Any, tif: str, code: int) -> None:
    desk.quote(size="0.004")
    refused(code, lambda: desk.place("BUY", "0.010", "60000.10", timeInForce=tif))
    assert desk.events() == [] and desk.main.orders() == []


def test_client_id_is_unique_among_open_orders_only(desk: Any) -> None:
    order = desk.place("BUY", "0.010", "59000.00", newClientOrderId="same")
    refused(-4116, lambda: desk.place("BUY", "0.010", "59000.00", newClientOrderId="same"))
    desk.engine.cancel(desk.main, order, desk.now_ms)
    again = desk.place("BUY", "0.010", "59000.00", newClientOrderId="same")
    assert desk.main.by_client_id("BTCUSDT", "same") is again


def test_margin_and_brackets(desk: Any) -> None:
    refused(-2019, lambda: desk.place("BUY", "3.5", "59000.00"))
    desk.place("BUY", "3", "59000.00")
    assert desk.main.initial_margin == Decimal("8850")
    desk.place("SELL", "2.9", "61000.00")  # both sides share margin
    refused(-2019, lambda: desk.place("BUY", "0.5", "59000.00"))
    desk.accounts["other"].wallet = Decimal(10**9)
    desk.place("BUY", "900", "59000.00", account="other")
    refused(-2027, lambda: desk.place("BUY", "900", "59000.00", account="other"))  # above 100 M at 20 x


def test_amendment_loses_priority_and_resets_self_trade_prevention(desk: Any) -> None:
    first, second = desk.place("BUY", "0.010", "59990.00"), desk.place("BUY", "0.010", "59990.00")
    amend(desk, first, "59990.00", "0.020", modify_id=7)
    assert first.seq > second.seq and first.stp == "NONE" and first.amendments == 1
    update = desk.events()[-1]["o"]
    assert (update["x"], update["X"], update["M"], update["q"]) == ("AMENDMENT", "NEW", 7, "0.020")
    refused(-5027, lambda: amend(desk, first, "59990.00", "0.020"))
    refused(-4003, lambda: amend(desk, first, "59990.00", "0.000"))


def test_amendment_below_what_is_filled_cancels(desk: Any) -> None:
    order = desk.place("BUY", "0.010", "59990.00")
    desk.quote("59980.00", "59985.00", size="0.004")
    assert order.executed == 4
    assert amend(desk, order, "59990.00", "0.004").status == "CANCELED"


def test_post_only_amended_through_the_market_is_cancelled(desk: Any) -> None:
    order = desk.place("BUY", "0.010", "59990.00", timeInForce="GTX")
    assert amend(desk, order, "60000.10", "0.010").status == "CANCELED"


def test_amendment_through_the_market_takes(desk: Any) -> None:
    order = desk.place("BUY", "0.010", "59990.00")
    desk.events()
    amend(desk, order, "60000.10", "0.010")
    assert desk.kinds() == ["TRADE_LITE", "AMENDMENT/NEW", "ACCOUNT_UPDATE", "TRADE/FILLED"]


@pytest.mark.parametrize(
    ("mode", "maker", "taker"),
    [
        ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "NEW"),
        ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
        ("NONE", "FILLED", "FILLED"),
    ],
)
def test_self_trade_prevention(desk: Any, mode: str, maker: str, taker: str) -> None:
    resting = desk.place("SELL", "0.010", "60000.10")
    desk.quote("60000.00", "60001.00")
    crossing = desk.place("BUY", "0.010", "60000.10", selfTradePreventionMode=mode)
    assert (resting.status, crossing.status) == (maker, taker)
    if mode == "NONE":
        assert len({trade.trade_id for trade in desk.main.trades}) == 1 and len(desk.main.trades) == 2


@pytest.mark.parametrize(("tif", "reason"), [("IOC", "3"), ("GTC", "1")])
def test_reasons_of_self_trade_prevention(desk: Any, tif: str, reason: str) -> None:
    resting = desk.place("SELL", "0.010", "60000.10")
    desk.quote("60000.00", "60001.00")
    mode = {"selfTradePreventionMode": "EXPIRE_BOTH", "timeInForce": tif}
    crossing = desk.place("BUY", "0.010", "60000.10", **mode)
    assert (crossing.expiry_reason, resting.expiry_reason) == (reason, "1")
    assert desk.kinds()[-2:] == ["EXPIRED/EXPIRED_IN_MATCH"] * 2


def test_fill_or_kill_meets_itself_in_two_fills_of_one_trade(desk: Any) -> None:
    resting = desk.place("SELL", "0.010", "60000.10")
    desk.quote("60000.00", "60001.00")
    taking = desk.place("BUY", "0.010", "60000.10", timeInForce="FOK", selfTradePreventionMode="EXPIRE_BOTH")
    assert (resting.status, taking.status) == ("FILLED", "FILLED")
    assert len({trade.trade_id for trade in desk.main.trades}) == 1 and len(desk.main.trades) == 2


def test_good_till_date_order_expires(desk: Any) -> None:
    good_till = {"timeInForce": "GTD", "goodTillDate": str(desk.now_ms + 700_000)}
    order = desk.place("BUY", "0.010", "59000.00", **good_till)
    desk.engine.expire_due(desk.now_ms + 600_000)
    assert order.status == "NEW"
    desk.engine.expire_due(desk.now_ms + 700_000)
    assert order.status == "EXPIRED"
    refused(-5040, lambda: desk.place("BUY", "0.010", "59000.00", timeInForce="GTD", goodTillDate=str(desk.now_ms)))


def test_accounts_trade_with_each_other(desk: Any) -> None:
    desk.quote("59990.00", "60010.00")
    desk.place("SELL", "0.010", "60000.00", account="other")
    desk.place("BUY", "0.010", "60000.00")
    assert desk.position() == Decimal("0.010") and desk.position("other") == Decimal("-0.010")


def test_reduce_only_needs_a_position_is_shrunk_and_counts_resting_closers(desk: Any) -> None:
    refused(-2022, lambda: desk.place("SELL", "0.010", reduceOnly="true"))
    desk.place("BUY", "0.010")
    closer = desk.place("SELL", "0.030", "61000.00", reduceOnly="true")
    assert closer.quantity == 10
    refused(-4118, lambda: desk.place("SELL", "0.010", reduceOnly="true"))
    assert desk.main.initial_margin == pytest.approx(Decimal("30.0003"), abs=Decimal("0.01"))


def test_resting_closers_follow_a_shrinking_position(desk: Any) -> None:
    desk.place("BUY", "0.010")
    near = desk.place("SELL", "0.006", "61000.00", reduceOnly="true")
    far = desk.place("SELL", "0.004", "61500.00", reduceOnly="true")
    desk.place("SELL", "0.003")
    assert (near.quantity, far.quantity) == (6, 1)
    desk.place("SELL", "0.007")
    assert {near.status, far.status} == {"EXPIRED"} and near.expiry_reason == "4"
    assert desk.position() == 0


def test_hedge_mode_keeps_both_legs(desk: Any) -> None:
    desk.main.dual_side = True
    desk.place("BUY", "0.010", positionSide="LONG")
    desk.place("SELL", "0.020", positionSide="SHORT")
    assert (desk.position(side="LONG"), desk.position(side="SHORT")) == (Decimal("0.010"), Decimal("-0.020"))
    shrunk = desk.place("SELL", "0.050", positionSide="LONG")
    assert shrunk.quantity == 10 and desk.position(side="LONG") == 0
    refused(-2022, lambda: desk.place("SELL", "0.010", positionSide="LONG"))
    refused(-4061, lambda: desk.place("SELL", "0.010"))
    refused(-4062, lambda: desk.place("SELL", "0.010", positionSide="LONG", reduceOnly="true"))


def test_profit_is_booked_against_the_pooled_entry(desk: Any) -> None:
    desk.place("BUY", "0.010")
    desk.quote("60999.90", "61000.00")
    desk.place("BUY", "0.010")
    desk.quote("61500.00", "61500.10")
    desk.place("SELL", "0.020")
    trade = desk.main.trades[-1]
    assert Decimal(trade.realized) == Decimal("0.020") * (61500 - (Decimal("60000.10") + 61000) / 2)
    assert desk.main.unrealized == 0 and desk.main.initial_margin == 0


def test_position_turns_through_zero(desk: Any) -> None:
    desk.place("BUY", "0.010")
    desk.place("SELL", "0.030")
    leg = desk.main.holdings["BTCUSDT"].leg("BOTH")
    assert leg.quantity == -20 and leg.entry_price(desk.market.spec) == 60000


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["market", "limit", "quote", "cancel", "reduce"]),
        st.sampled_from(["BUY", "SELL"]),
        st.integers(1, 30),
        st.integers(-40, 40),
        st.sampled_from(["main", "other"]),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS)
def test_money_and_positions_add_up(new_desk: Callable[[], Any], actions: Any) -> None:
    desk = new_desk()
    resting: list[Order] = []
    for kind, side, size, move, account in actions:
        try:
            if kind == "quote":
                middle = 60000 + move * 5
                desk.quote(f"{middle}.00", f"{middle}.10", size=f"{size / 1000:.3f}")
            elif kind == "cancel":
                for order in [order for order in resting if order.is_open][:1]:
                    desk.engine.cancel(desk.accounts[order.account], order, desk.now_ms)
            elif kind == "limit":
                resting.append(desk.place(side, f"{size / 1000:.3f}", f"{60000 + move * 5}.00", account))
            else:
                more = {"reduceOnly": "true"} if kind == "reduce" else {}
                desk.place(side, f"{size / 1000:.3f}", None, account, **more)
        except VenueError as refusal:
            assert refusal.code in {-2022, -4118, -2019, -4131, -4164, -4016, -4024}
        check_accounts(desk)


def check_accounts(desk: Any) -> None:
    for account in desk.accounts.values():
        profits = sum(Decimal(trade.realized) - Decimal(trade.commission) for trade in account.trades)
        assert account.wallet == 10_000 + profits
        assert sum(item.amount for item in account.income) == profits
        held = account.holdings.get("BTCUSDT")
        if held is None:
            continue
        assert held.leg("BOTH").quantity == sum(trade.side * trade.quantity for trade in account.trades)
        assert held.bids == sum(o.price * o.remaining for o in held.orders.values() if o.side > 0)
        assert held.asks == sum(o.price * o.remaining for o in held.orders.values() if o.side < 0)
        assert all(order.is_open and order.seq for order in held.orders.values())
        assert account.initial_margin == held.initial_margin and account.unrealized == held.unrealized
        position = held.leg("BOTH").quantity
        for side in (1, -1):
            closing = sum(o.remaining for o in held.closers.values() if o.side == side)
            assert closing <= max(0, -position * side)
        if not position:
            assert held.leg("BOTH").cost == 0
