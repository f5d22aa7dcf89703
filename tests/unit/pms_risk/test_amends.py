"""amend: reserved for before it is asked for, given back when the exchange has it."""

from decimal import Decimal
from typing import Any

import pytest

from pms_common.contracts.bus.orders import AmendOrder, order_work

from .closing_steps import order, position_of, result
from .desk import Desk
from .venue import Venue
from .world import D


def resting(cash: int = 1_000, side: str = "BUY", quantity: str = "2", price: str = "99") -> tuple[Desk, Venue, str]:
    desk = Desk(cash)
    desk.price()
    venue = Venue(desk)
    order(desk, side, quantity, price)
    (name,) = venue.take()
    venue.accept(name)
    return desk, venue, name


def amend(desk: Desk, name: str, request_id: str = "m", **fields: Any) -> None:
    desk.send(desk.amends.amend, "amend", requestId=request_id, orderId=name, **fields)


def asked(desk: Desk) -> list[AmendOrder]:
    stream = desk.paper.streams.get(desk.names.requests("orders"), [])
    return [work for data in stream if isinstance(work := order_work.decode(data), AmendOrder)]


def amended(venue: Venue, name: str, quantity: str, price: str) -> None:
    venue._tell("amended", venue._after(name, quantity=D(quantity), price=D(price)))


def test_more_is_reserved_before_and_the_answer_has_the_new_terms() -> None:
    desk, venue, name = resting()
    assert desk.account.reserved_margin == D("19.8")
    amend(desk, name, price=100, quantity=3)
    assert desk.account.reserved_margin == 30
    (work,) = asked(desk)
    assert (work.price, work.quantity, bool(work.replace_as)) == (100, 3, True)
    amended(venue, name, "3", "100")
    done = result(desk, "m")
    assert (done["clientOrderId"], done["price"], done["quantity"], done["state"]) == (name, 100, 3, "active")
    assert desk.account.reserved_margin == 30


def test_less_is_given_back_only_when_the_exchange_has_it() -> None:
    desk, venue, name = resting()
    amend(desk, name, price=90, quantity=1)
    assert desk.account.reserved_margin == D("19.8")
    venue.fill(name, D("0.5"), D(99))
    assert desk.account.orders[name].quantity == 2, "an execution under the old terms changes nothing"
    amended(venue, name, "1", "90")
    assert desk.account.orders[name].remaining == D("0.5")
    assert desk.account.orders[name].bound == 90


def test_a_refused_amendment_leaves_the_order_and_its_reservation() -> None:
    desk, venue, name = resting()
    amend(desk, name, price=100, quantity=4)
    assert desk.account.reserved_margin == 40
    venue._tell("amend_failed", venue._after(name), error_code="EXCHANGE_PRICE_RANGE", error="too far")
    assert result(desk, "m")["errorCode"] == "EXCHANGE_PRICE_RANGE"
    assert desk.account.reserved_margin == D("19.8")


def test_terms_that_the_margin_does_not_cover_are_refused_and_nothing_is_asked() -> None:
    desk, _, name = resting(cash=25)
    amend(desk, name, quantity=3)
    assert result(desk, "m")["errorCode"] == "INSUFFICIENT_MARGIN"
    assert not asked(desk)
    assert (desk.account.reserved_margin, desk.account.orders[name].quantity) == (D("19.8"), 2)


def test_lower_terms_are_never_refused_for_margin() -> None:
    desk, _, name = resting(cash=25)
    desk.account.cash = Decimal(1)
    amend(desk, name, quantity=1)
    assert len(asked(desk)) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"price": 99.05}, "FILTER_PRICE"),
        ({"quantity": 0.0001}, "FILTER_QUANTITY"),
        ({"quantity": 0.5}, "VALIDATION_FAILED"),
        ({"price": 200}, "FILTER_PRICE"),
        ({"subAccountId": "b", "price": 98}, "OWNERSHIP_FORBIDDEN"),
    ],
)
def test_terms_are_checked_like_those_of_a_new_order(fields: dict[str, Any], code: str) -> None:
    desk, venue, name = resting()
    venue.fill(name, D(1), D(99))
    amend(desk, name, **fields)
    assert result(desk, "m")["errorCode"] == code
    assert not asked(desk)


