"""What came of the recorded scenarios of the earlier engine.

What was shipped and is to stay is compared with what was recorded. Where it was a defect, the outcome that `redesign`
wants is held: the books follow the executions, whatever those are, and the wanted decision was taken.
"""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from pms_risk.domain.snapshot import liquidation_price

from .legacy_calls import PLAYS, close_position, execute_trade, reconcile_position
from .legacy_scene import STEP, Scene, scene_of
from .legacy_values import Json, dec
from .world import D


def check_scenario(vector: Json) -> None:
    """One vector."""
    given, expect = vector["input"], vector["expect"]
    play = PLAYS.get(given["call"]["fn"])
    if play is None:
        pytest.skip(f"{given['call']['fn']} has no counterpart here")
    scene = Scene(given)
    defect = vector["verdict"] == "legacy-defect"
    for _ in range(given.get("parallel", 1)):
        play(scene, given["call"]["args"], defect)
    scene.play_exchange()
    quantity, balance = scene.modelled()
    held = scene.owner.holding(scene.symbol, "BOTH").quantity
    assert abs(held - quantity) <= STEP
    assert _close(scene.owner.cash, balance)
    if defect:
        _hold_redesign(scene, vector)
    else:
        _compare(scene, expect)


def _hold_redesign(scene: Scene, vector: Json) -> None:
    """The decisions that the wanted outcome speaks of; that the books follow the executions holds for all."""
    wanted, results = vector["redesign"].lower(), scene.results()
    quantity = scene.owner.holding(scene.symbol, "BOTH").quantity
    if "never place an order" in wanted or "must always be booked" in wanted:
        assert scene.sent == []
        assert scene.deals
    if "exactly one settlement" in wanted:
        assert len(scene.sent) == 1
        assert [result["success"] for result in results].count(True) == 1
        assert results[1]["errorCode"] == "POSITION_CLOSED"
    if "second is rejected" in wanted:
        assert [result.get("errorCode") for result in results[1:]] == ["INSUFFICIENT_MARGIN"]
        assert len(scene.owner.positions) == 1
    if "reject before sending" in wanted:
        assert (scene.sent, results[0]["errorCode"]) == ([], "REDUCE_ONLY_REJECTED")
    if "reduce-only order must never" in wanted:
        assert all(order.reduce_only for order in scene.sent)
        assert abs(quantity) < abs(scene.start[0])
    if "must still trade" in wanted or "block or retry" in wanted:
        assert len(scene.sent) == 1, "only an execution settles"
    if "keep the intent" in wanted:
        assert quantity == scene.start[0]
    if "status closed" in wanted:
        assert "position_closed" in scene.desk.events_told()
    if "each fill" in wanted or "before it is sent" in wanted or "recompute" in wanted or "wait for the feed" in wanted:
        assert quantity != scene.start[0], "what was executed is booked"
    if "client order id only" in wanted:
        assert quantity == scene.start[0]
    if "smaller opposite" in wanted:
        assert [order.quantity for order in scene.sent] == [dec(vector["input"]["call"]["args"][3])]


def _compare(scene: Scene, expect: Json) -> None:
    """What was recorded; opening commissions, which were never debited, are here, and two rows are one position."""
    results = scene.results()
    for result, recorded in zip(results, expect["results"], strict=False):
        if "success" in recorded:
            assert result["success"] is recorded["success"], result
        if recorded.get("codes"):
            assert [error["code"] for error in result["errors"]] == recorded["codes"]
        if "newBalance" in recorded and "newBalance" in result:
            assert _close(dec(result["newBalance"]), dec(recorded["newBalance"]))
    if not any(str(recorded.get("source", "")).startswith("virtual") for recorded in expect["results"]):
        sent = [(order.side.lower(), order.quantity, order.reduce_only) for order in scene.sent]
        recorded_orders = [(o["side"], dec(o["quantity"]), o["reduceOnly"]) for o in expect["orders"]]
        assert [(side, only) for side, _, only in sent] == [(side, only) for side, _, only in recorded_orders]
        assert all(abs(a[1] - b[1]) <= STEP for a, b in zip(sent, recorded_orders, strict=True))
    unpaid = sum((dec(trade["fee"]) for trade in expect["trades"] if trade["action"] in ("OPEN", "ADD")), D(0))
    for name, balance in expect["balances"].items():
        assert _close(scene.desk.state.books.accounts[name].cash, dec(balance) - unpaid)
    assert set(expect["events"]) - {"position_takeover"} <= set(scene.desk.events_told())
    _compare_positions(scene, [position for position in expect["positions"] if position["status"] == "OPEN"])


def _compare_positions(scene: Scene, recorded: Sequence[Json]) -> None:
    held = {
        (owner.id, position.side): (owner, position)
        for owner in scene.desk.state.books.accounts.values()
        for position in owner.open_positions()
    }
    assert held.keys() == {(position["account"], position["side"]) for position in recorded}
    for wanted in recorded:
        owner, position = held[wanted["account"], wanted["side"]]
        for name in ("entryPrice", "quantity", "notional", "leverage", "margin"):
            found = getattr(position, {"entryPrice": "entry_price"}.get(name, name))
            assert abs(float(abs(found)) - wanted[name]) <= max(1e-5, 1e-7 * wanted[name]), name
        if wanted["liquidationPrice"]:
            found = liquidation_price(owner, position, scene.desk.state.brackets)
            assert found is not None and abs(float(found) - wanted["liquidationPrice"]) <= 0.01


def _close(a: Decimal, b: Decimal) -> bool:
    return abs(a - b) <= D("1E-6")


def check_isolation(vector: Json) -> None:
    """A close by id touches that position alone."""
    given, expect = vector["input"], vector["expect"]
    scene = scene_of(given["positions"], 1000)
    close_position(scene, [given["close"]], False)
    scene.play_exchange()
    owners = scene.desk.state.books.owners
    assert expect["found"] not in owners
    assert owners[expect["notFound"]].id != expect["owner"]
    assert [order.account_id for order in scene.sent] == [expect["owner"]]


def check_reconcile(vector: Json) -> None:
    """Everything of an account on a symbol ends at one price, and the ledger adds up."""
    given, expect = vector["input"], vector["expect"]
    scene = scene_of(given["positions"], given["balance"])
    reconcile_position(scene, ["BTC/USDT:USDT", given["closePrice"]], False)
    assert not scene.owner.positions
    assert _close(scene.owner.cash, dec(expect["balance"]))
    assert _close(scene.owner.cash - dec(given["balance"]), dec(expect["ledgerSum"]))


def check_close_by_price(vector: Json) -> None:
    """A close that the exchange refuses closes nothing, and no book is closed in its stead."""
    given = vector["input"]
    if not given.get("exchangeError"):
        pytest.skip("a close in the books alone: there is none here")
    scene = scene_of([given["position"]], given["balance"], {"orderError": given["exchangeError"]})
    close_position(scene, ["P0"], False)
    scene.play_exchange()
    assert scene.results()[0]["success"] is False
    assert scene.owner.position("P0") is not None
    assert scene.owner.cash == dec(given["balance"])


def check_fee(vector: Json) -> None:
    """Commissions are debited with every execution, and each has a ledger entry."""
    given = vector["input"]
    scene = scene_of([], given["balance"], {"fill": {"price": 100, "fee": given["fee"]}})
    execute_trade(scene, ["A", "BTC/USDT:USDT", "LONG", 1, 10, "MARKET", {}], True)
    scene.play_exchange()
    assert _close(scene.owner.cash, dec(given["balance"]) - dec(given["fee"]))
    assert scene.owner.activity.result(5) == -dec(given["fee"])
