"""scale and basket: what is checked together, and what is told of each."""

from dataclasses import replace
from typing import Any

from pms_risk.domain.rules import Rules

from .closing_steps import result
from .desk import Desk, entry, request_of
from .venue import Venue
from .world import D, spec


def desk_of(cash: int = 1_000) -> tuple[Desk, Venue]:
    desk = Desk(cash)
    desk.state.specs["ETHUSDT"] = spec("ETHUSDT")
    desk.price()
    desk.price(symbol="ETHUSDT")
    return desk, Venue(desk)


def scale(desk: Desk, *levels: tuple[float, float], **fields: Any) -> None:
    orders = [{"price": price, "quantity": quantity} for price, quantity in levels]
    named = {"requestId": "s", "subAccountId": "a", "symbol": "BTCUSDT", "side": "BUY", "leverage": 10}
    desk.send(desk.sets.scale, "scale", **named | {"orders": orders} | fields)


def basket(desk: Desk, *legs: tuple[str, str, float], request_id: str = "b", leverage: int = 10, **fields: Any) -> None:
    given = [{"symbol": s, "side": side, "quantity": q, "leverage": leverage} for s, side, q in legs]
    named = {"requestId": request_id, "subAccountId": "a", "basketName": "pair", "legs": given}
    desk.send(desk.sets.basket, "basket", **named | fields)


def test_a_scale_places_each_level_under_a_name_of_its_own() -> None:
    desk, venue = desk_of()
    scale(desk, (99, 1), (98, 1.0005), (97, 1))
    names = venue.take()
    assert [(w.price, w.quantity, w.origin, w.time_in_force) for w in venue.placed] == [
        (99, 1, "SCALE", "GTC"),
        (98, 1, "SCALE", "GTC"),
        (97, 1, "SCALE", "GTC"),
    ]
    for name in names:
        venue.accept(name)
    done = result(desk, "s")
    assert (done["placed"], done["failed"], done["total"]) == (3, 0, 3)
    assert [level["orderId"] for level in done["results"]] == names


def test_levels_that_are_refused_fail_alone() -> None:
    desk, venue = desk_of()
    scale(desk, (99, 1), (98, 0.01), (97, 1))
    first, third = venue.take()
    venue.accept(first)
    venue.end(third, "rejected", "EXCHANGE_MAX_ORDERS")
    done = result(desk, "s")
    assert (done["placed"], done["failed"], done["total"]) == (1, 2, 3)
    assert [level.get("errorCode") for level in done["results"]] == [
        None,
        "EXCHANGE_MIN_NOTIONAL",
        "EXCHANGE_MAX_ORDERS",
    ]


def test_a_scale_of_which_nothing_is_placed_has_failed() -> None:
    desk, venue = desk_of(cash=5)
    scale(desk, (99, 1), (98, 1))
    assert venue.take() == []
    assert result(desk, "s")["errorCode"] == "INSUFFICIENT_MARGIN"
    assert not desk.account.orders


def test_the_levels_of_a_scale_share_the_margin() -> None:
    desk, venue = desk_of(cash=25)
    scale(desk, (99, 1), (98, 1), (97, 1), (96, 1))
    names = venue.take()
    assert len(names) == 2, "a third would need 29.4 of 25"
    for name in names:
        venue.accept(name)
    assert result(desk, "s")["failed"] == 2


def test_a_basket_sends_all_its_legs() -> None:
    desk, venue = desk_of()
    basket(desk, ("BTCUSDT", "LONG", 2), ("ETHUSDT", "SHORT", 1), waitFor="final")
    for name in venue.take():
        venue.fill(name)
    assert {work.origin for work in venue.placed} == {"BASKET"}
    done = result(desk, "b")
    assert (done["basketName"], done["total"], done["succeeded"], done["failed"]) == ("pair", 2, 2, 0)
    first = done["results"][0]
    assert (first["symbol"], first["side"], first["trade"]["price"], first["trade"]["notional"]) == (
        "BTCUSDT",
        "BUY",
        100,
        200,
    )
    assert first["trade"]["position"]["margin"] == 20


