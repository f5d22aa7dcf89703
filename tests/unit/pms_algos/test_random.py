"""Every kind of algo under anything: prices, partial fills, refusals, expiries, pauses, freezes, clock steps and kills.

After each step: executed and still live together never exceed what was ordered, and no two children of the same chase
live. At the end: what the algo says of itself is what the venue has.
"""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.pms_algos.build import D
from tests.unit.pms_algos.scenarios import sole
from tests.unit.pms_algos.world import World

TICK = D("0.1")
REFUSALS = ("INSUFFICIENT_MARGIN", "INFRA_OVERLOADED", "EXCHANGE_POST_ONLY", "REDUCE_ONLY_REJECTED")
sides = st.sampled_from(["BUY", "SELL"])
LIFE = {"symbol": "BTCUSDT", "leverage": 5, "expiresAt": 1_800_000_000_000}

chase = st.fixed_dictionaries(
    {
        "side": sides,
        "quantity": st.integers(100, 3_000).map(lambda n: n / 1000),
        "stalkMode": st.sampled_from(["none", "maintain", "trail"]),
        "stalkOffsetPct": st.sampled_from([0, 0.1, 1]),
        "maxDistancePct": st.sampled_from([0, 0, 2]),
        "minIntervalMs": st.sampled_from([0, 100]),
        "postOnly": st.booleans(),
    }
)
schedule = {
    "lots": st.integers(2, 6),
    "durationMinutes": st.sampled_from([1, 3]),
    "jitter": st.booleans(),
    "irregular": st.booleans(),
}
twap = st.one_of(
    st.fixed_dictionaries(
        {"side": sides, "quantity": st.integers(400, 3_000).map(lambda n: n / 1000), **schedule},
        optional={"priceLimit": st.sampled_from([99.5, 100, 100.5])},
    ),
    st.fixed_dictionaries({"side": sides, "totalSize": st.integers(40, 400), **schedule}),
)
basket = st.fixed_dictionaries(
    {
        "legs": st.lists(
            st.fixed_dictionaries(
                {
                    "symbol": st.sampled_from(["BTCUSDT", "ETHUSDT"]),
                    "side": sides,
                    "sizeUsdt": st.integers(40, 300),
                    "leverage": st.just(5),
                }
            ),
            min_size=1,
            max_size=3,
        ),
        **schedule,
    }
)

scalper = st.fixed_dictionaries(
    {
        "startSide": st.sampled_from(["LONG", "SHORT"]),
        "childCount": st.integers(1, 3),
        "longOffsetPct": st.sampled_from([0, 0.2]),
        "shortOffsetPct": st.sampled_from([0, 0.2]),
        "longSizeUsd": st.sampled_from([60, 150]),
        "shortSizeUsd": st.sampled_from([60, 150]),
        "neutralMode": st.booleans(),
        "allowLoss": st.booleans(),
        "skew": st.sampled_from([0, 40]),
    },
    optional={
        "longMaxPrice": st.just(100.5),
        "pinShortToEntry": st.just(True),
        "maxFillsPerMinute": st.just(2),
        "minRefillDelayMs": st.just(500),
        "pnlFeedbackMode": st.just("full"),
    },
)
trail_stop = st.fixed_dictionaries(
    {"callbackPct": st.sampled_from([0.2, 1, 3])}, optional={"activationPrice": st.sampled_from([99.5, 100, 100.7])}
)

ops = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.integers(-8, 8), st.integers(0, 3)),
        st.tuples(st.just("pass"), st.sampled_from([50, 700, 3_000, 12_000])),
        st.tuples(st.just("fill"), st.integers(0, 5), st.integers(1, 900)),
        st.tuples(st.just("end"), st.integers(0, 5), st.sampled_from(["cancelled", "expired", "rejected"])),
        st.tuples(st.just("refuse"), st.sampled_from([None, None, *REFUSALS])),
        st.tuples(st.just("thin"), st.sampled_from([None, D(0), D("0.05")])),
        st.tuples(st.just("die"), st.integers(0, 30)),
        st.tuples(st.just("risk"), st.sampled_from(["pause", "resume"])),
        st.tuples(st.just("user"), st.sampled_from(["pause", "resume"])),
        st.tuples(st.just("status"), st.sampled_from(["FROZEN", "ACTIVE"])),
        st.tuples(st.just("lose"), st.integers(1, 3)),
        st.tuples(st.just("clock"), st.sampled_from([-3_600_000, -500, 3_600_000])),
    ),
    min_size=5,
    max_size=30,
)


