"""Whatever the exchange does and whenever risk is killed, nobody closes what is not there (invariant 4)."""

from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pms_common.contracts.errors import CommandError

from .closing_steps import order, restart
from .desk import Desk
from .venue import Venue


class Closers(RuleBasedStateMachine):
    """Orders, closes and limit closes of one account; the exchange does what it likes with them; risk is killed."""

    mode: Any = "oneway"

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(10**7)
        self.desk.state.mode = self.mode
        self.desk.price()
        self.venue = Venue(self.desk)
        self.requests = 0

    @rule(side=st.sampled_from(["BUY", "SELL"]), quantity=st.integers(1, 20), limit=st.booleans(), only=st.booleans())
    def order(self, side: Any, quantity: int, limit: bool, only: bool) -> None:
        try:
            order(self.desk, side, quantity, "100" if limit else None, reduce_only=only)
        except CommandError:
            return
        self.venue.take()

    @precondition(lambda self: self.desk.account.positions)
    @rule(data=st.data(), fraction=st.sampled_from([1, 0.5, 0.1]), limit=st.booleans())
    def close(self, data: st.DataObject, fraction: float, limit: bool) -> None:
        self.requests += 1
        position = data.draw(st.sampled_from(sorted(self.desk.account.positions)))
        named: dict[str, Any] = {"requestId": f"c{self.requests}", "positionId": position}
        if limit:
            self.desk.send(self.desk.closes.limit_close, "limit_close", price=100, **named)
        else:
            self.desk.send(self.desk.closes.close, "close", fraction=fraction, **named)
        self.venue.take()

    @precondition(lambda self: self.venue.live)
    @rule(data=st.data(), what=st.sampled_from(["accept", "fill", "part", "end", "reject", "absent"]))
    def happens(self, data: st.DataObject, what: str) -> None:
        venue = self.venue
        name = data.draw(st.sampled_from(venue.live))
        view = venue.orders[name]
        left = view.quantity - view.executed_quantity
        if name in venue.amending and data.draw(st.booleans()):
            quantity = venue.amending.pop(name)
            if quantity > view.executed_quantity and data.draw(st.booleans()):
                venue.amend(name, quantity)
            else:
                venue.refuse_amend(name)
        elif what == "accept" and view.state == "placing":
            venue.accept(name)
        elif what == "fill":
            venue.fill(name)
        elif what == "part" and left > 1:
            venue.fill(name, Decimal(data.draw(st.integers(1, int(left)))))
        elif what == "end":
            venue.end(name)
        elif what in ("reject", "absent") and view.state == "placing":
            state, code = ("rejected", "EXCHANGE_REJECTED") if what == "reject" else ("failed", "EXPIRED_COMMAND")
            venue.end(name, state, code)
        venue.take()

    @rule()
    def killed(self) -> None:
        restart(self.desk)
        self.venue.take()

    @invariant()
    def nobody_closes_what_is_not_there(self) -> None:
        desk = self.desk
        for holding in desk.account.holdings.values():
            for side in ("BUY", "SELL"):
                orders = holding.side(side)
                if orders.reduce_only or (
                    holding.leg != "BOTH" and side == ("SELL" if holding.leg == "LONG" else "BUY")
                ):
                    assert orders.quantity <= holding.closable(side)
        assert ("BTCUSDT", "BOTH") not in desk.state.books.house.positions, "an execution beyond its position"

    def teardown(self) -> None:
        """Whoever closed is answered once the exchange has ended everything."""
        for _ in range(1000):
            if not self.venue.live:
                break
            self.venue.end(self.venue.live[0])
            self.venue.take()
        self.desk.commit()
        self.desk.closings.tend()
        assert not self.venue.live
        for number in range(1, self.requests + 1):
            assert self.desk.result(f"c{number}") is not None, "everybody is answered"
        assert not self.desk.paper.hashes.get("closings")


class HedgeClosers(Closers):
    mode = "hedge"


TestInvariant4 = Closers.TestCase
TestInvariant4.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestInvariant4Hedge = HedgeClosers.TestCase
TestInvariant4Hedge.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
