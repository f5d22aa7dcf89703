"""Positions by their ids, over all accounts; and starts for an account that risk does not know, or not yet."""

from typing import Any

import msgspec
import pytest
from tests.unit.pms_algos.world import World

from pms_algos.app import accounts as accounts_module
from pms_algos.app.accounts import Accounts
from pms_common.contracts.bus.risk import AccountState


class Counted(dict[str, Any]):
    """Counts how often all accounts are gone through."""

    scans = 0

    def items(self) -> Any:
        self.scans += 1
        return super().items()


def state(account_id: str, *position_ids: str) -> AccountState:
    position = {"symbol": "BTCUSDT", "side": "LONG", "entryPrice": 1, "quantity": 1, "margin": 1, "leverage": 5}
    positions = [{"id": position_id, **position} for position_id in position_ids]
    body = {"balance": 1, "equity": 1, "marginUsed": 0, "availableMargin": 1, "positions": positions}
    names = {"account_id": account_id, "name": "A", "status": "ACTIVE", "version": 1}
    return AccountState(epoch=1, n=1, snapshot=msgspec.Raw(msgspec.json.encode(body)), **names)  # type: ignore[arg-type]


def test_a_position_that_nobody_has_is_looked_for_again_only_when_an_account_tells_of_it() -> None:
    accounts = Accounts()
    accounts._accounts = counted = Counted()  # type: ignore[assignment]
    accounts.take(state("a", "pos_1"))
    assert accounts.find("pos_2") is None
    accounts.complete = True
    for _ in range(3):
        assert accounts.find("pos_2") is None
    accounts.take(state("b"))
    assert accounts.find("pos_2") is None
    assert counted.scans == 2
    accounts.take(state("b", "pos_2"))
    found = accounts.find("pos_2")
    assert found is not None
    assert (found[0], found[1].position_id) == ("b", "pos_2")
    assert counted.scans == 3


LOTS = {"lots": 2, "durationMinutes": 1}
TWAP = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "leverage": 5, **LOTS}
LEGS = [{"symbol": "BTCUSDT", "side": side, "sizeUsdt": 100, "leverage": 5} for side in ("BUY", "SELL")]
SCALPER = {"symbol": "BTCUSDT", "startSide": "LONG", "layers": 1, "quantity": 1, "baseOffsetPct": 1, "leverage": 5}
STARTS = pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("chase", {"symbol": "BTCUSDT", "side": "BUY", "quantity": 1, "leverage": 5}),
        ("twap", TWAP),
        ("twap_basket", {"basketName": "b", "legs": LEGS, **LOTS}),
        ("scalper", SCALPER),
    ],
)


@STARTS
def test_a_start_for_an_account_that_does_not_exist_is_refused(kind: str, body: dict[str, Any]) -> None:
    world = World()
    world.pass_ms(10)
    world.send(kind, account="nobody", **body)
    world.pass_ms(2_500)
    assert world.result()["errorCode"] == "ACCOUNT_NOT_FOUND"
    assert not world.table
    assert not world.orders


@STARTS
def test_a_start_for_an_account_that_was_created_a_moment_ago_waits_for_it(kind: str, body: dict[str, Any]) -> None:
    world = World()
    world.pass_ms(10)
    world.send(kind, account="new", **body)
    world.pass_ms(300)
    assert not world.table
    with world.mortal():
        world.life.controls.account(state("new"))
        world.life.commands.told()
    world.pass_ms(2_500)
    assert world.result()["success"] is True


def test_nothing_is_said_of_accounts_before_all_are_told_nor_of_more_than_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accounts_module, "MAX_ACCOUNTS", 2)
    accounts = Accounts()
    assert not accounts.unknown("a")
    accounts.complete = True
    assert accounts.unknown("a")
    accounts.take(state("b"))
    assert accounts.unknown("a")
    assert not accounts.unknown("b")
    accounts.take(state("c"))
    assert not accounts.unknown("a")
