"""A plan that fails: it ends, and no other algo notices."""

from typing import Any

import pytest
from tests.unit.pms_algos.life import NAMES
from tests.unit.pms_algos.venue import ACCOUNT
from tests.unit.pms_algos.world import World

from pms_algos.domain import scalper, twap
from pms_algos.domain.events import Scene
from pms_algos.domain.parts import Gathered
from pms_algos.domain.scalper_state import Scalper
from pms_algos.domain.twap_state import Twap

BODY: dict[str, Any] = {"side": "BUY", "quantity": 1, "lots": 2, "durationMinutes": 2, "leverage": 5}


@pytest.mark.parametrize("even_at_its_end", [False, True])
def test_a_plan_that_cannot_carry_out_an_event_ends_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, even_at_its_end: bool
) -> None:
    world = World(symbols=("BTCUSDT", "ETHUSDT"))
    world.pass_ms(10)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        world.send("twap", symbol, symbol=symbol, **BODY)
    sound = twap._go_on

    def failing(state: Twap, gathered: Gathered, scene: Scene) -> Twap:
        if state.plan.symbol == "BTCUSDT" and (even_at_its_end or state.ending is None):
            raise ZeroDivisionError
        return sound(state, gathered, scene)

    monkeypatch.setattr(twap, "_go_on", failing)
    world.pass_ms(120_000)
    assert [event["symbol"] for event in world.told("twap_completed")] == ["ETHUSDT"]
    left = {order.asked.symbol for order in world.live}
    assert [(event["symbol"], event["reason"]) for event in world.told("twap_cancelled")] == [("BTCUSDT", "error")]
    assert not left, "its order is taken back"
    kept = {world.state(algo_id).plan.symbol: world.state(algo_id).outcome for algo_id in world.table}
    assert kept == {"BTCUSDT": "error", "ETHUSDT": "filled"}


def test_a_scalper_that_is_cut_off_leaves_no_order_and_no_line_of_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.crosses = False
    world.pass_ms(10)
    sizes = {"longSizeUsd": 100, "shortSizeUsd": 100, "longOffsetPct": 0.2, "childCount": 2}
    world.send("scalper", symbol="BTCUSDT", startSide="LONG", leverage=5, **sizes)
    world.pass_ms(1_500)
    lines = world.hash[NAMES.algos(ACCOUNT)]
    assert (len(world.live), len(lines)) == (2, 3)

    def failing(*_: object) -> Scalper:
        raise ZeroDivisionError

    monkeypatch.setattr(scalper, "_tend", failing)
    world.pass_ms(3_000)
    assert [event["reason"] for event in world.told("scalper_cancelled")] == ["error"]
    assert (world.live, lines) == ([], {})
