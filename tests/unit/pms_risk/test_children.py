"""Children of algos: approved once, and a name that was refused stays refused."""

from pms_common.contracts.bus.risk import ChildRefused
from pms_risk.app import children, watching

from .closing_steps import opened
from .desk import Desk
from .world import D


def refusals(desk: Desk) -> list[tuple[str, str]]:
    return [(refused.client_order_id, refused.error_code) for refused in desk.told(ChildRefused)]


def test_a_name_that_was_refused_is_never_approved_later() -> None:
    desk = Desk()
    desk.price()
    desk.ask(expires_at_ms=desk.now_ms - 1)
    desk.ask(expires_at_ms=desk.now_ms + 4_000)
    assert refusals(desk) == [("K", "EXPIRED_COMMAND")] * 2
    desk.ask(client_order_id="M", quantity=D(500))
    desk.ask(client_order_id="M", quantity=D(1))
    assert refusals(desk)[2:] == [("M", "INSUFFICIENT_MARGIN")] * 2
    desk.ask(client_order_id="L")
    assert [placed.client_order_id for placed in desk.placed()] == ["L"]


def test_refused_names_are_bounded() -> None:
    desk = Desk()
    desk.price()
    for number in range(children.MAX_REFUSED + 10):
        desk.children._remember(f"K{number}", children.CommandError(children.ErrorCode.NO_PRICE))
    assert len(desk.children._refused) == children.MAX_REFUSED
    assert f"K{children.MAX_REFUSED + 9}" in desk.children._refused


def test_a_full_waiting_room_refuses_a_child_and_goes_on() -> None:
    desk = Desk()
    for number in range(watching.MAX_WAITING):
        desk.ask(client_order_id=f"K{number}", quantity=D("0.1"))
    desk.ask(client_order_id="one too many")
    assert refusals(desk) == [("one too many", "NO_PRICE")]
    desk.price()
    desk.ask(client_order_id="one too many")
    assert refusals(desk)[-1] == ("one too many", "NO_PRICE"), "its name stays refused"


def test_a_child_that_would_close_one_leg_and_open_the_other_is_one_order_that_closes() -> None:
    desk, venue = opened("5", mode="hedge")
    desk.ask(desk.now_ms, side="SELL", quantity=D(8), client_order_id="K")
    assert venue.take() == ["K"]
    assert (venue.orders["K"].quantity, venue.orders["K"].position_side) == (5, "LONG")
    assert desk.account.holding("BTCUSDT", "SHORT").empty, "nothing is reserved for what was not sent"
