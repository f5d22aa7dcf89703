"""R-06, R-11, R-14: what the feed has not told is found by looking again, and nothing is ended without proof."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.pms_orders.orders import NOW, sent, spec
from tests.unit.pms_orders.venue import Exchange, queried, traded, venue

from pms_common.contracts.bus.exchange import Reconciled, Tally
from pms_common.contracts.bus.orders import ExchangeAccount
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.exchange_client import ExchangeClient, VenueRefused
from pms_orders.adapters.binance.queries import Queries
from pms_orders.app.account import ExchangeFacts
from pms_orders.app.foreign import ForeignOrders
from pms_orders.app.fundings import Fundings
from pms_orders.app.manager import OrderManager
from pms_orders.app.owners import Found
from pms_orders.app.readiness import Readiness
from pms_orders.app.reconciler import LAG_MS, PERIOD_S, WEIGHT_PER_S, Reconciler
from pms_orders.app.resolver import FORGOTTEN_AFTER_MS, Resolver
from pms_orders.app.session import Session
from pms_orders.domain.gates import Gates
from pms_orders.domain.order import Flight, Operation, OrderState
from pms_orders.domain.reducer import Announce
from pms_orders.domain.resolution import SPOKEN_WITHIN_MS
from pms_orders.domain.slots import Slots
from pms_orders.domain.tracker import OrderTracker

NAME = "PMS_a_LMT_1"


@dataclass
class Told:
    """Hears what would be published, journalled and sent."""

    causes: list[tuple[str, str]] = field(default_factory=list)
    facts: list[Any] = field(default_factory=list)
    parts: dict[str, bool] = field(default_factory=dict)
    missed: int = 0
    ended: tuple[Decimal | None, Decimal] | None = None
    """Price and quantity with which an order was told as ended."""
    slots: Slots = field(default_factory=Slots)

    def tell(self, order: OrderState, announces: list[Announce]) -> None:
        self.causes += [(announce.key, announce.cause) for announce in announces]
        self.ended = (order.price, order.quantity) if order.final else self.ended

    def enter(self, order: OrderState) -> None:
        """The sender's: nothing is to be sent here."""

    def publish(self, update: Any) -> None:
        self.facts.append(update)

    def part(self, part: str, ok: bool, _why: str) -> None:
        self.parts[part] = ok

    def miss(self) -> None:
        self.missed += 1


class Journal:
    """What journal and streams know: nothing, unless a test says so."""

    def __init__(self) -> None:
        self.orders: list[OrderState] = []
        self.requested: set[str] = set()
        self.asked: list[set[str]] = []

    async def look_up(self, names: Any, numbers: Any = ()) -> Found:
        self.asked.append({*names, *map(str, numbers)})
        known = [o for o in self.orders if o.client_order_id in names or o.exchange_order_id in numbers]
        return Found(known, self.requested & set(names))


class Rig:
    """The parts that look, on a venue the test writes."""

    def __init__(self, rest: ExchangeClient, exchange: Exchange) -> None:
        self.exchange, self.rest, self.told = exchange, rest, Told()
        self.wall_ms = NOW + 60_000
        self.age_ms = 1_000_000
        told: Any = self.told
        self.manager = OrderManager(
            tracker=OrderTracker(),
            gates=Gates(),
            specs={},
            publisher=told,
            journal=told,
            now_ms=lambda: self.wall_ms,
            ages_ms=lambda: self.age_ms,
        )
        self.manager.sender = told
        self.resolver = Resolver(self.manager, rest, lambda: self.age_ms, self.told.miss)
        self.facts = ExchangeFacts(told, lambda: self.wall_ms)
        self.owners: Any = Journal()
        specs = {"BTCUSDT": spec()}
        self.foreign = ForeignOrders(self.manager, self.owners, Queries(rest), told, specs)
        self.fundings = Fundings(Queries(rest), told, lambda: self.wall_ms, lambda: NOW)
        self.known: list[int] = []
        looking = (self.manager, self.resolver, rest, self.facts, self.foreign)
        self.reconciler = Reconciler(*looking, specs, told, lambda: self.wall_ms, self.known.append)
        self.reconciler.known_ms = NOW

    def resting(self, name: str = NAME, **fields: Any) -> OrderState:
        order = sent(name, **fields)
        order.status, order.exchange_order_id = "active", 7
        self.manager.tracker.add(order)
        return order

    async def clear_up(self) -> None:
        for case in self.manager.cases.due(self.age_ms):
            await self.resolver._clear_up(case)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    exchange = Exchange()
    async with venue(exchange.answer) as rest:
        yield Rig(rest, exchange)


async def test_r11_a_missed_cancel_is_found_on_a_connection_that_lives(rig: Rig) -> None:
    order = rig.resting()
    rig.exchange.orders[NAME] = queried(NAME, "CANCELED")
    pause_s = await rig.reconciler.look_again()
    assert pause_s + LAG_MS / 1000 <= 5
    assert order.status == "cancelled" and rig.told.causes == [(f"{NAME}:cancelled", "cancelled")]
    assert rig.told.missed == 1


