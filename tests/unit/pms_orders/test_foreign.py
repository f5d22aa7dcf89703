"""R-17, R-20: every object of the exchange ends somewhere, and what is not ours is told and never adopted."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from tests.unit.pms_orders.orders import NOW, sent, spec
from tests.unit.pms_orders.others import feed, hear, hears, income, told
from tests.unit.pms_orders.test_reconciling import NAME, Rig
from tests.unit.pms_orders.venue import Exchange, queried, traded, venue

from pms_common.contracts.bus.exchange import CashFlows, ForeignOrder, Reconciled, Tally
from pms_orders.adapters.binance import queries
from pms_orders.adapters.binance.exchange_client import WINDOW_MS
from pms_orders.app import foreign
from pms_orders.domain.foreign import kind_of


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    exchange = Exchange()
    async with venue(exchange.answer) as rest:
        yield Rig(rest, exchange)


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
    assert second.key == "BTCUSDT:99:6" and second.step_size == spec().step_size
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


async def test_r17_executions_of_weeks_are_read_window_by_window() -> None:
    day_ms = 86_400_000
    listed = [traded(number, time=NOW - age * day_ms) for number, age in enumerate((20, 13, 2), start=1)]

    async def answer(request: web.Request) -> web.Response:
        start = int(request.query["startTime"])
        page = [trade for trade in listed if start <= trade["time"] <= start + WINDOW_MS]
        return web.Response(body=msgspec.json.encode(page))

    async with venue(answer) as rest:
        found = await queries.Queries(rest).executions_since("BTCUSDT", NOW - 20 * day_ms, NOW)
    assert [item.fill.trade_id for item in found] == [1, 2, 3]


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
