"""R-11, R-12, R-13, R-20: what no event has told is found by positions, cash flows and trades."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest
from tests.unit.pms_orders.orders import NOW
from tests.unit.pms_orders.others import feed, hear, hears, income, told
from tests.unit.pms_orders.test_reconciling import Rig
from tests.unit.pms_orders.venue import Exchange, queried, traded, venue

from pms_common.contracts.bus.exchange import CashFlows, ForeignOrder
from pms_orders.adapters.binance import queries
from pms_orders.app.account import ExchangeFacts
from pms_orders.app.reconciler import FLOWS_S, HEARD_S


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    exchange = Exchange()
    async with venue(exchange.answer) as rest:
        yield Rig(rest, exchange)


async def test_r25_trades_are_fetched_only_where_something_has_changed(rig: Rig) -> None:
    for n in range(20):
        rig.resting(f"o{n}", symbol=f"S{n}USDT")
        rig.exchange.open_orders.append(queried(f"o{n}", symbol=f"S{n}USDT"))
    old = {"positionSide": "BOTH", "positionAmt": "5", "entryPrice": "1", "updateTime": NOW - 365 * 86_400_000}
    rig.exchange.positions = [{**old, "symbol": f"S{n}USDT"} for n in range(15)]
    rig.exchange.positions[3]["updateTime"] = NOW
    rig.exchange.income = [income("S1USDT"), income("S9USDT", "FUNDING_FEE", 2)]
    del rig.exchange.open_orders[2]
    await rig.reconciler.run()
    assert rig.exchange.asked.count("userTrades") == 3  # by its income, its position and its order
    assert rig.exchange.asked.count("income") == 1
    (flows,) = told(rig, CashFlows)
    assert [(flow.kind, flow.symbol, flow.amount) for flow in flows.flows] == [
        ("FUNDING_FEE", "S9USDT", Decimal("-0.1"))
    ]


async def test_r11_a_missed_liquidation_is_found_by_its_position(rig: Rig) -> None:
    held = {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "1", "entryPrice": "100"}
    rig.exchange.positions = [held]
    await rig.reconciler.run()
    rig.wall_ms += 60_000
    rig.exchange.positions = []
    rig.exchange.orders = {"autoclose-5": queried("autoclose-5", "FILLED", "1", orderId=55)}
    rig.exchange.trades = [traded(1, "1", 55, side="SELL", time=rig.wall_ms)]
    assert await rig.reconciler.look_again() <= 3.5
    (update,) = told(rig, ForeignOrder)
    assert (update.kind, update.client_order_id, update.side) == ("liquidation", "autoclose-5", "SELL")


async def test_r11_a_change_before_a_gap_that_nothing_explains_leads_to_the_trades(rig: Rig) -> None:
    session = hears(rig)
    await rig.reconciler.run()
    rig.wall_ms += 60_000
    position = {"s": "BTCUSDT", "pa": "-1", "ep": "100", "ps": "BOTH"}
    account = {"m": "ORDER", "B": [], "P": [position]}
    hear(session, msgspec.json.encode({"e": "ACCOUNT_UPDATE", "E": NOW, "T": NOW, "a": account}))
    rig.exchange.positions = [{"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-1", "entryPrice": "100"}]
    rig.exchange.orders = {"web_1": queried("web_1", "FILLED", "1", orderId=99)}
    rig.exchange.trades = [traded(5, "1", 99, side="SELL", time=rig.wall_ms)]
    await rig.reconciler.run()  # its execution was lost with the connection, and the list of cash flows is behind
    assert [update.key for update in told(rig, ForeignOrder)] == ["BTCUSDT:99:5"]


async def test_r11_a_missed_payment_is_told_on_a_connection_that_lives(rig: Rig) -> None:
    rig.exchange.balances = [{"asset": "USDT", "balance": "100"}]
    rig.exchange.positions = [{"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "1", "entryPrice": "100"}]
    await rig.reconciler.run()
    await rig.reconciler.look_again()
    assert rig.exchange.asked.count("income") == 1
    rig.exchange.balances = [{"asset": "USDT", "balance": "99.9"}]
    rig.exchange.income = [income("BTCUSDT", "FUNDING_FEE", 7)]
    await rig.reconciler.look_again()
    assert [flow.flow_id for update in told(rig, CashFlows) for flow in update.flows] == [7]


async def test_r12_a_trade_forth_and_back_that_nothing_shows_is_found_by_its_fees(rig: Rig) -> None:
    session = hears(rig)
    await rig.reconciler.run()
    rig.wall_ms += 60_000
    account = {"m": "ORDER", "B": [], "P": [{"s": "BTCUSDT", "pa": "-1", "ep": "100", "ps": "BOTH"}]}
    moved = msgspec.json.encode({"e": "ACCOUNT_UPDATE", "E": NOW, "T": NOW, "a": account})
    hear(session, moved, feed("web_1", "TRADE", "FILLED", 6))
    rig.exchange.income = [income("BTCUSDT"), income("ETHUSDT", number=2)]
    rig.exchange.orders = {"autoclose-5": queried("autoclose-5", "FILLED", "1", orderId=55)}
    trades = [traded(n, "1", 55, side=side, symbol="ETHUSDT") for n, side in ((1, "BUY"), (2, "SELL"))]
    rig.exchange.trades = trades
    rig.exchange.asked.clear()
    rig.exchange.positions = [{"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-1", "entryPrice": "100"}]
    rig.reconciler._flows_s -= FLOWS_S + 1
    await rig.reconciler.look_again()
    fills = [update.key for update in told(rig, ForeignOrder)]
    assert fills == ["BTCUSDT:99:6", "ETHUSDT:55:1", "ETHUSDT:55:2"]
    assert rig.exchange.asked.count("userTrades") == 1, "what was heard of is not asked for again"
    await rig.reconciler.look_again()
    assert rig.exchange.asked.count("income") == 1 and rig.known == [rig.wall_ms - 60_000, rig.wall_ms]


def test_r12_what_was_never_heard_is_unheard_on_a_machine_that_has_just_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: HEARD_S / 2)
    facts = ExchangeFacts(cast("Any", None), lambda: NOW)
    facts.executed("ETHUSDT", "BOTH", Decimal(1))
    assert facts.unheard({"BTCUSDT", "ETHUSDT"}, HEARD_S) == {"BTCUSDT"}


async def test_r13_what_the_queries_after_a_gap_did_not_show_yet_shows_in_the_next_look(rig: Rig) -> None:
    await rig.reconciler.run()
    rig.exchange.positions = [{"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "1", "entryPrice": "100"}]
    rig.exchange.orders = {"autoclose-5": queried("autoclose-5", "FILLED", "1", orderId=55)}
    rig.exchange.trades = [traded(1, "1", 55)]
    assert await rig.reconciler.look_again() <= 3.5
    assert [update.kind for update in told(rig, ForeignOrder)] == ["liquidation"]


async def test_cash_flows_too_many_for_one_look_go_on_in_the_next(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PAGE", 2)
    rig.wall_ms = NOW + 3_600_000
    rig.exchange.income = [{**income("BTCUSDT", "FUNDING_FEE", n), "time": NOW + n * 100_000} for n in range(1, 10)]
    await rig.reconciler.run()
    assert rig.reconciler.known_ms == NOW + 500_000
    await rig.reconciler.run()
    await rig.reconciler.run()
    assert rig.reconciler.known_ms == rig.wall_ms
    flows = {flow.flow_id for update in told(rig, CashFlows) for flow in update.flows}
    assert flows == set(range(1, 10))


async def test_r13_a_page_of_cash_flows_of_one_instant_hides_none_that_follow(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "PAGE", 2)
    rig.wall_ms = NOW + 3_600_000
    since_ms = rig.reconciler._since_ms(rig.wall_ms)
    times = (since_ms, since_ms, since_ms + 5)
    rig.exchange.income = [{**income("BTCUSDT", "FUNDING_FEE", n), "time": ms} for n, ms in enumerate(times, start=1)]
    await rig.reconciler.run()
    assert {flow.flow_id for update in told(rig, CashFlows) for flow in update.flows} == {1, 2, 3}


async def test_r13_cash_flows_of_an_absence_of_weeks_are_all_told(rig: Rig) -> None:
    """The venue lists them a week at a time."""
    day_ms = 86_400_000
    rig.reconciler.known_ms = rig.wall_ms - 20 * day_ms
    rig.exchange.income = [
        {**income("BTCUSDT", "FUNDING_FEE", age), "time": rig.wall_ms - age * day_ms} for age in (19, 12, 5, 1)
    ]
    await rig.reconciler.run()
    assert {flow.flow_id for update in told(rig, CashFlows) for flow in update.flows} == {19, 12, 5, 1}
    assert rig.reconciler.known_ms == rig.wall_ms


@pytest.mark.parametrize("left", ["1", "0"])
async def test_r20_a_leg_that_changed_unheard_is_not_hidden_by_the_other_one(rig: Rig, left: str) -> None:
    leg = {"symbol": "BTCUSDT", "entryPrice": "100", "updateTime": NOW - 3_600_000}
    short = {**leg, "positionSide": "SHORT", "positionAmt": "-1"}
    long = {**leg, "positionSide": "LONG", "positionAmt": "2"}
    rig.exchange.positions = [short, long]
    await rig.reconciler.run()
    rig.wall_ms += 60_000
    reduced = {**long, "positionAmt": left, "updateTime": rig.wall_ms}
    rig.exchange.positions = [short, reduced] if left != "0" else [short]
    rig.exchange.orders = {"adl_autoclose": queried("adl_autoclose", "FILLED", "1", orderId=55)}
    rig.exchange.trades = [traded(1, "1", 55, side="SELL", time=rig.wall_ms)]
    await rig.reconciler.run()
    assert [update.kind for update in told(rig, ForeignOrder)] == ["adl"]


async def test_r11_a_change_that_no_heard_execution_explains_leads_to_the_trades(rig: Rig) -> None:
    session = hears(rig)
    await rig.reconciler.run()
    rig.wall_ms += 60_000
    moved = {"e": "ACCOUNT_UPDATE", "E": NOW, "T": NOW, "a": {"m": "ORDER", "B": []}}
    position = {"s": "BTCUSDT", "pa": "-1", "ep": "100", "ps": "BOTH"}
    hear(session, msgspec.json.encode({**moved, "a": {**moved["a"], "P": [position]}}))  # type: ignore[dict-item]
    rig.exchange.positions = [{"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-1", "entryPrice": "100"}]
    rig.exchange.orders = {"web_1": queried("web_1", "FILLED", "1", orderId=99)}
    rig.exchange.trades = [traded(5, "1", 99, side="SELL", time=rig.wall_ms)]
    await rig.reconciler.look_again()
    assert [update.key for update in told(rig, ForeignOrder)] == ["BTCUSDT:99:5"]
    rig.exchange.asked.clear()
    hear(session, feed("web_1", "TRADE", "FILLED", 6))
    position["pa"] = "-2"
    hear(session, msgspec.json.encode({**moved, "a": {**moved["a"], "P": [position]}}))  # type: ignore[dict-item]
    rig.exchange.positions[0]["positionAmt"] = "-2"
    await rig.reconciler.look_again()
    assert "userTrades" not in rig.exchange.asked and len(told(rig, ForeignOrder)) == 2