async def test_r11_a_missed_fill_is_found_and_told_with_the_feeds_key(rig: Rig) -> None:
    order = rig.resting()
    rig.exchange.open_orders = [queried(NAME, "PARTIALLY_FILLED", "4")]
    rig.exchange.orders[NAME] = rig.exchange.open_orders[0]
    rig.exchange.trades = [traded(1, "3"), traded(2, "1")]
    await rig.reconciler.look_again()
    assert order.status == "active" and order.booked == Decimal(4)
    assert [key for key, _ in rig.told.causes] == ["BTCUSDT:7:1", "BTCUSDT:7:2"]
    assert rig.told.missed == 0


async def test_r11_an_order_that_was_amended_and_filled_unheard_ends_with_its_last_terms(rig: Rig) -> None:
    order = rig.resting(NAME)
    rig.manager.clear_up(order, doubted=True)
    rig.exchange.orders = {NAME: queried(NAME, "FILLED", "2", origQty="2", price="103")}
    rig.exchange.trades = [traded(1, "1"), traded(2, "1")]
    rig.age_ms += 1_000
    await rig.clear_up()
    assert order.status == "filled" and (order.price, order.quantity) == (103, 2)
    assert rig.told.ended == (103, 2), "its end is told with these terms, for nothing is told after it"


async def test_nothing_is_asked_where_nothing_is_in_play(rig: Rig) -> None:
    assert await rig.reconciler.look_again() == PERIOD_S
    assert sorted(rig.exchange.asked) == ["balance", "positionRisk"]
    await rig.reconciler.look_again()
    assert len(rig.exchange.asked) == 2
    risk = {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "1", "entryPrice": "100"}
    rig.exchange.positions = [risk]
    await rig.reconciler.run()
    rig.exchange.asked.clear()
    await rig.reconciler.look_again()
    assert sorted(rig.exchange.asked) == ["balance", "positionRisk"]


@pytest.mark.parametrize("symbols", [1, 10, 30, 39, 40, 300])
async def test_r25_r11_looking_again_comes_soon_enough_and_spares_the_weight(rig: Rig, symbols: int) -> None:
    for n in range(symbols):
        rig.resting(f"o{n}", symbol=f"S{n}USDT")
        rig.exchange.open_orders.append(queried(f"o{n}", symbol=f"S{n}USDT"))
    pause_s = await rig.reconciler.look_again()
    assert rig.rest._budget.weight.used <= pause_s * WEIGHT_PER_S
    assert pause_s + LAG_MS / 1000 <= 5
    if symbols <= 20:
        assert rig.rest._budget.weight.used <= pause_s * 2_400 / 60 / 4


async def test_r11_an_order_that_is_unclear_and_that_nobody_asks_about_is_asked_about(rig: Rig) -> None:
    order = rig.resting()
    order.status = "cancelling"
    rig.exchange.orders[NAME] = queried(NAME, "CANCELED")
    await rig.reconciler.look_again()
    rig.age_ms += 1_000
    await rig.clear_up()
    assert order.status == "cancelled"


async def test_r11_an_order_whose_cancel_was_answered_just_now_is_left_to_the_feed(rig: Rig) -> None:
    order = rig.resting()
    order.status = "cancelling"
    rig.manager.expect(order)
    await rig.reconciler.look_again()
    assert not len(rig.manager.cases)
    assert rig.manager.expectations.take_silent(rig.age_ms + SPOKEN_WITHIN_MS) == [NAME]
    await rig.reconciler.look_again()
    assert order in rig.manager.cases


async def test_what_has_just_changed_or_is_under_way_is_left_to_the_feed(rig: Rig) -> None:
    order = rig.resting()
    order.updated_ms = rig.wall_ms - LAG_MS + 1
    rig.resting("under way").flight = Flight(Operation.AMEND, NOW)
    await rig.reconciler.look_again()
    assert "openOrders" not in rig.exchange.asked and not len(rig.manager.cases)
    order.updated_ms = rig.wall_ms + 3_600_000  # the wall clock was set back
    await rig.reconciler.look_again()
    assert "openOrders" in rig.exchange.asked


async def test_a_look_that_fails_makes_nothing_unknown(rig: Rig) -> None:
    told: Any = rig.told
    session = Session(rig.manager, rig.reconciler, rig.facts, rig.foreign, rig.fundings, Readiness(told, told.part))
    session.connected(True, "")
    session._readiness.set("reconciled", True)
    session.reconciled_once.set()
    rig.resting()
    rig.exchange.down = True
    with pytest.raises(VenueRefused):
        await rig.reconciler.look_again()
    assert await session._look_again() > 0
    assert rig.told.parts["reconciled"]


