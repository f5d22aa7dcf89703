"""Positions by their ids, over all accounts."""

from typing import Any

import msgspec

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
