"""What the venue does of itself: liquidation at the maintenance margin, funding. And the past that late queries see."""

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pms_simulator.domain.amendment import Amendment
from pms_simulator.domain.funding import settle_funding
from pms_simulator.domain.history import History


def test_liquidation_when_the_margin_balance_is_down_to_maintenance(desk: Any) -> None:
    desk.place("BUY", "1.000", "60000.10")  # 60,000 of notional on 10,000
    desk.events()
    desk.quote("50500.00", "50500.10")
    assert desk.position() == 1
    desk.quote("50200.00", "50200.10")
    assert desk.position() == 0
    assert desk.kinds() == ["NEW/NEW", "ACCOUNT_UPDATE", "CALCULATED/FILLED", "ACCOUNT_UPDATE", "ACCOUNT_UPDATE"]
    (order,) = [order for order in desk.main.orders() if order.forced]
    assert order.client_id.startswith("autoclose-") and order.order_type == "LIQUIDATION"
    assert desk.main.wallet == 0  # the fee was more than what was left


def test_open_orders_end_first_and_the_fund_pays_what_the_wallet_cannot(desk: Any) -> None:
    desk.place("BUY", "1.000", "60000.10")
    resting = desk.place("SELL", "1.000", "61000.00")
    desk.quote("48000.00", "48000.10")
    assert (resting.status, resting.expiry_reason) == ("EXPIRED", "5")
    assert desk.main.wallet == 0
    cleared = [item.amount for item in desk.main.income if item.kind == "INSURANCE_CLEAR"]
    assert cleared[0] == Decimal("-600.000625") and cleared[1] > 0
    assert sum(item.amount for item in desk.main.income) == desk.main.wallet - 10_000


def test_no_liquidation_above_maintenance(desk: Any) -> None:
    desk.place("SELL", "1.000", "60000.00")
    desk.quote("69000.00", "69000.10")
    assert desk.position() == -1


def test_funding_of_both_sides(desk: Any) -> None:
    desk.place("BUY", "0.100", "60000.10")
    desk.place("SELL", "0.200", "60000.00", account="other")
    desk.events()
    paid = settle_funding(desk.engine, desk.market, Decimal("0.0005"), desk.now_ms)
    assert paid == {"main": Decimal("-3.0000025"), "other": Decimal("6.000005")}
    (event,) = desk.events()
    assert (event["a"]["m"], event["a"]["S"], event["a"]["P"]) == ("FUNDING_FEE", "BTCUSDT", [])
    assert event["a"]["B"][0]["bc"] == "-3.00000250"
    (income,) = [item for item in desk.main.income if item.kind == "FUNDING_FEE"]
    assert income.amount == paid["main"] and desk.market.fundings[0].rate == Decimal("0.0005")


def test_commissions_are_paid_in_bnb_while_there_is_enough(desk: Any) -> None:
    desk.main.bnb_price = lambda: Decimal(600)
    desk.main.fee_burn = True
    desk.engine.deposit(desk.main, Decimal("0.01"), desk.now_ms, "BNB")
    wallet = desk.main.wallet
    desk.events()
    desk.place("BUY", "0.100", "60000.10")  # 6000.01 x 0.05 % x 0.9 / 600
    assert desk.main.bnb == Decimal("0.01") - Decimal("0.00450001") and desk.main.wallet == wallet
    trade = desk.main.trades[-1]
    assert (trade.commission, trade.commission_asset) == ("0.00450001", "BNB")
    changed, executed = [event for event in desk.events() if event["e"] != "TRADE_LITE"][-2:]
    assert [(item["a"], item["wb"]) for item in changed["a"]["B"]][1] == ("BNB", "0.00549999")
    assert (executed["o"]["n"], executed["o"]["N"]) == ("0.00450001", "BNB")
    desk.place("BUY", "0.200", "60000.10")
    assert desk.main.trades[-1].commission_asset == "USDT", "not enough is left"
    assert sum(item.amount for item in desk.main.income if item.asset == "BNB") == desk.main.bnb


def test_funding_in_hedge_mode_is_a_record_a_leg(desk: Any) -> None:
    desk.main.dual_side = True
    desk.place("BUY", "0.100", "60000.10", positionSide="LONG")
    desk.place("SELL", "0.040", "60000.00", positionSide="SHORT")
    paid = settle_funding(desk.engine, desk.market, Decimal("-0.001"), desk.now_ms)
    assert paid["main"] == Decimal("6.000005") - Decimal("2.400002")
    assert len([item for item in desk.main.income if item.kind == "FUNDING_FEE"]) == 2


ACTS = st.lists(
    st.tuples(st.sampled_from(["place", "take", "cancel", "amend", "market"]), st.integers(0, 5)), max_size=25
)


@given(acts=ACTS, lag=st.integers(0, 30))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_past_is_what_was(new_desk: Any, acts: list[tuple[str, int]], lag: int) -> None:
    """After each act the truth is kept aside; looking back by any lag gives the truth of that moment."""
    desk = new_desk()
    desk.place("BUY", "0.010", "59000.00")
    desk.now_ms += 1
    desk.engine.history = History(desk.accounts.values(), desk.now_ms)
    truths = [(desk.now_ms - 1, truth_of(desk.main, desk))]
    for kind, number in acts:
        act(desk, kind, number)
        desk.engine.history.commit(desk.now_ms, 1_000)
        truths.append((desk.now_ms, truth_of(desk.main, desk)))
        desk.now_ms += 1
    at_ms = desk.now_ms - 1 - lag
    expected = next((truth for ms, truth in reversed(truths) if ms <= at_ms), truths[0][1])
    past = desk.engine.history.lagged(desk.main, at_ms)
    assert truth_of(past, desk) == expected


def truth_of(account: Any, desk: Any) -> Any:
    return (
        [(o.order_id, o.status, o.executed, o.price, o.quantity) for o in account.orders()],
        sorted(o.order_id for o in account.open_orders("BTCUSDT")),
        account.wallet,
        [(leg.side, leg.quantity, leg.cost) for held in account.holdings.values() for leg in held.legs.values()],
        [trade.trade_id for trade in account.trades],
    )


def act(desk: Any, kind: str, number: int) -> None:
    price = str(59000 + number)
    orders = desk.main.open_orders()
    if kind == "place":
        desk.place("BUY", "0.010", price)
    elif kind == "take":
        desk.place("BUY", "0.010", "60000.10")
    elif kind == "market":
        desk.quote(str(58998 + number), str(58998 + number) + ".10", "0.015")
        desk.quote()
    elif orders and kind == "cancel":
        desk.engine.cancel(desk.main, orders[number % len(orders)], desk.now_ms)
    elif orders:
        order = orders[number % len(orders)]
        if order.price != 5_800_000 + 100 * number:
            desk.engine.amend(desk.main, order, Amendment(5_800_000 + 100 * number, order.quantity), desk.now_ms)
