"""The steps of the tests about closing: a position, orders of its account, closes, and a restart between them."""

from decimal import Decimal
from itertools import count
from typing import Any

from pms_risk.app.approvals import Ask
from pms_risk.app.waits import Waits

from .desk import Desk
from .venue import Venue
from .world import D

_numbers = count(1)


def opened(quantity: str = "10", cash: int = 10_000, mode: Any = "oneway") -> tuple[Desk, Venue]:
    """An account with a long position, and everything taken that was sent for it."""
    desk = Desk(cash)
    desk.state.mode = mode
    desk.price()
    venue = Venue(desk)
    order(desk, "BUY", max(D(quantity), D(1)))
    (name,) = venue.take()
    venue.fill(name, D(quantity))
    if name in venue.live:
        venue.end(name)
    return desk, venue


def order(desk: Desk, side: Any, quantity: Decimal | str | int, price: str | None = None, **changes: Any) -> None:
    """A plain order of the account."""
    fields: dict[str, Any] = {
        "account": desk.account,
        "spec": desk.state.spec("BTCUSDT"),
        "side": side,
        "quantity": D(quantity),
        "leverage": D(10),
        "order_type": "MARKET" if price is None else "LIMIT",
        "price": D(price) if price is not None else None,
        "request_id": f"o{next(_numbers)}",
    }
    desk.approvals.approve(Ask(**(fields | changes)))


def closer(desk: Desk, venue: Venue, quantity: int) -> str:
    """The name of a reduce-only order of the account that rests at 101."""
    order(desk, "SELL", quantity, "101", reduce_only=True)
    (name,) = venue.take()
    venue.accept(name)
    return name


def position_of(desk: Desk) -> str:
    (position,) = desk.account.positions
    return position


def close(desk: Desk, request_id: str = "c", **fields: Any) -> None:
    desk.send(desk.closes.close, "close", requestId=request_id, positionId=position_of(desk), **fields)


def close_all(desk: Desk) -> None:
    desk.send(desk.closes.close_all, "close_all", requestId="c", subAccountId="a")


def result(desk: Desk, request_id: str = "c") -> dict[str, Any]:
    found = desk.result(request_id)
    assert found is not None, "not answered yet"
    return found


def restart(desk: Desk, *, resume: bool = True) -> None:
    """kill -9: books and reservations come back from elsewhere, closes and waits from what was kept."""
    desk.waits = Waits(desk.state, desk.paper, desk.answers, "waits")  # type: ignore[arg-type]
    desk.closings = desk.new_closings()
    desk.feed._waits, desk.feed._closings = desk.waits, desk.closings
    desk.closes._waits, desk.closes._closings = desk.waits, desk.closings
    desk.children._closings = desk.closings
    desk.waits.restore(list(desk.paper.hashes.get("waits", {}).values()))
    desk.closings.restore(list(desk.paper.hashes.get("closings", {}).values()))
    if resume:
        desk.closings.resume()