async def test_r16_nothing_is_asked_of_a_time_that_the_venue_does_not_keep(rig: Rig) -> None:
    rig.reconciler.known_ms = rig.wall_ms - 365 * 86_400_000
    await rig.reconciler.run()
    first_ms, *_ = rig.exchange.income_since
    assert rig.wall_ms - 89 * 86_400_000 < first_ms < rig.wall_ms - 7 * 86_400_000


async def test_r16_a_start_tells_positions_of_any_age_leg_and_symbol_and_waits_for_none(rig: Rig) -> None:
    """Year-old ones, both legs of a symbol, and one that is not listed any more."""
    old = {"entryPrice": "1", "updateTime": NOW - 365 * 86_400_000}
    held = (("BTCUSDT", "LONG", "2"), ("BTCUSDT", "SHORT", "-3"), ("GONEUSDT", "BOTH", "5"))
    rig.exchange.positions = [
        {**old, "symbol": symbol, "positionSide": side, "positionAmt": amount} for symbol, side, amount in held
    ]
    await rig.reconciler.run()
    (facts,) = [told for told in rig.told.facts if isinstance(told, ExchangeAccount) and told.complete]
    assert {(p.symbol, p.position_side, str(p.quantity)) for p in facts.positions} == set(held)
    (count,) = [told for told in rig.told.facts if isinstance(told, Reconciled)]
    assert count.positions == Tally(matched=2, quarantined=1)
    assert "userTrades" not in rig.exchange.asked, "what nobody has touched for a year needs no trades"


async def test_r06_an_order_the_venue_has_forgotten_ends_only_after_a_conclusive_time(rig: Rig) -> None:
    order = rig.resting()
    await rig.reconciler.run()
    (case,) = rig.manager.cases
    while rig.age_ms < case.conclusive_ms + FORGOTTEN_AFTER_MS:
        await rig.clear_up()
        assert order.status == "active" and case.doubted
        rig.age_ms += 500
    rig.age_ms += 10_000
    rig.exchange.trades = [traded(1, "3")]
    await rig.clear_up()
    assert order.status == "cancelled" and order.booked == Decimal(3)
    assert rig.told.causes == [("BTCUSDT:7:1", "fill"), (f"{NAME}:cancelled", "cancelled")]


async def test_r06_an_order_that_is_listed_as_open_is_not_ended(rig: Rig) -> None:
    order = rig.resting()
    await rig.reconciler.run()
    rig.exchange.open_orders = [queried(NAME)]
    rig.age_ms += 60_000
    await rig.clear_up()
    assert order.status == "active"


async def test_m08_a_step_of_the_wall_clock_concludes_nothing(rig: Rig) -> None:
    order = sent()
    rig.manager.tracker.add(order)
    rig.manager.suspect(order)
    rig.wall_ms += 3_600_000
    rig.age_ms += 300
    await rig.clear_up()
    assert order.status == "unknown"
    rig.wall_ms -= 7_200_000
    rig.age_ms += 3_000
    await rig.clear_up()
    assert order.status == "failed"


def changed(wallet: str, quantity: str) -> wire.AccountUpdate:
    position = wire.FeedPosition(symbol="BTCUSDT", quantity=Decimal(quantity), entry_price=Decimal(1))
    balance = wire.FeedBalance(asset="USDT", wallet=Decimal(wallet))
    return wire.AccountUpdate(wire.FeedAccount("ORDER", [balance], [position]), NOW)


def test_what_the_feed_tells_while_the_account_is_asked_for_stays() -> None:
    told: Any = Told()
    facts = ExchangeFacts(told, lambda: NOW)
    old_position = wire.PositionRisk("BTCUSDT", "BOTH", Decimal(1), Decimal(1))
    other = wire.PositionRisk("ETHUSDT", "BOTH", Decimal(2), Decimal(1))
    facts.change(changed("90", "0"))
    assets = [wire.Asset("USDT", Decimal(100)), wire.Asset("BNB", Decimal(1))]
    asked_s = facts._changed_s["USDT", ""]
    assert facts.replace(assets, [old_position, other], asked_s) == {"ETHUSDT"}
    facts.tell_all("reconciliation")
    told_all = told.facts[-1]
    assert {item.asset: item.wallet for item in told_all.balances} == {"USDT": Decimal(90), "BNB": Decimal(1)}
    assert [item.symbol for item in told_all.positions] == ["ETHUSDT"]
    assert not facts.replace(assets, [other], asked_s + 60) and facts.differed  # the wallet is another
    assert not facts.replace(assets, [other], asked_s + 60) and not facts.differed
    assert facts.replace(assets, [], asked_s + 60) == {"ETHUSDT"}


def test_r13_an_older_account_event_of_another_connection_changes_nothing() -> None:
    told: Any = Told()
    facts = ExchangeFacts(told, lambda: NOW)
    facts.change(changed("90", "1"))
    older = changed("100", "2")
    older.event_ms -= 1
    facts.change(older)
    assert [position.quantity for position in facts.positions()] == [Decimal(1)]
