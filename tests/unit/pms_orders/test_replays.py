"""Recorded sequences of the user stream through the manager: in order, shuffled, repeated, with one event missing.

After reconciliation, whose queries are answered from the recorded truth, all end in that truth.
"""

import json
import random
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.pms_orders.floor import Floor, VenueOrder
from tests.unit.pms_orders.orders import sent
from tests.unit.pms_orders.test_wire import recorded_events

from pms_orders.adapters.binance import wire
from pms_orders.domain.order import Flight, Operation
from pms_orders.domain.reducer import Report
from pms_orders.domain.table import Kind

SHUFFLES = 20
ENDED = {"FILLED": "filled", "CANCELED": "cancelled", "EXPIRED": "expired"}
CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
STATUSES = {Kind.FILLED: "FILLED", Kind.CANCELLED: "CANCELED", Kind.EXPIRED: "EXPIRED"}


def heard(path: Path) -> list[Report | wire.TradeLite]:
    """What of a recording concerns orders, in its order.

    Without conditional orders of before December 2025, which expired when they were triggered and lived on under the
    same number: the venue has none any more, and this service never sent one.
    """
    found: list[Report | wire.TradeLite] = []
    for event in recorded_events(path):
        if event.get("o", {}).get("ot") in CONDITIONAL:
            continue
        read = wire.decode_event(json.dumps(event).encode())
        if isinstance(read, wire.OrderTradeUpdate):
            report = wire.feed_report(read)
            assert report is not None
            found.append(report)
        elif isinstance(read, wire.TradeLite):
            found.append(read)
    return found


def truth_of(reports: list[Report]) -> VenueOrder:
    """The order as the venue has it after its reports; executions from before the recording count as one trade."""
    last = reports[-1]
    assert last.quantity is not None and last.price is not None and last.executed is not None
    truth = VenueOrder(last.client_order_id, last.exchange_order_id, last.price, last.quantity)
    truth.status = STATUSES.get(last.kind, "NEW")
    truth.executed = last.executed
    truth.trades = {report.fill.trade_id: report.fill.quantity for report in reports if report.fill is not None}
    if earlier := last.executed - sum(truth.trades.values()):
        truth.trades[-1] = earlier
    return truth


class Replay:
    """A floor whose venue is the recording."""

    def __init__(self, events: list[Report | wire.TradeLite]) -> None:
        self.floor = Floor()
        by_order: defaultdict[str, list[Report]] = defaultdict(list)
        for event in events:
            if isinstance(event, Report):
                by_order[event.client_order_id].append(event)
        venue = self.floor.venue
        for name, reports in by_order.items():
            first, truth = reports[0], truth_of(reports)
            order = sent(name, symbol=first.symbol, quantity=str(first.quantity), price=str(first.price))
            order.flight = Flight(Operation.PLACE, order.sent_ms)
            self.floor.manager.tracker.add(order)
            venue.orders[name], venue.past[name] = truth, [truth]

    def hear(self, event: Report | wire.TradeLite) -> None:
        if isinstance(event, Report):
            self.floor.hear(event)
        else:
            named = (event.symbol, event.exchange_order_id, event.client_order_id, event.trade_id)
            self.floor.manager.hint(*named)

    def ends(self) -> None:
        """After reconciliation all orders are the recording's, each execution and each end told once."""
        for live in self.floor.manager.tracker.live():
            live.flight = None
        self.floor.settle()
        for name, truth in self.floor.venue.orders.items():
            order = self.floor.manager.tracker.find(name)
            assert order is not None
            assert (order.status, order.executed) == (ENDED.get(truth.status, "active"), truth.executed)
            assert order.trades == set(truth.trades) and order.booked == sum(truth.trades.values(), Decimal(0))
            told = [announce for _, announce in self.floor.ears.told[name]]
            fills = [announce.fill.trade_id for announce in told if announce.fill is not None]
            assert sorted(fills) == sorted(truth.trades)
            assert sum(announce.cause in ("cancelled", "expired") for announce in told) <= 1


@pytest.mark.data
def test_r06_r08_r11_every_recorded_sequence_ends_in_its_truth_however_it_is_heard(
    sequence_file: Path, record_property: Any
) -> None:
    events = heard(sequence_file)
    orders = [event for event in events if isinstance(event, Report)]
    if not orders:
        pytest.skip("no event of an order")
    dice = random.Random(0)
    ways = [events, [event for event in events for _ in range(2)], [*events, *events]]
    ways += [dice.sample(events, len(events)) for _ in range(SHUFFLES)]
    ways += [dice.choices(events, k=2 * len(events)) for _ in range(SHUFFLES)]
    ways += [[*events[:missing], *events[missing + 1 :]] for missing in range(len(events))]
    for way in ways:
        replay = Replay(events)
        for event in way:
            replay.hear(event)
        replay.ends()
    record_property("cases", len(ways))
