"""What is checked again at the moment of signing."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.pms_orders.orders import NOW, place, sent, spec
from tests.unit.pms_orders.test_rate import budget_of

from pms_common.contracts.errors import CommandError
from pms_orders.app.sender import Sender
from pms_orders.domain.gates import Gates
from pms_orders.domain.order import Operation, OrderState, Terms, register


class Line:
    """A transport with room, which keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[Operation, OrderState]] = []

    def room(self, _operation: Operation, batch: bool = False) -> int:
        return 0 if batch else 10

    def send(self, operation: Operation, order: OrderState, _flight: Any) -> None:
        self.sent.append((operation, order))

    def flush(self) -> None:
        """All is sent."""


@pytest.mark.parametrize(("late_ms", "code"), [(0, None), (1, "EXPIRED_COMMAND")])
async def test_an_amendment_that_has_waited_too_long_is_not_signed(late_ms: int, code: str | None) -> None:
    line, barred = Line(), []
    lane: Any = line

    def bar(order: OrderState, operation: Operation, refusal: CommandError) -> None:
        order.wanted_amend = None
        barred.append((operation, refusal.code.name))

    now: Callable[[], int] = lambda: NOW + late_ms  # noqa: E731
    sender = Sender(budget_of(), Gates(), lane, bar, now, {"BTCUSDT": spec()})
    order = sent()
    order.status, order.wanted_amend, order.amend_until_ms = "active", Terms(Decimal(101), Decimal(10)), NOW
    sender.open_for_risk = True
    sender.enter(order)
    sender._pump()
    assert barred == ([] if code is None else [(Operation.AMEND, code)])
    assert line.sent == ([(Operation.AMEND, order)] if code is None else [])


@pytest.mark.parametrize(("fields", "goes"), [({}, False), ({"reduce_only": True}, True)])
async def test_what_opens_risk_waits_while_nobody_judges_it(fields: dict[str, Any], goes: bool) -> None:
    line: Any = Line()
    sender = Sender(budget_of(), Gates(), line, lambda *_: None, lambda: NOW, {"BTCUSDT": spec()})
    order = register(place(**fields), NOW)
    sender.open_for_risk = True
    sender.supervise(False)
    sender.enter(order)
    sender._pump()
    assert line.sent == ([(Operation.PLACE, order)] if goes else [])
    sender.supervise(True)
    sender._pump()
    assert line.sent == [(Operation.PLACE, order)]
