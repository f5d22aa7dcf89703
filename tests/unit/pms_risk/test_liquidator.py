"""The sentinel and the liquidator at work: who is liquidated, what is sent, what is told, what survives."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from pms_common.contracts.bus.algos import AlgosControlled, algos_work
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import PublicEvent, Tick
from pms_common.contracts.bus.exchange import LeverageBracket
from pms_common.contracts.bus.orders import CancelOrder, OrderUpdate, PlaceOrder
from pms_common.contracts.bus.risk import ChildRefused
from pms_risk.adapters.postgres import statements as sql
from pms_risk.app.algos_updates import AlgosUpdates
from pms_risk.app.liquidation_events import LiquidationEvents
from pms_risk.app.sentinel import Sentinel
from pms_risk.app.watches import Watches
from pms_risk.domain.account import Account
from pms_risk.domain.liquidation.decision import Decision, Facts, Tiers, decide
from pms_risk.domain.liquidation.watch import Guards

from .desk import Desk, child, entry, fill, update, view
from .world import D, Exchange, account, live, spec

# 1 000 cash, long 100 at 100: maintenance margin 50, ratio 50 / (1 000 + 100 (mid - 100))
CALM, WARNED, SECOND, THIRD, INSOLVENT = 95.0, 90.6, 90.55, 90.52, 90.4


class Floor(Desk):
    """A desk whose account is long 100 BTC, and a market that is moved by hand."""

    def __init__(self, quantity: str = "100") -> None:
        super().__init__()
        self.exchange_account = Exchange()
        self.open(self.account, "BTCUSDT", quantity)
        self.trades = 1_000

    def open(self, owner: Account, symbol: str, quantity: str) -> None:
        side = "BUY" if D(quantity) > 0 else "SELL"
        self.state.books.book(*self.exchange_account.execute(owner.id, symbol, side, abs(D(quantity)), D(100)))

    async def at(self, mid: float, *, after_ms: int = 300) -> None:
        """A price, and everything that follows from it."""
        self.now_ms += after_ms
        self.price(mid)
        await self.settle()

    async def settle(self) -> None:
        self.sentinel.tend()
        self.sentinel.on_ticks([])
        self.liquidator.tend()
        while self.sentinel.busy:  # noqa: ASYNC110
            await asyncio.sleep(0)

    def price(self, mid: float = 100.0, at_ms: int | None = None, symbol: str = "BTCUSDT") -> None:
        super().price(mid, at_ms, symbol)
        quote = self.state.prices._ticks[symbol]
        self.sentinel.on_ticks([quote])

    def succeed(self) -> None:
        """Another process watches from now on, with what Redis has."""
        outbox: Any = self.paper
        watches = Watches(outbox, "watches")
        watches.restore({name.encode(): value for name, value in self.paper.hashes.get("watches", {}).items()})
        told = LiquidationEvents(self.state, self.events)
        self.sentinel = Sentinel(self.state, self.liquidator, told, watches, Tiers(), Guards())

    def sent(self) -> list[PlaceOrder]:
        return [work for work in self.urgent() if isinstance(work, PlaceOrder)]

    def cancels(self) -> list[str]:
        return [work.client_order_id for work in self.urgent() if isinstance(work, CancelOrder)]

    def executed(self, placed: PlaceOrder, quantity: Decimal | None = None, price: float = 90.0) -> None:
        """An execution of a closing order; without a quantity all of it."""
        amount = quantity if quantity is not None else placed.quantity
        self.trades += 1
        before = self.account.orders[placed.client_order_id].executed
        done = before + amount
        self.hear(
            update(
                "fill",
                self._view(placed, executed=done, state="filled" if done == placed.quantity else "active"),
                n=self.trades,
                fill=msgspec.structs.replace(fill(self.trades, str(amount)), price=D(price), trade_ms=self.trades),
            )
        )

    def ended(self, placed: PlaceOrder, state: Any = "expired", **fields: Any) -> None:
        self.trades += 1
        live_order = self.account.orders[placed.client_order_id]
        self.hear(update(state, self._view(placed, live_order.executed, state), n=self.trades, **fields))

    def _view(self, placed: PlaceOrder, executed: Decimal, state: Any) -> Any:
        return view(
            client_order_id=placed.client_order_id,
            account_id=placed.account_id,
            symbol=placed.symbol,
            side=placed.side,
            order_type=placed.order_type,
            quantity=placed.quantity,
            price=None,
            reduce_only=True,
            origin=placed.origin,
            command=placed.command,
            state=state,
            exchange_order_id=self.trades,
            executed_quantity=executed,
            version=self.trades,
        )

    def decisions(self) -> list[tuple[Decision, Facts]]:
        """What was journalled."""
        rows = [item[1] for item in self.journal._waiting if isinstance(item, tuple) and item[0] is sql.LIQUIDATION]
        return [(msgspec.json.decode(row[4], type=Decision), msgspec.json.decode(row[5], type=Facts)) for row in rows]

    def payloads(self, type_: str) -> list[dict[str, Any]]:
        told = {event.key: event for event in self.told(PublicEvent) if event.type == type_}
        return [msgspec.json.decode(bytes(event.payload)) for event in told.values()]


async def liquidated_to(floor: Floor, mid: float) -> None:
    """The price falls, and holds."""
    await floor.at(CALM)
    await floor.at(mid)
    await floor.at(mid)


async def test_tier_one_warns_once() -> None:
    floor = Floor()
    await liquidated_to(floor, WARNED)
    await floor.at(WARNED)
    (warning,) = floor.payloads("margin_warning")
    assert warning["marginRatio"] == pytest.approx(50 / 60)
    assert warning["account"]["equity"] == pytest.approx(60)
    assert not floor.sent()


async def test_tier_two_closes_thirty_percent_of_the_largest_and_nothing_more_meanwhile() -> None:
    floor = Floor()
    await liquidated_to(floor, SECOND)
    for _ in range(5):
        await floor.at(SECOND)
    (placed,) = floor.sent()
    assert (placed.side, placed.quantity, placed.reduce_only, placed.origin) == ("SELL", D(30), True, "LIQUIDATION")
    assert placed.self_trade_prevention == "EXPIRE_MAKER"
    floor.executed(placed, D(10))
    floor.executed(placed, D(20))
    (step,) = floor.payloads("adl_triggered")
    assert step == floor.payloads("liquidation")[0] | {"type": "adl_triggered"}
    assert (step["tier"], step["fraction"], step["symbol"]) == (2, 0.3, "BTCUSDT")
    assert step["positions"][0]["closedQty"] == 30
    assert step["positions"][0]["realizedPnl"] == pytest.approx(-300)
    assert {event["reason"] for event in floor.payloads("position_reduced")} == {"ADL_TIER2"}
    assert floor.account.status == "ACTIVE"
    assert floor.paper.hashes[floor.liquidator.key], "its decision is not in the database yet"
    floor.commit()
    assert not floor.state.courses.all()
    assert not floor.paper.hashes[floor.liquidator.key]


async def test_a_successor_does_not_warn_again_before_the_account_has_recovered() -> None:
    floor = Floor()
    await liquidated_to(floor, WARNED)
    floor.succeed()
    for mid in (WARNED, WARNED, CALM, CALM):
        await floor.at(mid)
    assert len(floor.payloads("margin_warning")) == 1
    floor.succeed()
    await floor.at(WARNED)
    assert len(floor.payloads("margin_warning")) == 2
    assert list(floor.paper.hashes["watches"]) == ["a"]


async def test_pb_03_a_failing_order_is_tried_again_with_pauses_and_an_alarm() -> None:
    """The earlier engine sent one order an evaluation: 20 evaluations, 20 orders."""
    floor = Floor()
    await liquidated_to(floor, SECOND)
    for _ in range(20):
        last = floor.sent()[-1]
        if last.client_order_id in floor.account.orders:
            floor.ended(last, "failed", error_code="EXCHANGE_UNAVAILABLE", error="busy")
        await floor.at(SECOND)
    sent = [placed.client_order_id for placed in floor.sent()]
    assert len(sent) == len(set(sent)) <= 7, "250 ms, 500 ms, 1 s, 2 s: not one an evaluation"
    assert {placed.quantity for placed in floor.sent()} == {D(30)}


@pytest.mark.parametrize("successor", [False, True])
async def test_the_second_tier_is_repeated_only_after_it_has_cooled_down(successor: bool) -> None:
    floor = Floor()
    await liquidated_to(floor, SECOND)
    floor.executed(floor.sent()[0], price=90.55)
    # 70 left, maintenance margin 35, equity 38.2
    for seen in range(10):
        await floor.at(90.31)
        if successor and seen == 3:
            floor.succeed()
    assert len(floor.sent()) == 1
    for _ in range(10):
        await floor.at(90.31)
    assert [placed.quantity for placed in floor.sent()] == [D(30), D(21)]


async def test_tier_three_is_followed_by_everything_if_the_cut_did_not_help() -> None:
    floor = Floor()
    await liquidated_to(floor, THIRD)
    (cut,) = floor.sent()
    assert cut.command == "ADL_TIER3"
    floor.executed(cut, price=90.52)
    await floor.at(90.33)
    await floor.at(90.33)
    await floor.at(90.33)
    (_, rest) = floor.sent()
    assert (rest.quantity, rest.command) == (D(70), "LIQUIDATE")
    floor.executed(rest)
    (told,) = floor.payloads("full_liquidation")
    assert (told["mode"], told["account"]["positions"]) == ("ADL_30_ESCALATED", [])
    assert floor.account.status == "LIQUIDATED"


@pytest.mark.parametrize("why", ["insolvent", "mode"])
async def test_a_reduction_that_does_not_end_gives_way_to_a_graver_decision_and_nothing_is_closed_twice(
    why: str,
) -> None:
    floor = Floor()
    await liquidated_to(floor, SECOND)
    (stuck,) = floor.sent()
    if why == "mode":
        floor.account.set_mode("INSTANT_CLOSE", "flat", D("0.005"))
    for _ in range(3):
        await floor.at(INSOLVENT if why == "insolvent" else SECOND)
    (_, rest) = floor.sent()
    assert (stuck.quantity, rest.quantity) == (D(30), D(70)), "the first may still be executed"
    floor.executed(rest)
    assert floor.account.status == "ACTIVE"
    floor.ended(stuck, "failed", error_code="EXCHANGE_UNAVAILABLE", error="busy")
    await floor.at(SECOND)
    await floor.at(SECOND)
    (_, _, again) = floor.sent()
    assert again.quantity == D(30)
    floor.executed(again)
    assert floor.account.status == "LIQUIDATED"
    assert [decision.gravity for decision, _ in floor.decisions()] == [1, 3]


async def test_algos_of_a_symbol_whose_reduction_gave_way_to_one_elsewhere_go_on() -> None:
    floor = Floor()
    floor.state.specs["ETHUSDT"] = spec("ETHUSDT")
    await liquidated_to(floor, SECOND)
    floor.open(floor.account, "ETHUSDT", "200")
    floor.account.book_cash(D(100), key="k", cause="deposit", reference="r", at_ms=1)
    for _ in range(3):
        floor.price(100.0, symbol="ETHUSDT")
        await floor.at(90.57)  # maintenance 150 of an equity of 157
    floor.price(100.0, symbol="ETHUSDT")
    await floor.settle()
    asked = [algos_work.decode(data) for data in floor.paper.streams[floor.names.requests("algos")]]
    assert [(control.action, control.symbol) for control in asked] == [
        ("pause", "BTCUSDT"),
        ("pause", "ETHUSDT"),
        ("resume", "BTCUSDT"),
    ]
    assert [placed.symbol for placed in floor.sent()] == ["BTCUSDT", "ETHUSDT"]


async def test_a_liquidation_that_does_not_end_is_an_alarm_every_minute(capsys: pytest.CaptureFixture[str]) -> None:
    floor = Floor()
    await liquidated_to(floor, INSOLVENT)
    alarms = []
    for seconds in range(125):
        await floor.at(INSOLVENT, after_ms=1_000)
        if "liquidation_overdue" in capsys.readouterr().out:
            alarms.append(seconds)
    assert [after - before for before, after in pairwise([-1, *alarms])] == [60, 60]
    assert len(floor.sent()) == 1


async def test_a_clock_that_is_set_back_liquidates_no_later() -> None:
    floor = Floor()
    await floor.at(CALM)
    await floor.at(INSOLVENT)
    floor.now_ms -= 60_000
    await floor.at(INSOLVENT)
    await floor.at(INSOLVENT)
    assert floor.sent()


async def test_a_reduction_goes_on_when_the_price_recovers_before_its_end() -> None:
    floor = Floor()
    await liquidated_to(floor, SECOND)
    (cut,) = floor.sent()
    for _ in range(3):
        await floor.at(WARNED)
    assert [course.name for course in floor.state.courses.all()] == ["a"]
    floor.ended(cut, "expired")
    await floor.at(WARNED)
    await floor.at(WARNED)
    (_, again) = floor.sent()
    assert again.quantity == D(30)


async def test_insolvency_closes_everything_and_blocks_trading() -> None:
    floor = Floor()
    floor.state.specs["ETHUSDT"] = spec("ETHUSDT")
    await liquidated_to(floor, INSOLVENT)
    (placed,) = floor.sent()
    assert placed.quantity == D(100)
    floor.executed(placed, D(60))
    floor.ended(placed)
    await floor.at(INSOLVENT)
    (_, again) = floor.sent()
    assert again.quantity == D(40)
    floor.executed(again)
    assert floor.account.status == "LIQUIDATED"
    assert floor.payloads("full_liquidation")[0]["mode"] == "INSOLVENCY_GUARD"
    assert floor.payloads("full_liquidation")[0]["positions"][0]["closedQty"] == 100
    floor.ask()
    assert floor.told(ChildRefused)
    assert not floor.placed()


async def test_a_takeover_gives_the_house_everything_at_mid() -> None:
    floor = Floor()
    floor.account.set_mode("TAKEOVER", "flat", D("0.005"))
    await liquidated_to(floor, SECOND)
    assert not floor.sent()
    assert not floor.account.positions
    assert floor.account.cash == pytest.approx(D(1000) - D(100) * (D(100) - D("90.55")))
    assert floor.state.books.house.positions["BTCUSDT", "BOTH"].quantity == D(100)
    floor.commit()
    assert floor.payloads("full_liquidation")[0]["mode"] == "VIRTUAL_LIQ"


async def test_pb_09_a_frozen_account_is_liquidated() -> None:
    floor = Floor()
    floor.account.set_status("FROZEN")
    await liquidated_to(floor, SECOND)
    assert len(floor.sent()) == 1


async def test_a_reduction_waits_for_the_symbols_rules_and_is_a_share_that_they_allow() -> None:
    floor = Floor()
    rules = floor.state.specs.pop("BTCUSDT")
    await liquidated_to(floor, SECOND)
    assert not floor.sent()
    floor.state.specs["BTCUSDT"] = msgspec.structs.replace(rules, step_size=D(4), market_step_size=D(4))
    await floor.at(SECOND)
    (placed,) = floor.sent()
    assert placed.quantity == D(32), "30 of 100, rounded up to a step of 4"


async def test_no_stale_and_no_wide_price_liquidates_and_both_are_an_alarm() -> None:
    floor = Floor()
    await floor.at(CALM)
    for _ in range(4):
        floor.now_ms += 300
        floor.price(INSOLVENT, at_ms=floor.now_ms - 4_000)
        await floor.settle()
    assert not floor.sent()
    assert floor.sentinel._blind == {"a"}
    floor.now_ms += 300
    tick = floor.state.prices._ticks["BTCUSDT"]
    for _ in range(4):
        floor.now_ms += 300
        wide = msgspec.structs.replace(tick, bid=80.0, ask=100.8, ts_ms=floor.now_ms)
        floor.watching.on_ticks([wide])
        floor.sentinel.on_ticks([wide])
        await floor.settle()
    assert not floor.sent()
    assert floor.sentinel._blind == {"a"}
    await liquidated_to(floor, INSOLVENT)
    assert floor.sent()
    assert not floor.sentinel._blind


@pytest.mark.parametrize(("venue_mark", "liquidates"), [(INSOLVENT * 1.02, False), (0.0, False), (INSOLVENT, True)])
async def test_where_it_is_asked_for_no_mid_far_from_the_exchanges_mark_liquidates(
    venue_mark: float, liquidates: bool
) -> None:
    floor = Floor()
    floor.sentinel._guards = replace(floor.sentinel._guards, max_mark_gap=D("0.01"))
    await floor.at(CALM)
    tick = floor.state.prices._ticks["BTCUSDT"]
    for _ in range(4):
        floor.now_ms += 300
        told = msgspec.structs.replace(
            tick, bid=INSOLVENT - 0.1, ask=INSOLVENT + 0.1, ts_ms=floor.now_ms, mark=venue_mark
        )
        floor.watching.on_ticks([told])
        floor.sentinel.on_ticks([told])
        await floor.settle()
    assert bool(floor.sent()) is liquidates
    assert floor.sentinel._blind == (set() if liquidates else {"a"}), "an alarm"


@pytest.mark.parametrize(("venue_mark", "liquidates"), [(140.0, False), (102.0, True), (0.0, False)])
async def test_a_mid_far_from_the_exchanges_mark_counts_as_the_better_of_both(
    venue_mark: float, liquidates: bool
) -> None:
    floor = Floor()
    floor.sentinel._guards = replace(floor.sentinel._guards, max_mark_gap=D("0.01"))
    floor.state.specs["NEWUSDT"] = spec("NEWUSDT")
    floor.open(floor.account, "NEWUSDT", "1")
    for mid in (CALM, 90.35, 90.35, 90.35):
        floor.now_ms += 300
        told = [
            Tick(symbol, at - 0.1, 1.0, at + 0.1, 1.0, floor.now_ms, 0, 0, floor.now_ms, floor.now_ms, "live", mark)
            for symbol, at, mark in (("NEWUSDT", 100.0, venue_mark), ("BTCUSDT", mid, mid))
        ]
        floor.watching.on_ticks(told)
        floor.sentinel.on_ticks(told)
        await floor.settle()
    assert bool(floor.sent()) is liquidates, "the account has 36 of equity, and 50 of maintenance"


async def test_a_position_without_any_price_is_an_alarm_and_not_calm() -> None:
    floor = Floor()
    floor.open(floor.account, "NEWUSDT", "1")
    await floor.at(INSOLVENT)
    await floor.sentinel.sweep()
    await floor.settle()
    assert floor.sentinel._blind == {"a"}
    assert not floor.sent()


async def test_a_position_that_has_just_gone_needs_no_bound() -> None:
    """Between an execution and the next look at changed accounts a tick may find what is not held any more."""
    floor = Floor()
    floor.state.specs["ETHUSDT"] = spec("ETHUSDT")
    floor.open(floor.account, "ETHUSDT", "1")
    floor.price(100.0, symbol="ETHUSDT")
    await floor.at(CALM)
    floor.open(floor.account, "ETHUSDT", "-1")
    floor.now_ms += 4_000
    for _ in range(3):
        floor.price(INSOLVENT)
        floor.now_ms += 300
    await floor.settle()
    assert [placed.symbol for placed in floor.sent()] == ["BTCUSDT"]


@pytest.mark.parametrize("market", ["none", "old", "wide"])
async def test_a_symbol_nobody_can_price_shields_no_account_that_is_over_its_limit_even_so(market: str) -> None:
    floor = Floor()
    floor.state.specs["NEWUSDT"] = spec("NEWUSDT")
    floor.open(floor.account, "NEWUSDT", "0.1")
    if market != "none":
        floor.price(100, symbol="NEWUSDT")
    for mid in (CALM, 90.5, 90.5, 80.0, 80.0, 80.0):
        floor.now_ms += 300 if market == "wide" else 4_000
        if market == "wide":
            wide = msgspec.structs.replace(floor.state.prices._ticks["NEWUSDT"], ask=200.0, ts_ms=floor.now_ms)
            floor.watching.on_ticks([wide])
        await floor.at(mid)
        await floor.sentinel.sweep()
        await floor.settle()
        assert mid == 80.0 or not floor.sent(), "it may be worth twice as much: 10 more of equity"
    assert floor.sentinel._blind == {"a"}
    assert {(placed.symbol, placed.quantity) for placed in floor.sent()} >= {("BTCUSDT", D(100))}


async def test_a_sweep_tells_of_each_account_that_comes_to_be_without_a_price(
    capsys: pytest.CaptureFixture[str],
) -> None:
    floor = Floor()
    other = account(floor.state.books, "b", 1_000)
    floor.open(other, "ETHUSDT", "1")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        floor.price(symbol=symbol)
    await floor.settle()
    told = []
    for symbol in ("BTCUSDT", "ETHUSDT"):
        floor.now_ms += 4_000
        floor.price(symbol=symbol)
        capsys.readouterr()
        await floor.sentinel.sweep()
        told.append(capsys.readouterr().out)
    assert ["one=b" in told[0], "one=a" in told[1]] == [True, True], "one more and one less are no less to be told"


@pytest.mark.parametrize("change", ["deposit", "threshold", "rate", "mode"])
async def test_what_an_operator_changes_holds_at_once(change: str) -> None:
    floor = Floor()
    await floor.at(CALM)
    await floor.at(90.9)  # ratio 0.55
    if change == "deposit":
        await floor.at(SECOND)
        floor.state.books.transfer(floor.account, D(100), "more", 1)
        await floor.at(SECOND)
        assert not floor.sent()
        return
    if change == "rate":
        floor.account.set_mode("ADL_30", "flat", D("0.0085"))
    else:
        floor.account.set_rules(replace(floor.account.rules, liquidation_threshold=D("0.5")))
    if change == "mode":
        floor.account.set_mode("INSTANT_CLOSE", "flat", D("0.005"))
    await floor.at(90.9)
    await floor.at(90.9)
    (placed,) = floor.sent()
    assert placed.quantity == D(100) if change == "mode" else D(30)


async def test_the_way_is_cleared_first_and_the_rest_follows_as_orders_end() -> None:
    """Invariant 4: at once only what no other live order may still close."""
    floor = Floor()
    exit_ = live("exit", "SELL", 40, 120, reduce_only=True)
    entry_ = live("entry", "BUY", 1, 80)
    stalk = live("stalk", "BUY", 1, 80, parent_id="algo", origin="CHASE")
    for order in (exit_, entry_, stalk):
        floor.account.put_order(order)
    await liquidated_to(floor, INSOLVENT)
    assert sorted(floor.cancels()) == ["entry", "exit", "stalk"]
    (asked,) = [algos_work.decode(data) for data in floor.paper.streams[floor.names.requests("algos")]]
    assert (asked.account_id, asked.action, asked.symbol) == ("a", "stop", "")
    assert not floor.sent(), "the algos have 200 ms to answer"
    floor.ask(client_order_id="late")
    assert floor.told(ChildRefused)[-1].client_order_id == "late"
    answer = AlgosControlled(epoch=1, n=1, token=asked.token, account_id="a", action="stop")
    AlgosUpdates(floor.clearing._outbox, floor.clearing.on_algos, floor.liquidator.on_algos).on_entry(
        entry(encode(answer))
    )
    assert [placed.quantity for placed in floor.sent()] == [D(60)]
    floor.account.drop_order("exit")
    floor.executed(floor.sent()[0])
    assert [placed.quantity for placed in floor.sent()] == [D(60), D(40)]
    floor.executed(floor.sent()[1])
    assert floor.account.status == "ACTIVE", "orders that may open something are live"
    for order_id in ("entry", "stalk"):
        floor.account.drop_order(order_id)
    floor.liquidator.tend()
    assert floor.account.status == "LIQUIDATED"


async def test_algos_that_do_not_answer_are_waited_for_no_longer_than_200_ms_and_resumed_after_a_reduction() -> None:
    floor = Floor()
    floor.account.put_order(live("stalk", "BUY", 1, 80, parent_id="algo", origin="CHASE"))
    await liquidated_to(floor, SECOND)
    assert not floor.sent()
    floor.now_ms += 200
    floor.liquidator.tend()
    floor.executed(floor.sent()[0])
    asked = [algos_work.decode(data) for data in floor.paper.streams[floor.names.requests("algos")]]
    assert [(control.action, control.symbol) for control in asked] == [("pause", "BTCUSDT"), ("resume", "BTCUSDT")]


async def test_what_the_venue_refuses_for_good_goes_to_the_house_at_mid() -> None:
    floor = Floor()
    await liquidated_to(floor, INSOLVENT)
    floor.ended(floor.sent()[0], "rejected", error_code="SYMBOL_NOT_TRADING", error="closed")
    assert not floor.account.positions
    assert floor.state.books.house.positions["BTCUSDT", "BOTH"].quantity == D(100)
    floor.commit()
    assert floor.account.status == "LIQUIDATED"
    assert floor.payloads("position_closed")[-1]["reason"] == "TAKEOVER"


async def test_every_decision_is_recorded_and_can_be_replayed() -> None:
    floor = Floor()
    await liquidated_to(floor, THIRD)
    floor.executed(floor.sent()[0])
    await floor.at(90.4)
    await floor.at(90.4)
    recorded = floor.decisions()
    assert [decision.kind for decision, _ in recorded] == ["ADL_30", "INSOLVENCY_GUARD"]
    for decision, facts in recorded:
        assert decide(facts) == decision


async def test_a_successor_goes_on_where_a_killed_one_stood_and_closes_nothing_twice() -> None:
    floor = Floor()
    await liquidated_to(floor, INSOLVENT)
    (placed,) = floor.sent()
    floor.executed(placed, D(25))
    stored = dict(floor.paper.hashes[floor.liquidator.key])
    next_ = Floor()
    next_.now_ms = floor.now_ms + 5_000
    position = next(iter(next_.account.open_positions()))
    position.quantity, position.cost = D(75), D(7_500)
    next_.account.refresh("BTCUSDT", "BOTH")
    next_.liquidator.restore(stored.values())
    rest = live(
        placed.client_order_id, "SELL", 75, 90, reduce_only=True, origin="LIQUIDATION", order_type="MARKET", price=None
    )
    next_.account.put_order(rest)
    next_.closings.restore(floor.paper.hashes["closings"].values())
    next_.closings.resume()
    next_.liquidator.resume()
    assert next_.decisions() == floor.decisions(), "the predecessor may not have written it"
    await next_.at(INSOLVENT)
    assert not next_.sent(), "the order is live"
    next_.ended(placed)
    await next_.at(INSOLVENT)
    (again,) = next_.sent()
    assert again.quantity == D(75)
    assert again.client_order_id != placed.client_order_id
    next_.executed(again)
    (told,) = next_.payloads("full_liquidation")
    assert told["positions"][0]["closedQty"] == 100


async def test_the_end_of_a_full_liquidation_is_forgotten_only_when_the_database_has_it() -> None:
    """Killed between what it told and its commit, the successor must know that the account is liquidated."""
    floor = Floor()
    await liquidated_to(floor, INSOLVENT)
    floor.executed(floor.sent()[0])
    assert floor.account.status == "LIQUIDATED"
    next_ = Floor()
    next_.now_ms = floor.now_ms
    position = next(iter(next_.account.open_positions()))
    next_.liquidator.restore(floor.paper.hashes[floor.liquidator.key].values())
    next_.account.remove_position(next_.account.positions[position.id])
    next_.account.refresh("BTCUSDT", "BOTH")
    next_.liquidator.resume()
    assert next_.account.status == "LIQUIDATED"
    for desk in (floor, next_):
        desk.commit()
        assert not desk.paper.hashes[desk.liquidator.key]
        assert not desk.state.courses.all()


async def test_insolvency_does_not_wait_for_a_reduction_that_cannot_finish() -> None:
    floor = Floor()
    await liquidated_to(floor, SECOND)
    (cut,) = floor.sent()
    for _ in range(4):  # its outcome is not known
        await floor.at(INSOLVENT)
    (_, rest) = floor.sent()
    assert (rest.quantity, rest.command) == (D(70), "LIQUIDATE"), "what the cut may still close is left to it"
    floor.executed(cut)
    floor.executed(rest)
    assert floor.account.status == "LIQUIDATED"
    assert floor.payloads("full_liquidation")[0]["mode"] == "INSOLVENCY_GUARD"


async def test_a_price_whose_stream_has_died_is_not_seen_twice() -> None:
    floor = Floor()
    floor.open(floor.account, "ETHUSDT", "1")
    await floor.at(CALM)
    tick = floor.state.prices._ticks["BTCUSDT"]

    async def eth() -> None:
        calm = msgspec.structs.replace(tick, symbol="ETHUSDT", bid=99.99, ask=100.01, ts_ms=floor.now_ms)
        floor.watching.on_ticks([calm])
        floor.sentinel.on_ticks([calm])
        await floor.settle()

    await eth()
    await floor.sentinel.sweep()  # the account has all its prices now
    await floor.at(INSOLVENT)
    for _ in range(4):
        floor.now_ms += 300
        await eth()
    assert not floor.sent()
    await floor.at(INSOLVENT)
    await eth()
    assert floor.sent()


async def test_tiers_that_change_hold_at_once() -> None:
    floor = Floor()
    floor.account.set_mode("ADL_30", "brackets", D("0.005"))
    tier = LeverageBracket(cap=D(10**9), rate=D("0.005"), cum=D(0), leverage=20)
    floor.state.learn_brackets({"BTCUSDT": (tier,)})
    await floor.at(CALM)
    await floor.at(CALM)
    assert not floor.sent()
    dear = msgspec.structs.replace(tier, rate=D("0.06"))
    floor.state.learn_brackets({"BTCUSDT": (dear,)})
    await floor.at(CALM)
    await floor.at(CALM)
    assert floor.sent()


async def test_an_account_called_liquidated_with_open_positions_is_watched() -> None:
    floor = Floor()
    floor.account.set_status("LIQUIDATED")
    await liquidated_to(floor, INSOLVENT)
    assert [placed.quantity for placed in floor.sent()] == [D(100)]


async def test_an_execution_after_the_end_puts_the_account_under_watch_again() -> None:
    floor = Floor()
    await liquidated_to(floor, INSOLVENT)
    floor.executed(floor.sent()[0])
    assert floor.account.status == "LIQUIDATED"
    floor.trades += 1
    floor.hear(update("fill", view(state="filled", executed_quantity=D(1)), n=floor.trades, fill=fill(floor.trades)))
    assert floor.account.status == "FROZEN"


async def test_another_account_on_the_symbol_is_left_alone() -> None:
    floor = Floor()
    other = account(floor.state.books, "b", 1_000)
    floor.open(other, "BTCUSDT", "-50")
    await liquidated_to(floor, INSOLVENT)
    assert {work.account_id for work in floor.urgent()} == {"a"}
    assert other.holding("BTCUSDT", "BOTH").quantity == D(-50)


def test_updates_of_orders_nobody_liquidates_cost_nothing() -> None:
    floor = Floor()
    floor.hear(OrderUpdate(epoch=1, n=1, key="k", cause="active", order=view(), event_ms=1))
    floor.ask(**msgspec.structs.asdict(child(client_order_id="Z")) | {"quantity": D("0.1")})
    assert not floor.sent()
