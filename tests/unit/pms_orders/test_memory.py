"""Memory is flat: what has ended leaves everything but the bounded memory of ended orders."""

import gc
from decimal import Decimal
from itertools import count
from typing import Any

import msgspec
import pytest
from tests.unit.pms_orders.floor import Floor, entry
from tests.unit.pms_orders.orders import place, report, trade

from pms_orders.domain.order import OrderState
from pms_orders.domain.reducer import Report
from pms_orders.domain.table import Kind
from pms_orders.domain.tracker import MAX_TOMBSTONES

ORDERS = 100_000
KEPT = 1_000
TEMPLATE = place()


def life(number: int, name: str) -> list[Report]:
    """A way to end: filled, cancelled, expired."""
    filled = trade(number, "10", "10", Kind.FILLED)
    ends = (filled, report(Kind.CANCELLED, executed=Decimal(0)), report(Kind.EXPIRED, executed=Decimal(0)))
    reports = [report(Kind.NEW), ends[number % 3]]
    for said in reports:
        said.client_order_id, said.exchange_order_id = name, number
    return reports


def alive() -> int:
    """Objects that Python knows of."""
    gc.collect()
    return len(gc.get_objects())


def sizes(floor: Floor) -> dict[str, int]:
    """How much everything holds that an order passes through."""
    manager, tracker = floor.manager, floor.manager.tracker
    found: dict[str, int] = {
        "live": len(tracker),
        "cases": len(manager.cases),
        "expectations": len(manager.expectations),
        "watchers": len(manager.watchers),
        "amendments": len(manager.amendments),
        "resting": len(manager.resting._prices),
        "accounts": len(tracker._by_account),
        "slots": len(manager.sender.slots._holders),
        "lanes": len(manager.sender.lanes),
    }
    return found


def lived(floor: Floor, numbers: Any, orders: int) -> None:
    """That many orders, some cancelled and some amended on the way, live and end."""
    ended: list[OrderState] = []
    for number in (next(numbers) for _ in range(orders)):
        name = f"PMS_{number}"
        work = msgspec.structs.replace(TEMPLATE, client_order_id=name, account_id=f"a{number % 50}")
        floor.manager.place(work, b"", entry(number))
        sent = floor.door.sent.pop()
        floor.outcomes.answered(sent, number, None)
        if number % 5 == 0:
            floor.manager.watchers.watch(sent.order, lambda order, _refused: ended.append(order))
            floor.manager.cancel(sent.order, "requested")
            floor.manager.hint("BTCUSDT", number, name, number)
        if number % 100 == 0:
            floor.manager.bury(f"never_{number}")
        floor.manager.report(life(number, name))
        floor.door.sent.clear()
        if number % 1_000 == 0:
            floor.pass_time(2_000)
            floor.ears.forget()
    floor.pass_time(2_000)
    for case in floor.manager.cases:  # the fills that were hinted at and never came
        floor.manager.cases.close(case)
    assert len(ended) == orders // 5


@pytest.mark.slow
def test_r26_a_hundred_thousand_orders_leave_nothing_behind() -> None:
    floor, numbers = Floor(), count(1)
    floor.manager.tracker._max_ended = KEPT
    lived(floor, numbers, 5 * KEPT)
    begun = alive()
    lived(floor, numbers, ORDERS - 5 * KEPT)
    assert set(sizes(floor).values()) == {0}, sizes(floor)
    tracker = floor.manager.tracker
    assert len(tracker._ended) == KEPT and len(tracker._by_number) == KEPT
    assert len(tracker._tombstones) <= MAX_TOMBSTONES
    assert alive() < begun + KEPT
