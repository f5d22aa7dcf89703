"""The trace context of an algo's command goes on to its children, its events and its answer, over kill -9."""

import pytest
from tests.unit.pms_algos.scenarios import SCENARIOS
from tests.unit.pms_algos.world import World

from pms_common.contracts.bus.orders import AmendOrder, order_work
from pms_common.contracts.traceparent import EXAMPLE


@pytest.mark.parametrize("kind", SCENARIOS)
def test_over_a_whole_life_with_a_kill_in_its_middle(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    send, change, started, amends = World.send, World._change, [], []

    def traced(world: World, type_: str, request_id: str = "r1", account: str = "acc", **body: object) -> None:
        if type_ == kind:
            started.append(request_id)
            body["traceparent"] = EXAMPLE
        send(world, type_, request_id, account, **body)

    def changed(world: World, data: bytes) -> None:
        work = order_work.decode(data)
        amends.extend([work.traceparent] if isinstance(work, AmendOrder) else [])
        change(world, data)

    monkeypatch.setattr(World, "send", traced)
    monkeypatch.setattr(World, "_change", changed)
    points = SCENARIOS[kind].run().effects
    world = SCENARIOS[kind].run(points // 2)
    assert world.kills == 1
    assert {order.asked.traceparent for order in world.orders.values()} == {EXAMPLE}
    assert set(amends) == ({EXAMPLE} if kind in ("chase", "scalper") else set())
    assert {event.traceparent for event in world.events.values()} == {EXAMPLE}
    assert {world.result(request_id)["traceparent"] for request_id in started} == {EXAMPLE}
