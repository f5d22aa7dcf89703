"""Updates of orders: reservations follow them in their order, and each end is told once."""

from typing import Any

import msgspec
import pytest

from pms_risk.app.wait import Outcome, Wait

from .desk import Desk, fill, update, view
from .world import D


def desk_with(*, price: float | None = 100.0) -> Desk:
    desk = Desk(100_000)
    if price is not None:
        desk.price(price)
    return desk


def wait(desk: Desk, order: str = "X") -> None:
    desk.waits.begin(
        Wait(
            request_id="r",
            given_account="a",
            account_id="a",
            command="trade",
            until="final",
            deadline_ms=desk.now_ms + 5_000,
            orders={order: Outcome()},
        )
    )


def test_an_adopted_market_order_reserves_what_it_was_approved_for() -> None:
    desk = desk_with(price=None)
    market = view(order_type="MARKET", price=None, quantity=D(50), state="unknown", notional_cap=D(5_250))
    desk.hear(update("snapshot", market))
    assert desk.account.reserved_margin == 525


def test_an_adopted_sell_of_an_algo_reserves_at_the_highest_price_it_declared() -> None:
    desk = desk_with()
    sell = view(side="SELL", quantity=D(2), parent_id="algo", price_cap=D(90), notional_cap=D(300))
    desk.hear(update("snapshot", sell))
    assert desk.account.reserved_notional == 300


def test_an_end_without_an_execution_is_told_once() -> None:
    desk = desk_with()
    half, whole = view(executed_quantity=D("0.5")), view(executed_quantity=D(1), state="filled", version=3)
    desk.hear(update("fill", half, 1, fill=fill(1, "0.5"), key="f1"))
    for n in (2, 3):
        desk.hear(update("fill", whole, n, key="X:filled"))
    assert desk.events_told() == ["order_placed", "order_partial", "position_updated", "order_filled"]
    desk.hear(update("fill", whole, 4, fill=fill(2, "0.5"), key="f2"))
    assert desk.events_told()[4:] == ["position_updated"], "the execution is booked, the end is not told again"
    assert desk.account.holding("BTCUSDT", "BOTH").quantity == 1


def test_an_execution_after_a_cancel_is_told() -> None:
    desk = desk_with()
    desk.hear(update("active", view(), 1))
    desk.hear(update("cancelled", view(state="cancelled", version=2), 2))
    late = view(state="cancelled", executed_quantity=D("0.5"), version=3)
    desk.hear(update("fill", late, 3, fill=fill(1, "0.5"), key="f1"))
    told = ["order_placed", "order_active", "order_cancelled", "order_partial", "position_updated"]
    assert desk.events_told() == told


@pytest.mark.parametrize("cause", ["rejected", "failed"])
def test_a_refusal_told_again_stays_a_refusal(cause: Any) -> None:
    desk = desk_with()
    refused = view(state=cause, exchange_order_id=None)
    for n in (1, 2):
        desk.hear(update(cause, refused, n))
    assert desk.events_told() == ["order_failed"]
    desk.hear(update("active", view(client_order_id="Y"), 3))
    for n in (4, 5):
        desk.hear(update(cause, view(client_order_id="Y", state=cause, version=2), n))
    assert desk.events_told()[1:] == ["order_placed", "order_active", "order_cancelled"]


async def test_a_wait_ends_with_an_execution_that_is_in_the_books_already() -> None:
    desk = desk_with()
    last = update("fill", view(state="filled", executed_quantity=D(1), average_price=D(100)), fill=fill(), key="f1")
    desk.hear(last)
    wait(desk)
    desk.hear(last, redelivered=True)
    assert b'"success":true' in desk.paper.keys[desk.names.result("r")]


def test_a_later_epoch_counts_more_than_a_higher_version() -> None:
    desk = desk_with()
    wait(desk)
    desk.hear(update("active", view(version=9), 1))
    desk.hear(update("snapshot", view(version=2, executed_quantity=D("0.4")), 1, epoch=2))
    assert desk.account.orders["X"].executed == D("0.4")
    (outcome,) = desk.waits.outcomes("X")
    assert outcome.view is not None and outcome.view.version == 2
    desk.hear(update("active", view(version=10), 2, epoch=1), redelivered=True)
    assert desk.account.orders["X"].executed == D("0.4")
    assert outcome.view.version == 2


def test_a_child_asked_for_again_after_its_end_is_released_when_its_end_is_told_again() -> None:
    desk = desk_with()
    desk.ask()
    ended = view(client_order_id="K", parent_id="algo", state="cancelled", version=2)
    desk.hear(update("cancelled", ended, 1))
    desk.ask()
    assert desk.account.reserved_margin
    told = len(desk.events_told())
    desk.hear(update("snapshot", ended, 2))
    assert not desk.account.reserved_margin
    assert len(desk.events_told()) == told


def test_r16_a_commission_in_another_asset_costs_after_a_crash_what_was_told_of_it() -> None:
    """The mark has gone, and the account's own rates are not known: the fill is told again before both."""
    before, after = Desk(), Desk()
    before.price(600, symbol="BNBUSDT")
    paid = msgspec.structs.replace(fill(), commission=D("0.0001"), commission_asset="BNB")
    told = update("fill", view(state="filled"), 1, fill=paid)
    before.hear(told)
    kept = before.paper.hashes["fees"]
    after.fees.restore({name.encode(): value for name, value in kept.items()})
    after.hear(told, redelivered=True)
    assert after.account.cash == before.account.cash == 1_000 - D("0.06")
    before.commit()
    assert not kept, "the books have it now"


def test_what_a_request_is_answered_counts_a_commission_in_another_asset_by_its_worth() -> None:
    desk = desk_with()
    desk.price(600, symbol="BNBUSDT")
    wait(desk)
    (outcome,) = desk.waits.outcomes("X")
    paid = msgspec.structs.replace(fill(), commission=D("0.0001"), commission_asset="BNB")
    desk.hear(update("fill", view(state="filled"), 1, fill=paid))
    assert outcome.commission == D("0.06")