def test_orders_that_nobody_may_amend() -> None:
    desk, venue, name = resting()
    venue.end(name)
    amend(desk, name, price=98)
    amend(desk, "nothing", "m2", price=98)
    desk.ask(quantity=D(1))
    amend(desk, "K", "m3", price=98)
    order(desk, "BUY", 1)
    market = next(n for n, live in desk.account.orders.items() if live.price is None)
    amend(desk, market, "m4", price=98)
    codes = [result(desk, request)["errorCode"] for request in ("m", "m2", "m3", "m4")]
    assert codes == ["ORDER_ALREADY_FINAL", "ORDER_NOT_FOUND", "RISK_REJECTED", "EXCHANGE_INVALID_ORDER"]


def test_a_closer_cannot_be_amended_beyond_the_position() -> None:
    desk = Desk(10_000)
    desk.price()
    venue = Venue(desk)
    order(desk, "BUY", 10)
    venue.fill(*venue.take())
    order(desk, "SELL", 6, "101", reduce_only=True)
    (name,) = venue.take()
    venue.accept(name)
    amend(desk, name, quantity=11)
    assert result(desk, "m")["errorCode"] == "REDUCE_ONLY_REJECTED"
    amend(desk, name, "m2", quantity=10)
    desk.send(desk.closes.close, "close", requestId="c", positionId=position_of(desk), quantity=4)
    assert venue.take() == [], "the larger claim counts while it may come true"
    amended(venue, name, "10", "101")
    assert result(desk, "m2")["quantity"] == 10


def test_what_is_placed_instead_answers_the_request() -> None:
    desk, venue, name = resting()
    amend(desk, name, price=98)
    (work,) = asked(desk)
    successor = venue.orders[name]
    venue.orders[work.replace_as] = successor
    venue._tell(
        "snapshot", venue._after(work.replace_as, client_order_id=work.replace_as, state="placing", price=D(98))
    )
    venue.end(name)
    assert desk.result("m") is None
    venue.accept(work.replace_as)
    assert result(desk, "m")["clientOrderId"] == work.replace_as


def test_an_order_that_ends_first_is_told() -> None:
    desk, venue, name = resting()
    amend(desk, name, price=98)
    venue.fill(name)
    refused = result(desk, "m")
    assert (refused["errorCode"], refused["details"]["state"]) == ("ORDER_ALREADY_FINAL", "filled")
    assert not desk.account.orders


def test_an_older_price_does_not_end_the_reservation_for_a_newer_one() -> None:
    desk, venue, name = resting()
    amend(desk, name, price=98)
    amend(desk, name, "m2", price=100)
    amended(venue, name, "2", "98")
    assert desk.account.reserved_margin == 20, "2 at 100 may still come"
    amended(venue, name, "2", "100")
    amend(desk, name, "m3", price=97)
    amended(venue, name, "2", "97")
    assert desk.account.reserved_margin == D("19.4")


def test_newer_terms_win() -> None:
    desk, venue, name = resting()
    amend(desk, name, price=98)
    amend(desk, name, "m2", price=97)
    amended(venue, name, "2", "97")
    assert [result(desk, request)["price"] for request in ("m", "m2")] == [97, 97]


def test_a_restart_reserves_again_for_what_is_asked_for() -> None:
    desk, _, name = resting()
    amend(desk, name, price=100, quantity=3)
    live = desk.account.orders[name]
    desk.account.change_order(live, quantity=D(2), bound=D(99), executed=D(0))
    live.wished_quantity = D(0)
    desk.amends.restore(asked(desk))
    assert desk.account.reserved_margin == 30
