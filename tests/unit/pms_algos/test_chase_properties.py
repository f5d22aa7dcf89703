"""A chase under anything: random prices, partial fills, refusals, lost answers, cancels and restarts.

The venue here is what the order service would tell: idempotent by child, a tombstone for what is cancelled unseen.
After every step: Σ children + remainder = parent, never two live children, every price on the grid and, post-only,
never crossing.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.pms_algos.build import NONE, D, plan, spec, update

from pms_algos.domain import chase as plans
from pms_algos.domain.actions import Action, Amend, Ask, CancelChild, Ended, Gate, Market, Save
from pms_algos.domain.chase_state import Chase
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import OrderUpdate
from pms_common.decimals import is_multiple

TICK = D("0.1")
Key = tuple[int, int]


@dataclass
class Child:
    """A child as the order service knows it."""

    quantity: Decimal
    price: Decimal
    state: str = "placing"
    executed: Decimal = NONE
    amend: Decimal | None = None

    @property
    def alive(self) -> bool:
        return self.state not in FINAL_STATES


class ChaseMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000
        self.children: dict[Key, Child] = {}
        self.tombstones: set[Key] = set()
        self.requests: list[Ask] = []
        self.asked: dict[Key, int] = {}
        self.refused: set[Key] = set()
        self.refusals: list[tuple[Key, str]] = []
        self.unacknowledged: list[tuple[Key, OrderUpdate]] = []
        self.handled: list[tuple[Key, OrderUpdate]] = []
        self.saves: list[Chase] = []
        self.gate: Gate = "active"
        self.ended = 0

    @initialize(
        side=st.sampled_from(["BUY", "SELL"]),
        mode=st.sampled_from(["none", "maintain", "trail"]),
        offset=st.sampled_from([D(0), D("0.05"), D(1)]),
        distance=st.sampled_from([D(0), D(1)]),
        post_only=st.booleans(),
        reduce_only=st.booleans(),
        quantity=st.integers(100, 5_000),
    )
    def begin(self, side: str, mode: str, offset: Decimal, distance: Decimal, quantity: int, **flags: bool) -> None:
        self.spec = spec()
        self.bid = self.ask = D(0)
        self.move(1000, 1)
        anchor = self.bid if side == "BUY" else self.ask
        self.plan = plan(
            side=side,
            mode=mode,
            offset_pct=offset,
            max_distance_pct=distance,
            quantity=D(quantity) / 1000,
            anchor=anchor,
            **flags,
        )
        self.chase, actions = plans.start(self.plan)
        self.durable = self.chase
        self.act(actions)

    # -- the market and time

    def move(self, bid: int, spread: int) -> None:
        self.bid, self.ask = bid * TICK, (bid + spread) * TICK

    @property
    def market(self) -> Market:
        return Market(self.bid, self.ask, self.spec, self.gate)

    @rule(step=st.integers(-4, 4), spread=st.integers(0, 3), ms=st.sampled_from([0, 50, 200, 1_200]))
    def quote(self, step: int, spread: int, ms: int) -> None:
        self.now += ms
        self.move(max(500, int(self.bid / TICK) + step), spread)
        before, unmoved = self.chase, plans.unmoved(self.chase, self.market, self.now)
        decision = plans.on_quote(self.chase, self.market, self.now)
        assert not unmoved or (decision[0] is before and decision[1] == ()), "looked over although it acts"
        self.decide(decision)

    @rule(ms=st.integers(0, 6_000))
    def clock(self, ms: int) -> None:
        self.now += ms
        self.decide(plans.on_clock(self.chase, self.market, self.now))

    # -- what the order service does

    @precondition(lambda self: any(child.alive for child in self.children.values()))
    @rule(
        data=st.data(),
        what=st.sampled_from(
            ["rest", "part", "part", "cancel", "cancel", "reject", "amend", "amend_failed", "unknown", "fill"]
        ),
    )
    def venue(self, data: st.DataObject, what: str) -> None:
        key = data.draw(st.sampled_from([key for key, child in self.children.items() if child.alive]))
        child = self.children[key]
        left = child.quantity - child.executed
        if what == "reject" and child.state == "placing":
            child.state = "rejected"
            code = data.draw(st.sampled_from(["EXCHANGE_POST_ONLY", "EXCHANGE_MAX_ORDERS", "EXCHANGE_MAX_ORDERS"]))
            self.tell(key, "rejected", error_code=code)
        elif what == "unknown" and child.state == "placing":
            self.tell(key, "unknown")
        elif what == "rest":
            child.state = "active"
            self.tell(key, "active")
        elif what in {"fill", "part"}:
            child.executed += left if what == "fill" else data.draw(st.integers(1, max(1, int(left * 300)))) / D(1000)
            child.state = "filled" if child.executed == child.quantity else "active"
            self.tell(key, "fill")
        elif what == "cancel":
            child.state = data.draw(st.sampled_from(["cancelled", "expired"]))
            self.tell(key, "cancelled")
        elif what == "amend" and child.amend is not None and child.state == "active":
            child.price, child.amend = child.amend, None
            self.tell(key, "amended")
        elif what == "amend_failed" and child.amend is not None and child.state == "active":
            child.amend = None
            code = data.draw(st.sampled_from(["EXCHANGE_CAPACITY", "EXCHANGE_REJECTED"]))
            self.tell(key, "amend_failed", error_code=code)

    @rule(lazy=st.integers(0, 3))
    def settle(self, lazy: int) -> None:
        """What was told arrives and the journal commits; where `lazy`, only one of the two happens."""
        if lazy != 1:
            self.risk()
            while self.unacknowledged or self.refusals:
                self.deliver()
        if lazy != 2:
            self.commit()

    def deliver(self) -> None:
        if self.unacknowledged:
            self.hand_in(*self.unacknowledged.pop(0))
        if self.refusals:
            key, code = self.refusals.pop(0)
            self.decide(plans.on_refused(self.chase, *key, False, code, "", self.now))

    def commit(self) -> None:
        """The journal has all saves: what they followed from is acknowledged."""
        if self.saves:
            self.durable = self.saves[-1]
            self.saves.clear()
            self.handled.clear()
            self.decide(plans.on_saved(self.chase, self.market, self.now))

    @rule()
    def kill(self) -> None:
        """kill -9: back to what is durable; updates that were not acknowledged come again, then the snapshot."""
        text = msgspec.json.encode(self.durable)
        self.saves.clear()
        self.chase = plans.resumed(msgspec.json.decode(text, type=Chase), self.chase.answered)
        again, self.handled = self.handled + self.unacknowledged, []
        self.unacknowledged = []
        for key, told in again:
            self.hand_in(key, told)
        for key, child in self.children.items():
            if child.alive and child.state != "placing":
                self.hand_in(key, self.snapshot(key, "snapshot"))
        self.decide(plans.on_lookup_done(self.chase, self.market, self.now))

    @rule()
    def miss(self) -> None:
        """Updates are lost behind a gap; the snapshot asked for then tells what lives."""
        self.risk()
        self.unacknowledged.clear()
        alive = [key for key, child in self.children.items() if child.alive]
        for key in alive:
            self.hand_in(key, self.snapshot(key, "snapshot"))
        if (self.chase.child.number, self.chase.child.attempt) not in alive:
            self.decide(plans.on_missing(self.chase, self.now))

    @rule(gate=st.sampled_from(["active", "active", "reducing", "halted"]))
    def gated(self, gate: Gate) -> None:
        self.gate = gate

    @precondition(lambda self: not self.chase.ended)
    @rule(sure=st.integers(0, 19))
    def cancel(self, sure: int) -> None:
        if sure == 19:
            self.decide(plans.on_cancel(self.chase, "cancelled", self.now))

    # -- plumbing

    def snapshot(self, key: Key, cause: str, **extra: Any) -> OrderUpdate:
        child = self.children[key]
        return update(
            cause,  # type: ignore[arg-type]
            child.state,  # type: ignore[arg-type]
            side=self.plan.side,
            quantity=child.quantity,
            price=child.price,
            executed=child.executed,
            **extra,
        )

    def tell(self, key: Key, cause: str, **extra: Any) -> None:
        self.unacknowledged.append((key, self.snapshot(key, cause, **extra)))

    def hand_in(self, key: Key, told: OrderUpdate) -> None:
        saves = len(self.saves)
        self.decide(plans.on_child(self.chase, *key, told, self.spec, self.now))
        if len(self.saves) > saves or self.saves:
            self.handled.append((key, told))

    def decide(self, decision: tuple[Chase, tuple[Action, ...]]) -> None:
        self.chase, actions = decision
        self.act(actions)

    def act(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Save):
                assert self.chase.version > (self.saves[-1].version if self.saves else -1)
                self.saves.append(self.chase)
            elif isinstance(action, Ask):
                self.on_ask(action)
            elif isinstance(action, Amend):
                self.check_price(action.price)
                child = self.children[action.number, action.attempt]
                assert action.quantity == child.quantity
                if child.state == "active":
                    child.amend = action.price
            elif isinstance(action, CancelChild):
                self.on_cancel_child((action.number, action.attempt))
            elif isinstance(action, Ended):
                self.ended += 1

    def on_ask(self, ask: Ask) -> None:
        """It lies in risk's stream; `risk` takes it."""
        key = (ask.number, ask.attempt)
        self.requests.append(ask)
        if ask.expires_at_ms < self.now:
            return  # asked to have it refused, by a cancel that a kill may yet take back
        if key not in self.asked:
            self.check_price(ask.price)
        assert ask.expires_at_ms == self.asked.setdefault(key, ask.expires_at_ms), "a name's life is given once"

    def risk(self) -> None:
        """Risk decides what it was asked. A name refused stays refused."""
        for ask in self.requests:
            key = (ask.number, ask.attempt)
            if key in self.children:
                self.tell(key, "snapshot")
            elif key in self.refused or ask.expires_at_ms < self.now:
                self.refused.add(key)
                self.refusals.append((key, "EXPIRED_COMMAND"))
            else:
                self.children[key] = Child(ask.quantity, ask.price)
                if key in self.tombstones:
                    self.children[key].state = "cancelled"
                    self.tell(key, "cancelled")
        self.requests.clear()

    def on_cancel_child(self, key: Key) -> None:
        child = self.children.get(key)
        if child is None:
            self.tombstones.add(key)
        elif child.state == "placing":
            child.state = "cancelled"
            self.tell(key, "cancelled")
        elif not child.alive:
            self.tell(key, "snapshot")

    def check_price(self, price: Decimal) -> None:
        assert is_multiple(price, TICK)
        assert price > 0
        if self.plan.side == "BUY":
            assert price <= self.bid
            assert not self.plan.post_only or price < self.ask
        else:
            assert price >= self.ask
            assert not self.plan.post_only or price > self.bid

    # -- what always holds

    @invariant()
    def never_two_live_children(self) -> None:
        assert sum(child.alive for child in self.children.values()) <= 1

    @invariant()
    def never_more_than_ordered(self) -> None:
        if not hasattr(self, "plan"):
            return
        executed = sum((child.executed for child in self.children.values()), D(0))
        live = sum((c.quantity - c.executed for c in self.children.values() if c.alive), D(0))
        assert executed + live <= self.plan.quantity

    @invariant()
    def the_books_agree_at_the_end(self) -> None:
        if not hasattr(self, "chase") or not self.chase.ended or self.saves:
            return
        executed = sum((child.executed for child in self.children.values()), D(0))
        assert self.chase.total_executed == executed
        assert self.chase.remaining + executed == self.plan.quantity
        assert not any(child.alive for child in self.children.values())
        if self.chase.outcome == "filled":
            assert self.chase.remaining == self.plan.quantity - executed


TestChaseMachine = ChaseMachine.TestCase
TestChaseMachine.settings = settings(max_examples=200, stateful_step_count=80, deadline=None)
