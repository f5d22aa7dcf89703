"""One life of each kind of algo under its user's orders: paused, let go on, edited, cancelled; and a start that waits.

Used by the crash tests as the `scenarios` are.
"""

from collections.abc import Callable

from tests.unit.pms_algos.build import D
from tests.unit.pms_algos.life import NAMES
from tests.unit.pms_algos.scenarios import Scenario, Step, filling, holding, passing, sending
from tests.unit.pms_algos.venue import ACCOUNT
from tests.unit.pms_algos.world import World

from pms_algos.app.kinds import KINDS
from pms_common.ids import object_id


def algo_id(kind: str, request_id: str) -> str:
    """The algo that a request begins."""
    return object_id(KINDS[kind].prefix, NAMES.namespace, ACCOUNT, request_id)


def ordering(kind: str, verb: str, request_id: str, of: str, **body: object) -> Step:
    """The user's word to the algo that the request `of` began."""
    word = "".join(part.capitalize() for part in kind.split("_"))
    named = {word[0].lower() + word[1:] + "Id": algo_id(kind, of)}
    return sending(f"{kind}_{verb}", request_id=request_id, **named, **body)


def _ordered(kind: str) -> Callable[[World], None]:
    def truth(world: World) -> None:
        begun = ("r1", "r2")
        for request_id in (*begun, "pause", "resume", "again", "cancel"):
            assert world.result(request_id)["success"] is True, request_id
        states = [world.state(algo_id(kind, request_id)) for request_id in begun]
        assert [state.outcome for state in states] == ["cancelled", "cancelled"]
        assert [event["reason"] for event in world.told(f"{kind}_cancelled")] == ["cancelled", "cancelled"]
        assert world.most_owners <= 1, "the old one and the new one had orders at the same time"
        assert world.hash.get(NAMES.algos(ACCOUNT), {}) == {}
        if kind == "scalper":
            assert sum((state.net for state in states), D(0)) == world.positions["BTCUSDT"] == D("0.499")
            assert world.result("cancel")["closedPositions"] is True
        elif kind != "trail_stop":
            legs = [leg for state in states for leg in getattr(state, "legs", (state,))]
            assert sum((leg.total_executed for leg in legs), D(0)) == world.executed > 0

    return truth


def _orders(kind: str, fill: str | None, body: dict[str, object], **close: object) -> Scenario:
    """Begun, filled in part, paused, let go on, edited, filled again, cancelled; each pause is asked for twice."""
    filled = (filling(fill), passing(150)) if fill is not None else ()
    steps = (
        passing(10),
        *((holding("1"),) if kind == "trail_stop" else ()),
        sending(kind, "r1", **body),
        passing(150),
        *filled,
        ordering(kind, "pause", "pause", "r1"),
        ordering(kind, "pause", "again", "r1"),
        passing(200),
        ordering(kind, "resume", "resume", "r1"),
        passing(1_200),
        sending(kind, "r2", **body, replacesId=algo_id(kind, "r1")),
        passing(1_200),
        *filled,
        ordering(kind, "cancel", "cancel", "r2", **close),
        passing(2_000),
    )
    return Scenario(steps, _ordered(kind))


_LEGS = [{"symbol": "BTCUSDT", "side": "BUY", "sizeUsdt": 300, "leverage": 5}]
_LAYER = {"longOffsetPct": 0.2, "shortOffsetPct": 0.2, "longSizeUsd": 50, "shortSizeUsd": 50}
ORDERED = {
    "chase": _orders("chase", "0.2", {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "leverage": 5}),
    "twap": _orders(
        "twap",
        "0.1",
        {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "lots": 2, "durationMinutes": 1, "leverage": 5},
    ),
    "twap_basket": _orders("twap_basket", "0.1", {"legs": _LEGS, "lots": 2, "durationMinutes": 1}),
    "trail_stop": _orders("trail_stop", None, {"positionId": "pos_BTCUSDT_1", "callbackPct": 1}),
    "scalper": _orders(
        "scalper",
        "0.499",
        {"symbol": "BTCUSDT", "startSide": "LONG", "leverage": 5, **_LAYER},
        closePositions=True,
    ),
}


# -- a start that waits for its first price


def _prices(*, told: bool) -> Step:
    def tell(world: World) -> None:
        world.quotes = {"BTCUSDT": (D("100.0"), D("100.1"))} if told else {}
        world.ticks.clear()
        world.life.markets._prices.clear()

    return tell


def _begun_late(world: World) -> None:
    assert world.result("r1")["success"] is True
    assert world.state(algo_id("chase", "r1")).outcome == "filled"
    assert world.executed == 1


WAITING = Scenario(
    (
        passing(10),
        _prices(told=False),
        sending("chase", "r1", symbol="BTCUSDT", side="BUY", quantity=1, leverage=5),
        passing(900),
        _prices(told=True),
        passing(200),
        filling("1"),
        passing(100),
    ),
    _begun_late,
)
