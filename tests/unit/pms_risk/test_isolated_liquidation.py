"""Liquidation of an isolated position alone, and takeovers that a kill has interrupted."""

from typing import Any

import pytest

from pms_common.contracts.bus.algos import ControlAlgos, algos_work
from pms_common.contracts.bus.common import PublicEvent
from pms_risk.app.liquidator import takes_of
from pms_risk.domain.liquidation.decision import decide
from pms_risk.domain.position import Position

from .desk import update, view
from .floor import INSOLVENT, SECOND, Floor, liquidated_to
from .world import D, live, spec


class Alone(Floor):
    """The account holds 100 BTC, cross and far from its limit, and 10 ETH at 100, isolated with 10 behind them.

    Maintenance margin of the ETH is 5: ratio 5 / (10 + 10 (mid - 100)).
    """

    def __init__(self) -> None:
        super().__init__()
        self.state.specs["ETHUSDT"] = spec("ETHUSDT")
        self.account.set_margin_mode("isolated")
        side: Any = "BUY"
        self.state.books.book(*self.exchange_account.execute("a", "ETHUSDT", side, D(10), D(100), leverage=D(100)))

    async def at(self, mid: float, *, after_ms: int = 300) -> None:
        """A price of ETH; that of BTC stays."""
        self.now_ms += after_ms
        self.price(100.0)
        self.price(mid, symbol="ETHUSDT")
        await self.settle()

    def eth(self) -> Position | None:
        return self.account.holding("ETHUSDT", "BOTH").position


def controls(floor: Floor) -> list[tuple[str, str]]:
    asked = [algos_work.decode(data) for data in floor.paper.streams[floor.names.requests("algos")]]
    return [(work.symbol, work.action) for work in asked if isinstance(work, ControlAlgos)]


async def test_it_is_reduced_alone_and_its_margin_stays_with_it() -> None:
    floor = Alone()
    floor.account.put_order(live("btc", "BUY", 1, 90))
    await liquidated_to(floor, 99.55)
    (placed,) = floor.sent()
    assert (placed.symbol, placed.side, placed.quantity, placed.command) == ("ETHUSDT", "SELL", D(3), "ADL_TIER2")
    assert not floor.cancels(), "what is elsewhere is no matter of it"
    floor.executed(placed, price=99.55)
    position = floor.eth()
    assert position is not None
    assert (position.quantity, position.isolated) == (D(7), D(10) - D(3) * D("0.45"))
    (step,) = floor.payloads("adl_triggered")
    assert (step["symbol"], step["tier"], step["fraction"]) == ("ETHUSDT", 2, 0.3)
    for decision, facts in floor.decisions():
        assert decide(facts) == decision
        assert facts.isolated == position.id


async def test_its_insolvency_ends_it_and_nothing_else() -> None:
    floor = Alone()
    floor.account.put_order(live("eth", "SELL", 1, 110, symbol="ETHUSDT", reduce_only=True))
    await liquidated_to(floor, 99.375)
    assert floor.cancels() == ["eth"]
    (placed,) = floor.sent()
    assert (placed.quantity, placed.command) == (D(9), "LIQUIDATE")
    gone = view(client_order_id="eth", symbol="ETHUSDT", side="SELL", state="cancelled", reduce_only=True, version=2)
    floor.hear(update("cancelled", gone))
    (_, rest) = floor.sent()
    floor.executed(placed, price=95.0)
    floor.executed(rest, price=95.0)
    assert floor.eth() is None
    assert floor.account.status == "ACTIVE"
    assert floor.account.holding("BTCUSDT", "BOTH").quantity == D(100)
    assert floor.account.cash == D(990), "the house bears what it lost beyond its margin"
    (told,) = floor.payloads("full_liquidation")
    assert (told["symbol"], told["mode"]) == ("ETHUSDT", "INSOLVENCY_GUARD")
    assert controls(floor) == [("ETHUSDT", "stop")]
    floor.commit()
    assert not floor.state.courses.all()
    assert not floor.state.liquidating("a", "ETHUSDT")


async def test_a_warning_names_it() -> None:
    floor = Alone()
    await liquidated_to(floor, 99.6)
    (warning,) = floor.payloads("margin_warning")
    assert (warning["symbol"], warning["marginRatio"]) == ("ETHUSDT", pytest.approx(5 / 6))


async def test_the_cross_positions_go_and_it_stays() -> None:
    floor = Floor()
    floor.state.specs["ETHUSDT"] = spec("ETHUSDT")
    floor.state.books.transfer(floor.account, D(100), "more", 1)
    floor.account.set_margin_mode("isolated")
    floor.state.books.book(*floor.exchange_account.execute("a", "ETHUSDT", "BUY", D(1), D(100), leverage=D(1)))
    floor.account.put_order(live("take", "SELL", 1, 110, symbol="ETHUSDT", reduce_only=True))
    floor.account.put_order(live("more", "BUY", "0.1", 90, symbol="ETHUSDT"))
    floor.account.put_order(live("child", "SELL", "0.1", 110, symbol="ETHUSDT", reduce_only=True, parent_id="algo"))
    floor.price(100.0, symbol="ETHUSDT")
    for mid in (95.0, INSOLVENT, INSOLVENT):
        floor.now_ms += 300
        floor.price(100.0, symbol="ETHUSDT")
        floor.price(mid)
        await floor.settle()
    assert floor.cancels() == ["more", "child"], "what only closes it is left to its owner"
    floor.now_ms += 300  # the algo does not answer
    floor.liquidator.tend()
    (placed,) = floor.sent()
    assert (placed.symbol, placed.quantity) == ("BTCUSDT", D(100))
    floor.executed(placed)
    assert floor.account.status == "ACTIVE", "an order that opens may still be executed"
    for name, side in (("more", "BUY"), ("child", "SELL")):
        floor.trades += 1
        gone = view(client_order_id=name, symbol="ETHUSDT", side=side, state="cancelled", version=2)
        floor.hear(update("cancelled", gone, floor.trades))
    assert floor.account.status == "LIQUIDATED"
    assert list(floor.account.orders) == ["take"]
    assert [position.symbol for position in floor.account.open_positions()] == ["ETHUSDT"]
    assert floor.account.isolated == D(100)