class Run:
    """One algo living through a list of steps."""

    def __init__(self, kind: str, body: dict[str, Any], **filters: object) -> None:
        self.kind, self.requests = kind, 0
        self.world = World(symbols=("BTCUSDT", "ETHUSDT"), **filters)
        self.world.pass_ms(10)
        if kind == "trail_stop":
            self.world.hold("1.5")
            body = {"positionId": "pos_BTCUSDT_1", **body}
        self.send(kind, **(body if kind in {"twap_basket", "trail_stop"} else {**LIFE, **body}))

    def send(self, type_: str, **body: Any) -> None:
        self.requests += 1
        self.world.send(type_, request_id=f"r{self.requests}", **body)

    def order(self, verb: str) -> None:
        word = "".join(part.capitalize() for part in self.kind.split("_"))
        name = word[0].lower() + word[1:] + "Id"
        if self.world.table:
            self.send(f"{self.kind}_{verb}", **{name: sole(self.world)})

    def step(self, what: str, *how: Any) -> None:
        world = self.world
        if what == "quote":
            for symbol, (bid, _) in world.quotes.items():
                moved = max(D(50), bid + how[0] * TICK)
                world.quote(moved, moved + how[1] * TICK, symbol)
        elif what == "pass":
            world.pass_ms(how[0])
        elif what in {"fill", "end"} and world.resting:
            name = world.resting[how[0] % len(world.resting)]
            left = world.orders[name].left
            quantity = min(left, D(how[1]) / 1000) if what == "fill" else left
            world.happens(lambda: world.fill(name, quantity) if what == "fill" else world.end(name, how[1]))
        elif what == "refuse":
            world.refuse = lambda _: how[0]
        elif what == "thin":
            world.expires = how[0]
        elif what == "die":
            world.kill_at = world.effects + how[0]
        elif what == "risk":
            world.control(how[0], token=f"t{self.requests}")
        elif what == "user":
            self.order(how[0])
        elif what == "status":
            world.account_is(how[0])
        elif what == "lose":
            world.amends_lost = how[0]
        elif what == "clock":
            world.ahead_ms += how[0]

    def finish(self) -> None:
        """Everything becomes possible again; what has not ended then is cancelled."""
        world = self.world
        world.kill_at, world.refuse, world.expires, world.amends_lost = -1, lambda _: None, None, 0
        world.account_is("ACTIVE")
        world.control("resume")
        self.order("resume")
        world.pass_ms(240_000)
        self.order("cancel")
        world.pass_ms(30_000)

    def no_two_live(self) -> None:
        works = Counter((order.asked.parent_id, order.asked.symbol, order.asked.side) for order in self.world.live)
        legs = 3 if self.kind in {"twap_basket", "scalper"} else 1
        assert all(count <= legs for count in works.values()), works


def _live_through(
    kind: str, body: dict[str, Any], steps: list[Any], within: Callable[[World], None], **filters: object
) -> Run:
    run = Run(kind, body, **filters)
    for what, *how in steps:
        run.step(what, *how)
        run.no_two_live()
        within(run.world)
    run.finish()
    assert run.world.live == []
    assert all(len(set(bodies)) == 1 for bodies in run.world.results.values())
    return run


def _at_most(total: Decimal) -> Callable[[World], None]:
    def check(world: World) -> None:
        assert world.executed + sum((order.left for order in world.live), D(0)) <= total

    return check


@settings(max_examples=60, deadline=None)
@given(chase, ops)
def test_a_chase_executes_what_it_says_and_never_more_than_ordered(body: dict[str, Any], steps: list[Any]) -> None:
    run = _live_through("chase", body, steps, _at_most(D(str(body["quantity"]))))
    if run.world.table:
        chase = run.world.state(sole(run.world))
        assert chase.outcome is not None
        assert chase.total_executed == run.world.executed


@settings(max_examples=80, deadline=None)
@given(twap, ops)
def test_r32_the_lots_and_the_remainder_of_a_twap_make_its_parent(body: dict[str, Any], steps: list[Any]) -> None:
    in_usdt = "totalSize" in body
    most = D(100_000) if in_usdt else D(str(body["quantity"]))
    run = _live_through("twap", body, steps, _at_most(most))
    if not run.world.table:
        return
    twap = run.world.state(sole(run.world))
    assert twap.outcome is not None
    assert (twap.executed, twap.cost) == (run.world.executed, run.world.cost)
    assert twap.part is None
    if twap.outcome == "filled":
        least = D(5) if in_usdt or twap.left * 95 >= 5 else twap.left + 1
        assert twap.left < max(least, D("0.001") * 120), "only what is too small to be an order is left"
        assert twap.filled_lots + len(twap.failures) <= len(twap.plan.lots)


steps_of_quantity = st.sampled_from([D("0.001"), D("0.01"), D("0.1"), D(1)])
filters = st.fixed_dictionaries(
    {
        "step_size": steps_of_quantity,
        "market_step_size": steps_of_quantity,
        "min_quantity": st.sampled_from([D("0.001"), D("0.1")]),
        "market_min_quantity": st.sampled_from([D("0.001"), D("0.2")]),
        "max_quantity": st.sampled_from([D(1000), D(1)]),
        "market_max_quantity": st.sampled_from([D(100), D(1)]),
        "min_notional": st.sampled_from([D(5), D(20), D(100)]),
    }
)


