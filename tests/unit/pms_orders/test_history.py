"""An order follows from its history: whatever its life was, what was journalled makes it again."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW, place, report, trade

from pms_common.contracts.bus.orders import Fill
from pms_orders.domain.history import Transition, differences, rebuild, transition
from pms_orders.domain.order import Operation, OrderState, Terms, register, step
from pms_orders.domain.reducer import Action, Announce, accepted, acknowledge, apply_own, apply_report, depart, lose
from pms_orders.domain.table import Kind

TRADES = ["1", "2", "3", "4"]
KINDS = [Kind.NEW, Kind.CANCELLED, Kind.EXPIRED, Kind.AMENDED, Kind.FOUND_OPEN, Kind.FOUND_CANCELLED]
OWN = [Kind.LOST, Kind.REFUSED, Kind.ABSENT, Kind.CANCEL_REFUSED, Kind.AMEND_REFUSED]


class Life:
    """An order, and what was journalled of it: a transition and, where there is one, an execution a happening."""

    def __init__(self) -> None:
        self.order = register(place(), NOW)
        self.transitions: list[Transition] = []
        self.fills: dict[int, Fill] = {}
        self.told = transition(self.order)

    def follow(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Announce):
                self.transitions.append(transition(self.order))
                self.told = self.transitions[-1]
                if action.fill is not None:
                    self.fills[action.fill.trade_id] = action.fill

    def want_cancel(self) -> None:
        self.order.wanted_cancel = "requested"
        self.transitions.append(transition(self.order))
        self.told = self.transitions[-1]

    def rebuilt(self) -> OrderState:
        return rebuild(self.order.place, NOW, self.transitions, self.fills.values())


def live(life: Life, draw: st.DataObject, at: int) -> None:
    order = life.order
    what = draw.draw(st.sampled_from(["report", "trade", "trade", "own", "send", "acknowledge", "cancel", "amend"]))
    if what == "report":
        kind = draw.draw(st.sampled_from(KINDS))
        price, quantity = Decimal(draw.draw(st.sampled_from([99, 100, 101]))), Decimal(10)
        life.follow(apply_report(order, report(kind, event_ms=NOW + at, price=price, quantity=quantity)))
    elif what == "trade":
        trade_id = draw.draw(st.integers(1, len(TRADES)))
        executed = draw.draw(st.sampled_from([None, "10"]))
        kind = Kind.FILLED if executed else Kind.TRADE
        life.follow(apply_report(order, trade(trade_id, TRADES[trade_id - 1], executed, kind)))
    elif what == "own":
        life.follow(apply_own(order, draw.draw(st.sampled_from(OWN)), NOW + at, error_code="E", error="e"))
    elif what == "send" and (operation := step(order)):
        life.follow(depart(order, operation, NOW + at))
    elif what == "acknowledge" and order.flight and order.flight.operation is Operation.PLACE:
        life.follow(draw.draw(st.sampled_from([lose, accepted]))(order, NOW + at))
        life.follow(acknowledge(order, 7, NOW + at))
    elif what == "cancel" and order.sent_ms and not order.final:
        life.want_cancel()
    elif what == "amend" and not order.final:
        order.wanted_amend = Terms(Decimal(101), Decimal(10))


@given(st.data(), st.integers(1, 20))
def test_any_life_is_rebuilt_from_its_transitions_and_executions(draw: st.DataObject, length: int) -> None:
    life = Life()
    for at in range(1, length):
        live(life, draw, at)
        rebuilt = life.rebuilt()
        assert transition(rebuilt) == life.told
        assert (rebuilt.booked, rebuilt.trades) == (life.order.booked, life.order.trades)


def test_a_row_that_was_changed_is_found_out() -> None:
    life = Life()
    life.follow(apply_report(life.order, trade(1, "4", "4")))
    assert differences(life.order, life.rebuilt()) == []
    life.order.executed = Decimal(5)
    assert differences(life.order, life.rebuilt()) == ["executed_quantity: 5, by its history 4"]


def test_an_execution_without_its_transition_still_counts() -> None:
    life = Life()
    life.follow(apply_report(life.order, trade(1, "4", "4")))
    life.transitions.clear()
    assert life.rebuilt().executed == 4


def test_an_older_version_does_not_undo_a_newer_one() -> None:
    life = Life()
    life.follow(apply_report(life.order, report(Kind.NEW)))
    life.follow(apply_report(life.order, report(Kind.CANCELLED)))
    life.transitions.append(life.transitions[0])
    assert life.rebuilt().status == "cancelled"