def test_a_basket_is_checked_as_one_and_nothing_is_sent_where_a_leg_fails() -> None:
    desk, venue = desk_of(cash=100)
    desk.state.pool.room = D(1_000)
    basket(desk, ("BTCUSDT", "BUY", 6), ("ETHUSDT", "SELL", 6))
    assert venue.take() == []
    assert not desk.account.orders
    assert desk.state.pool.room == 1_000, "others need not wait for the next measurement"
    refused = result(desk, "b")
    assert refused["errorCode"] == "INSUFFICIENT_MARGIN"
    assert refused["errors"][0]["field"].startswith("legs[1]")


def test_the_legs_of_a_basket_are_counted_against_the_orders_a_minute() -> None:
    desk, venue = desk_of()
    desk.account.set_rules(replace(desk.account.rules, max_orders_per_minute=2))
    basket(desk, ("BTCUSDT", "BUY", 1), ("ETHUSDT", "SELL", 1), ("BTCUSDT", "BUY", 1))
    assert result(desk, "b")["errorCode"] == "MAX_ORDER_RATE_EXCEEDED"
    assert venue.take() == []
    basket(desk, ("BTCUSDT", "BUY", 1), ("ETHUSDT", "SELL", 1), request_id="b2")
    assert len(venue.take()) == 2, "what was not sent does not count"


def test_all_violations_of_a_basket_are_told_by_their_leg() -> None:
    desk, _ = desk_of()
    desk.account.set_rules(Rules(max_leverage=D(5), max_notional_per_trade=D(150), max_total_exposure=D(10_000)))
    basket(desk, ("BTCUSDT", "BUY", 1), ("ETHUSDT", "SELL", 2))
    errors = result(desk, "b")["errors"]
    assert [(error["code"], error["field"]) for error in errors] == [
        ("MAX_LEVERAGE", "legs[0].leverage"),
        ("MAX_LEVERAGE", "legs[1].leverage"),
        ("MAX_NOTIONAL", "legs[1].quantity"),
    ]


def test_a_leg_that_the_exchange_refuses_is_told_and_the_others_stand() -> None:
    desk, venue = desk_of()
    basket(desk, ("BTCUSDT", "BUY", 1), ("ETHUSDT", "SELL", 1))
    first, second = venue.take()
    venue.fill(first)
    venue.end(second, "rejected", "EXCHANGE_MIN_NOTIONAL")
    done = result(desk, "b")
    assert (done["succeeded"], done["failed"]) == (1, 1)
    assert done["results"][1]["errors"][0]["code"] == "EXCHANGE_MIN_NOTIONAL"


def test_one_basket_at_a_time() -> None:
    desk, venue = desk_of()
    basket(desk, ("BTCUSDT", "BUY", 1))
    basket(desk, ("BTCUSDT", "BUY", 1), request_id="b2")
    assert result(desk, "b2")["errorCode"] == "BASKET_RUNNING"
    venue.fill(*venue.take())
    basket(desk, ("BTCUSDT", "BUY", 1), request_id="b3")
    assert len(venue.take()) == 1


def test_a_basket_waits_for_the_first_price_of_every_leg() -> None:
    desk, venue = desk_of()
    for symbol in ("AAAUSDT", "BBBUSDT"):
        desk.state.specs[symbol] = spec(symbol)
    request = request_of(
        "basket",
        requestId="b",
        subAccountId="a",
        legs=[{"symbol": s, "side": "BUY", "quantity": 1, "leverage": 5} for s in ("AAAUSDT", "BBBUSDT")],
    )
    assert desk.sets.basket(request).name == "LATER"
    desk.price(symbol="AAAUSDT")
    assert venue.take() == []
    desk.price(symbol="BBBUSDT")
    assert len(venue.take()) == 2
    assert [acked.id for acked in desk.paper.acked] == [entry().id]