@settings(max_examples=60, deadline=None)
@given(twap, ops, filters)
def test_r32_with_any_filters_each_lot_is_an_order_and_what_is_left_is_none(
    body: dict[str, Any], steps: list[Any], filters: dict[str, Any]
) -> None:
    size = "totalSize" if "totalSize" in body else "quantity"
    body = {**body, size: body[size] * 10}  # that most starts are allowed
    run = _live_through("twap", body, steps, lambda _: None, **filters)
    rules = run.world.specs["BTCUSDT"]
    step = max(rules.step_size, rules.market_step_size)
    for order in run.world.orders.values():
        at_market = order.asked.order_type == "MARKET"  # what a lot's order has left may be finer than a lot
        assert order.asked.quantity % (rules.market_step_size if at_market else rules.step_size) == 0
        assert order.asked.quantity >= (rules.market_min_quantity if at_market else rules.min_quantity)
    if not run.world.table:
        return
    twap = run.world.state(sole(run.world))
    assert twap.executed == run.world.executed
    if twap.outcome == "filled":
        bid, ask = run.world.quotes["BTCUSDT"]
        price = ask if body["side"] == "BUY" else bid
        left = twap.left / price if "totalSize" in body else twap.left
        least = max(rules.min_quantity, rules.market_min_quantity, rules.min_notional / price)
        assert left < least * D("1.2") + step, "what is left is too small to be an order, at a price of its time"


@settings(max_examples=40, deadline=None)
@given(basket, ops)
def test_r32_every_leg_of_a_basket_keeps_its_own_sum(body: dict[str, Any], steps: list[Any]) -> None:
    run = _live_through("twap_basket", body, steps, lambda _: None)
    if not run.world.table:
        return
    state = run.world.state(sole(run.world))
    assert state.outcome is not None
    assert sum((leg.executed for leg in state.legs), D(0)) == run.world.executed
    assert sum((leg.cost for leg in state.legs), D(0)) == run.world.cost
    assert all(leg.done <= leg.plan.total * D("1.02") for leg in state.legs)


@settings(max_examples=40, deadline=None)
@given(scalper, ops)
def test_a_scalper_never_closes_more_than_there_is_and_knows_what_it_holds(
    body: dict[str, Any], steps: list[Any]
) -> None:
    def closers_share_the_position(world: World) -> None:
        for side in ("BUY", "SELL"):
            assert world.closable("BTCUSDT", side) >= 0 or not any(o.asked.reduce_only for o in world.live)

    run = _live_through("scalper", body, steps, closers_share_the_position)
    if not run.world.table:
        return
    scalper = run.world.state(sole(run.world))
    assert scalper.outcome == "cancelled"
    signed = (o.executed if o.asked.side == "BUY" else -o.executed for o in run.world.orders.values())
    assert scalper.net == sum(signed, D(0)) == run.world.positions.get("BTCUSDT", D(0))
    slots = (*scalper.long.slots, *scalper.short.slots)
    assert sum(slot.fills for slot in slots) == scalper.fill_count == len(run.world.told("scalper_filled"))
    if not body["neutralMode"]:
        held = scalper.net if body["startSide"] == "LONG" else -scalper.net
        assert held >= 0, "the closing leg never opens"


@settings(max_examples=60, deadline=None)
@given(trail_stop, ops)
def test_a_trailing_stop_closes_its_position_and_nothing_else(body: dict[str, Any], steps: list[Any]) -> None:
    run = _live_through("trail_stop", body, steps, _at_most(D("1.5")))
    stop = run.world.state(sole(run.world))
    assert stop.outcome is not None
    assert run.world.positions["BTCUSDT"] == D("1.5") - run.world.executed
    if stop.outcome == "filled":
        assert run.world.executed == D("1.5")
        assert run.world.told("trail_stop_triggered")[-1]["closeSuccess"] is True


@pytest.mark.parametrize("kind", ["chase", "twap", "twap_basket"])
def test_a_start_sent_again_after_any_kill_is_the_same_algo(kind: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "chase": {"side": "BUY", "quantity": 1},
        "twap": {"side": "BUY", "quantity": 1, "lots": 2, "durationMinutes": 1},
        "twap_basket": {
            "legs": [{"symbol": "BTCUSDT", "side": "BUY", "sizeUsdt": 100, "leverage": 5}],
            "lots": 2,
            "durationMinutes": 1,
        },
    }
    for point in range(8):
        run = Run(kind, {})
        run.world.kill_at = run.world.effects + point
        body = bodies[kind] if kind == "twap_basket" else {**LIFE, **bodies[kind]}
        for _ in range(2):
            run.world.send(kind, request_id="again", **body)
        run.world.pass_ms(2_000)
        assert run.world.result("again")["success"] is True
        assert len(run.world.table) == 1