async def test_both_may_be_liquidated_at_once() -> None:
    floor = Alone()
    await liquidated_to(floor, 99.55)
    for mid in (90.5, 90.5):
        floor.now_ms += 300
        floor.price(99.55, symbol="ETHUSDT")
        floor.price(mid)
        await floor.settle()
    sent = {placed.symbol: placed for placed in floor.sent()}
    assert {symbol: placed.quantity for symbol, placed in sent.items()} == {"ETHUSDT": D(3), "BTCUSDT": D(100)}
    assert len(floor.state.courses.of("a")) == 2
    assert len(floor.paper.hashes[floor.liquidator.key]) == 2


async def test_its_course_goes_on_after_a_kill() -> None:
    floor = Alone()
    await liquidated_to(floor, 99.375)
    (placed,) = floor.sent()
    next_ = Alone()
    next_.now_ms = floor.now_ms
    next_.liquidator.restore(floor.paper.hashes[floor.liquidator.key].values())
    next_.account.put_order(
        live(
            *(placed.client_order_id, "SELL", 10, 99),
            symbol="ETHUSDT",
            reduce_only=True,
            origin="LIQUIDATION",
            order_type="MARKET",
            price=None,
        )
    )
    next_.closings.restore(floor.paper.hashes["closings"].values())
    next_.closings.resume()
    next_.liquidator.resume()
    assert not next_.sent(), "the order is live"
    next_.executed(placed, price=99.375)
    assert next_.eth() is None
    assert next_.account.status == "ACTIVE"
    next_.commit()
    assert not next_.paper.hashes[next_.liquidator.key]


# -- takeovers


def house_of(floor: Floor) -> Position:
    return floor.state.books.house.positions["BTCUSDT", "BOTH"]


def taken_by_house(floor: Floor) -> Any:
    return house_of(floor).quantity if floor.state.books.house.positions else D(0)


def keys(floor: Floor) -> set[str]:
    return {event.key for event in floor.told(PublicEvent) if event.type == "position_reduced"}


async def taking() -> Floor:
    """A reduction that the exchange refuses for good: the house takes 30 of 100, and the database has it not yet."""
    floor = Floor()
    await liquidated_to(floor, SECOND)
    floor.ended(floor.sent()[0], "rejected", error_code="SYMBOL_NOT_TRADING", error="closed")
    assert taken_by_house(floor) == D(30)
    assert not floor.payloads("adl_triggered"), "its end is told when the database has it"
    return floor


def successor(floor: Floor, *, booked: bool = False) -> Floor:
    stored = list(floor.paper.hashes[floor.liquidator.key].values())
    (reference,) = takes_of(stored)
    next_ = Floor()
    next_.now_ms = floor.now_ms + 5_000
    if booked:
        position = next(iter(next_.account.open_positions()))
        position.quantity, position.cost = D(70), D(7_000)
        next_.account.refresh("BTCUSDT", "BOTH")
    next_.liquidator.restore(stored, {reference} if booked else ())
    return next_


async def test_what_the_house_took_before_a_kill_is_taken_again_at_the_price_that_was_told() -> None:
    floor = await taking()
    next_ = successor(floor)
    next_.price(80)
    next_.open(next_.account, "BTCUSDT", "10")  # an execution that was under way
    next_.liquidator.resume()
    assert taken_by_house(next_) == D(30), "not what has come since"
    assert (
        next_.payloads("position_reduced")
        == [
            told | {"account": next_.payloads("position_reduced")[0]["account"]}
            for told in floor.payloads("position_reduced")
        ]
        or next_.payloads("position_reduced")[0]["remainingQty"] == 80
    )
    (house,) = next_.state.books.house.positions.values()
    assert house.entry_price == floor.state.books.house.positions["BTCUSDT", "BOTH"].entry_price
    await next_.at(80)
    assert taken_by_house(next_) == D(30), "the rest waits until that is in the database"
    next_.commit()
    assert taken_by_house(next_) == D(40)
    assert house_of(next_).cost == house_of(floor).cost + 10 * D(80), "at a price of its own"


async def test_what_the_database_has_is_not_taken_twice() -> None:
    floor = await taking()
    next_ = successor(floor, booked=True)
    next_.liquidator.resume()
    assert not taken_by_house(next_)
    assert next_.account.holding("BTCUSDT", "BOTH").quantity == D(70)
    assert next_.payloads("adl_triggered")[0]["positions"][0]["remainingQty"] == 70


async def test_a_graver_decision_waits_for_what_the_house_takes() -> None:
    floor = await taking()
    await floor.at(INSOLVENT)
    await floor.at(INSOLVENT)
    assert [course.decision.act for course in floor.state.courses.all()] == ["reduce"]
    floor.commit()
    for _ in range(3):
        await floor.at(80.0)
    assert [course.decision.act for course in floor.state.courses.all()] == ["close"]
