"""R-16, R-17, R-20: every object of the exchange ends somewhere, and what is not ours is told and never adopted."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW, sent, spec
from tests.unit.pms_orders.test_reconciling import NAME, Rig
from tests.unit.pms_orders.venue import Exchange, queried, traded, venue

from pms_common.contracts.bus.exchange import CashFlows, ForeignOrder, Reconciled, Tally
from pms_common.contracts.bus.orders import ExchangePosition, Fill
from pms_orders.adapters.binance import queries, wire
from pms_orders.app import foreign
from pms_orders.app.readiness import Readiness
from pms_orders.app.reconciler import FLOWS_S
from pms_orders.app.session import Session
from pms_orders.domain.foreign import Execution, kind_of
from pms_orders.domain.order import OrderState
from pms_orders.domain.reconciliation import compare_orders, compare_trades, judge_positions
from pms_orders.domain.reducer import Report
from pms_orders.domain.table import Kind


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    exchange = Exchange()
    async with venue(exchange.answer) as rest:
        yield Rig(rest, exchange)


def told(rig: Rig, kind: type[Any]) -> list[Any]:
    return [update for update in rig.told.facts if isinstance(update, kind)]


def income(symbol: str, kind: str = "COMMISSION", number: int = 1) -> dict[str, Any]:
    given = {"symbol": symbol, "incomeType": kind, "income": "-0.1", "asset": "USDT", "info": kind}
    return {**given, "time": NOW, "tranId": number, "tradeId": "1"}


def feed(name: str, execution: str, status: str, trade_id: int = 0, number: int = 99) -> bytes:
    quantity = "1" if trade_id else "0"
    order = {"s": "BTCUSDT", "S": "SELL", "c": name, "x": execution, "X": status, "i": number, "q": "2", "p": "100"}
    more = {"ap": "0", "z": quantity, "l": quantity, "L": "100", "T": NOW, "t": trade_id, "ps": "BOTH", "n": "0.1"}
    return msgspec.json.encode({"e": "ORDER_TRADE_UPDATE", "E": NOW, "T": NOW, "o": {**order, **more, "N": "USDT"}})


def hears(rig: Rig) -> Session:
    published: Any = rig.told
    return Session(
        rig.manager, rig.reconciler, rig.facts, rig.foreign, rig.fundings, Readiness(published, published.part)
    )


def hear(session: Session, *payloads: bytes) -> None:
    events = [wire.decode_event(payload) for payload in payloads]
    session.hear([event for event in events if event is not None])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("autoclose-1637", "liquidation"),
        ("adl_autoclose", "adl"),
        ("settlement_autoclose-1", "settlement"),
        ("delivery_autoclose-1", "settlement"),
        ("web_abc", "other"),
        ("x-Cb7ytekJ0123456789", "other"),
        ("", "other"),
        ("PMS_a_LMT_x", "orphan"),
    ],
)
def test_r20_whose_an_order_is_shows_in_its_id(name: str, kind: str) -> None:
    assert kind_of(name) == kind


async def test_r20_an_execution_of_others_is_told_once_and_an_order_of_theirs_not_at_all(rig: Rig) -> None:
    session = hears(rig)
    hear(session, feed("autoclose-1", "NEW", "NEW"), feed("autoclose-1", "CALCULATED", "PARTIALLY_FILLED", 5))
    hear(session, feed("autoclose-1", "CALCULATED", "PARTIALLY_FILLED", 5))
    hear(session, feed("autoclose-1", "CALCULATED", "FILLED", 6))
    first, second = told(rig, ForeignOrder)
    assert (first.key, first.kind, first.side, first.fill.quantity) == ("BTCUSDT:99:5", "liquidation", "SELL", 1)
    assert second.key == "BTCUSDT:99:6"
    assert not rig.told.causes and not rig.owners.asked


async def test_where_others_rest_is_known(rig: Rig) -> None:
    session = hears(rig)
    hear(session, feed("web_1", "NEW", "NEW"))
    assert rig.foreign.symbols() == {"BTCUSDT"}
    hear(session, feed("web_1", "CANCELED", "CANCELED"))
    assert rig.foreign.symbols() == set()
    rig.exchange.open_orders = [queried("web_2", symbol="ETHUSDT", orderId=4)]
    await rig.reconciler.run()
    assert rig.foreign.symbols() == {"ETHUSDT"}


async def until(true: Any) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_r17_an_id_that_the_journal_knows_is_adopted_and_its_event_applied(rig: Rig) -> None:
    order = sent(NAME)
    order.status, order.exchange_order_id = "active", 99
    rig.owners.orders = [order]
    task = asyncio.create_task(rig.foreign.run())
    hear(hears(rig), feed(NAME, "TRADE", "PARTIALLY_FILLED", 5))
    await until(lambda: rig.told.causes)
    task.cancel()
    assert rig.manager.tracker.find(NAME) is order and order.booked == 1
    assert not told(rig, ForeignOrder)


async def test_r17_an_id_of_a_request_that_is_still_to_be_read_is_left_to_it(rig: Rig) -> None:
    rig.owners.requested = {NAME}
    task = asyncio.create_task(rig.foreign.run())
    hear(hears(rig), feed(NAME, "TRADE", "PARTIALLY_FILLED", 5))
    await until(lambda: rig.owners.asked)
    await asyncio.sleep(0.05)
    task.cancel()
    assert not told(rig, ForeignOrder) and rig.manager.tracker.find(NAME) is None


async def test_r17_our_prefix_alone_makes_no_order_ours(rig: Rig) -> None:
    task = asyncio.create_task(rig.foreign.run())
    hear(hears(rig), feed("PMS_x_LMT_y", "NEW", "NEW"), feed("PMS_x_LMT_y", "TRADE", "FILLED", 5))
    await until(lambda: len(told(rig, ForeignOrder)) == 2)
    task.cancel()
    orders = told(rig, ForeignOrder)
    assert {update.kind for update in orders} == {"orphan"}
    assert {update.key for update in orders} == {"PMS_x_LMT_y:orphan", "BTCUSDT:99:5"}
    assert rig.manager.tracker.find("PMS_x_LMT_y") is None


async def test_r08_an_execution_of_a_request_that_is_still_to_be_read_is_not_told_as_another_ones(rig: Rig) -> None:
    rig.owners.requested = {NAME}
    rig.exchange.income = [income("BTCUSDT")]
    rig.exchange.orders = {NAME: queried(NAME, "FILLED", "1", orderId=99)}
    rig.exchange.trades = [traded(5, "1", 99)]
    for _ in range(2):
        await rig.reconciler.run()
    assert not told(rig, ForeignOrder)
    assert {count.trades for count in told(rig, Reconciled)} == {Tally(adopted=1)}


async def test_r31_an_order_under_an_id_of_ours_that_is_another_one_is_told_as_an_orphan(rig: Rig) -> None:
    rig.resting(NAME)  # number 7
    task = asyncio.create_task(rig.foreign.run())
    hear(hears(rig), feed(NAME, "TRADE", "PARTIALLY_FILLED", 5, number=99))
    await until(lambda: told(rig, ForeignOrder))
    task.cancel()
    rig.exchange.open_orders = [queried(NAME), queried(NAME, orderId=98)]
    rig.exchange.orders = {NAME: queried(NAME, "FILLED", "1", orderId=97)}
    rig.exchange.income = [income("BTCUSDT")]
    rig.exchange.trades = [traded(5, "1", 99), traded(6, "1", 97)]
    await rig.reconciler.run()
    (count,) = told(rig, Reconciled)
    assert count.orders == Tally(matched=1, quarantined=1) and count.trades == Tally(quarantined=2)
    fills = [update.key for update in told(rig, ForeignOrder) if update.fill is not None]
    assert fills == ["BTCUSDT:99:5", "BTCUSDT:97:6"]
    assert {update.kind for update in told(rig, ForeignOrder)} == {"orphan"} and not rig.told.causes


async def test_r17_an_execution_whose_order_the_queries_do_not_know_yet_is_asked_for_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "LAG_S", 0.1)
    order = sent(NAME)  # its answer is under way, and with it its number
    rig.manager.tracker.add(order)
    rig.exchange.income = [income("BTCUSDT")]
    rig.exchange.trades = [traded(5, "1", 99, time=rig.wall_ms)]
    rig.exchange.orders = {NAME: queried(NAME, "NEW", orderId=99)}
    rig.exchange.lags = 1
    await rig.reconciler.run()
    assert order.booked == 1 and not told(rig, ForeignOrder)


async def test_r25_the_names_of_many_orders_cost_no_query_each(rig: Rig) -> None:
    rig.exchange.income = [income("BTCUSDT")]
    rig.exchange.trades = [traded(n, "1", 100 + n) for n in range(300)]
    rig.exchange.all_orders = [queried(f"web_{n}", "FILLED", "1", orderId=100 + n) for n in range(300)]
    rig.exchange.all_orders[42]["clientOrderId"] = "autoclose-1"
    await rig.reconciler.run()
    assert len(told(rig, ForeignOrder)) == 300
    assert [update.key for update in told(rig, ForeignOrder) if update.kind == "liquidation"] == ["BTCUSDT:142:42"]
    assert "order" not in rig.exchange.asked and rig.rest._budget.weight.used < 150


async def test_r17_every_object_is_counted_once(rig: Rig) -> None:
    rig.resting(NAME)
    known = sent("PMS_b_LMT_2")
    known.status, known.exchange_order_id = "active", 8
    rig.owners.orders = [known]
    rig.exchange.open_orders = [
        queried(NAME),
        queried("PMS_b_LMT_2", orderId=8),
        queried("PMS_c_LMT_3", orderId=9),
        queried("web_1", orderId=10),
    ]
    strange = {"symbol": "STRANGEUSDT", "positionSide": "BOTH", "positionAmt": "5", "entryPrice": "1"}
    usual = {"symbol": "BTCUSDT", "positionSide": "LONG", "positionAmt": "1", "entryPrice": "100"}
    rig.exchange.positions = [strange, usual, {**usual, "positionSide": "SHORT", "positionAmt": "-1"}]
    rig.exchange.income = [income("BTCUSDT")]
    rig.exchange.trades = [traded(1, "1", 7), traded(2, "1", 8), traded(3, "1", 10), traded(4, "1", 77)]
    await rig.reconciler.run()
    (count,) = told(rig, Reconciled)
    assert count.orders == Tally(matched=1, adopted=1, quarantined=2)
    assert count.positions == Tally(matched=2, quarantined=1)
    assert count.trades == Tally(adopted=2, quarantined=2)
    assert {update.key for update in told(rig, ForeignOrder)} == {
        "PMS_c_LMT_3:orphan",
        "BTCUSDT:10:3",
        "BTCUSDT:77:4",
    }
    await rig.reconciler.run()
    again = told(rig, Reconciled)[-1]
    assert again.orders == Tally(matched=2, quarantined=2) and again.trades == Tally(matched=2, quarantined=2)
    assert len(told(rig, ForeignOrder)) == 3


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


async def test_r17_executions_of_a_self_match_are_both_listed_where_a_page_ends_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queries, "PAGE", 3)
    listed = [traded(1, order_id=7), traded(2, order_id=7), traded(3, order_id=7), traded(3, order_id=8), traded(4)]

    async def answer(request: web.Request) -> web.Response:
        first = int(request.query.get("fromId", 0))
        page = [trade for trade in listed if trade["id"] >= first][: int(request.query["limit"])]
        return web.Response(body=msgspec.json.encode(page))

    async with venue(answer) as rest:
        found = await queries.Queries(rest).executions_since("BTCUSDT", NOW, NOW)
    assert [(item.fill.trade_id, item.exchange_order_id) for item in found] == [(1, 7), (2, 7), (3, 7), (3, 8), (4, 7)]


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


async def test_r13_what_the_queries_after_a_gap_did_not_show_yet_shows_in_the_next_look(rig: Rig) -> None:
    await rig.reconciler.run()
    rig.exchange.positions = [{"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "1", "entryPrice": "100"}]
    rig.exchange.orders = {"autoclose-5": queried("autoclose-5", "FILLED", "1", orderId=55)}
    rig.exchange.trades = [traded(1, "1", 55)]
    assert await rig.reconciler.look_again() <= 3.5
    assert [update.kind for update in told(rig, ForeignOrder)] == ["liquidation"]


async def test_r29_what_readers_may_have_lost_of_others_is_told_again(rig: Rig) -> None:
    session = hears(rig)
    session.connected(True, "")
    task = asyncio.create_task(session.run())
    await until(lambda: told(rig, Reconciled))
    hear(session, feed("autoclose-5", "CALCULATED", "FILLED", 5))
    rig.exchange.income = [income("BTCUSDT"), income("BTCUSDT", "FUNDING_FEE", 2)]
    rig.exchange.trades = [traded(5, "1", 99)]
    session.told_in_vain(NOW + 30_000)
    await until(lambda: len(told(rig, Reconciled)) == 2)
    task.cancel()
    assert [update.key for update in told(rig, ForeignOrder)] == ["BTCUSDT:99:5", "BTCUSDT:99:5"]
    assert len(told(rig, CashFlows)) == 1


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


# -- the comparison itself


ids = st.integers(1, 12)


def fill(trade_id: int) -> Fill:
    money = dict.fromkeys(("price", "quantity", "commission", "realized_pnl"), Decimal(1))
    return Fill(trade_id=trade_id, commission_asset="USDT", maker=False, trade_ms=NOW, **money)


def known_orders(numbers: list[int], trades: list[tuple[int, int]]) -> dict[int, OrderState]:
    orders = {}
    for number in numbers:
        order = orders[number] = sent(f"o{number}")
        order.exchange_order_id = number
        order.trades = {trade for owner, trade in trades if owner == number}
        order.booked = Decimal(len(order.trades))
    return orders


@given(st.lists(ids, unique=True), st.lists(ids, unique=True), st.integers(0, 2))
def test_r17_no_order_is_lost_between_the_piles(ours: list[int], listed: list[int], executed: int) -> None:
    orders = known_orders(ours, [])
    reports = [Report(Kind.FOUND_OPEN, "S", f"o{n}", n, NOW, executed=Decimal(executed)) for n in listed]
    found = compare_orders(orders.values(), reports, lambda _symbol, number, _name: orders.get(number))
    assert found.matched + len(found.unknown) == len(listed)
    assert len(found.reports) + len(found.doubtful) == len(ours)
    assert {report.exchange_order_id for report in found.unknown} == set(listed) - set(ours)
    expected = set(ours) if executed else set(ours) - set(listed)
    assert {order.exchange_order_id for order in found.doubtful} == expected


pairs = st.lists(st.tuples(ids, ids), unique_by=lambda pair: pair[1])


@given(st.lists(ids, unique=True), pairs, pairs)
def test_r17_no_execution_is_lost_between_the_piles(
    ours: list[int], booked: list[tuple[int, int]], listed: list[tuple[int, int]]
) -> None:
    orders = known_orders(ours, booked)
    executions = [Execution("S", owner, "BUY", "BOTH", fill(trade)) for owner, trade in listed]
    found = compare_trades(executions, lambda _symbol, number, _name: orders.get(number))
    assert found.matched + len(found.missing) + len(found.unknown) == len(listed)
    assert all(execution.exchange_order_id not in orders for execution in found.unknown)
    assert [report.fill.trade_id for report in found.missing if report.fill] == sorted(
        trade for owner, trade in listed if owner in orders and (owner, trade) not in booked
    )


def test_r16_positions_of_any_age_leg_and_symbol_are_counted() -> None:
    coin = msgspec.structs.replace(spec(), symbol="BTCUSD_PERP", margin_asset="BTC")
    specs = {"BTCUSDT": spec(), "BTCUSD_PERP": coin}
    legs: tuple[Any, ...] = (("BTCUSDT", "LONG"), ("BTCUSDT", "SHORT"), ("BTCUSD_PERP", "BOTH"), ("GONEUSDT", "BOTH"))
    positions = [
        ExchangePosition(symbol=symbol, position_side=side, quantity=Decimal(1), entry_price=Decimal(1))
        for symbol, side in legs
    ]
    tally, strange = judge_positions(positions, specs)
    assert tally == Tally(matched=2, quarantined=2) and tally.total == 4
    assert strange == ["BTCUSD_PERP", "GONEUSDT"]
