"""The trace context of a command goes on to its orders, to what is told of them and into its answer."""

import json
from typing import Any

import pytest

from pms_common.contracts.bus.common import PublicEvent
from pms_common.contracts.traceparent import EXAMPLE

from .closing_steps import opened, position_of, result
from .desk import Desk
from .test_amends import asked, resting
from .venue import Venue
from .world import D

ORDER = {"subAccountId": "a", "symbol": "BTCUSDT", "side": "BUY", "leverage": 10, "requestId": "c"}
LEG = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "leverage": 10}
LEVELS = [{"price": 98, "quantity": 1}, {"price": 99, "quantity": 1}]


def desk_and_venue() -> tuple[Desk, Venue]:
    desk = Desk()
    desk.price()
    return desk, Venue(desk)


def contexts(desk: Desk) -> list[str]:
    return [event.traceparent for event in desk.told(PublicEvent)]


@pytest.mark.parametrize("traceparent", [EXAMPLE, None])
@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("trade", ORDER | {"quantity": 1, "waitFor": "final"}),
        ("limit", ORDER | {"quantity": 1, "price": 99, "waitFor": "final"}),
        ("scale", ORDER | {"orders": LEVELS, "waitFor": "final"}),
        ("basket", {"subAccountId": "a", "legs": [LEG], "requestId": "c", "waitFor": "final"}),
    ],
)
def test_commands_that_open(type_: str, body: dict[str, Any], traceparent: str | None) -> None:
    desk, venue = desk_and_venue()
    decide = getattr(desk.sets if type_ in ("scale", "basket") else desk.trading, type_)
    desk.send(decide, type_, **body, traceparent=traceparent)
    for name in venue.take():
        venue.accept(name)
        venue.fill(name, D(1), D(99))
    assert {order.traceparent for order in venue.placed} == {traceparent or ""}
    assert set(contexts(desk)) == {traceparent or ""}
    assert result(desk).get("traceparent") == traceparent
    assert "order_filled" in desk.events_told() and "position_updated" in desk.events_told()


@pytest.mark.parametrize("type_", ["close", "close_all", "limit_close"])
def test_commands_that_close_also_after_a_restart(type_: str) -> None:
    desk, venue = opened("2")
    body: dict[str, Any] = {"subAccountId": "a"} if type_ == "close_all" else {"positionId": position_of(desk)}
    if type_ == "limit_close":
        body |= {"price": 101, "waitFor": "final"}
    before = len(desk.told(PublicEvent))
    desk.send(getattr(desk.closes, type_), type_, requestId="c", traceparent=EXAMPLE, **body)
    kept = [json.loads(value) for values in desk.paper.hashes.values() for value in values.values()]
    assert len([value for value in kept if value.get("traceparent") == EXAMPLE]) == 2, "the close, and who waits for it"
    (name,) = venue.take()
    assert venue.placed[-1].traceparent == EXAMPLE
    venue.accept(name)
    venue.fill(name, D(2), D(101))
    assert set(contexts(desk)[before:]) == {EXAMPLE}
    assert result(desk)["traceparent"] == EXAMPLE


def test_an_amend() -> None:
    desk, venue, name = resting()
    desk.send(desk.amends.amend, "amend", requestId="m", orderId=name, price=98, traceparent=EXAMPLE)
    (work,) = asked(desk)
    assert work.traceparent == EXAMPLE
    venue._tell("amended", venue._after(name, price=D(98)))
    assert result(desk, "m")["traceparent"] == EXAMPLE


def test_an_algos_child_resting_or_closing_at_market() -> None:
    desk, venue = opened("2")
    desk.ask(traceparent=EXAMPLE)
    close = {"order_type": "MARKET", "price": None, "side": "SELL", "reduce_only": True, "origin": "TRAIL_STOP"}
    desk.ask(client_order_id="T", traceparent=EXAMPLE, **close)
    assert venue.take() == ["K", "T"]
    assert [order.traceparent for order in venue.placed[-2:]] == [EXAMPLE, EXAMPLE]
