"""The gateway's picture: only higher versions, nothing that has ended."""

from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pms_common.contracts.bus.algos import AlgoState
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.orders import OrderUpdate, OrderView
from pms_common.contracts.bus.risk import AccountState, TradingState
from pms_gateway.domain.read_model import ReadModel


def order(version: int, state: str = "active", epoch: int = 1, client_order_id: str = "o1") -> OrderUpdate:
    view = OrderView(
        client_order_id=client_order_id,
        account_id="acc",
        symbol="BTCUSDT",
        side="BUY",
        order_type="LIMIT",
        quantity=Decimal(1),
        leverage=Decimal(5),
        state=state,  # type: ignore[arg-type]
        version=version,
        created_ms=1,
        updated_ms=version,
    )
    return OrderUpdate(epoch=epoch, n=1, key="k", cause="active", order=view, event_ms=1)


def told(version: int, state: str = "active", epoch: int = 1, client_order_id: str = "o1") -> bytes:
    return encode(order(version, state, epoch, client_order_id))


def account(version: int, epoch: int = 1) -> AccountState:
    return AccountState(
        epoch=epoch, n=1, account_id="acc", name="A", status="ACTIVE", version=version, snapshot=msgspec.Raw(b"{}")
    )


@given(st.permutations([1, 2, 3, 4]))
def test_an_order_never_goes_back(versions: list[int]) -> None:
    model = ReadModel()
    highest = 0
    for version in versions:
        model.order(told(version))
        highest = max(highest, version)
        assert model.orders_of("acc")[0].version == highest


def test_a_final_order_leaves() -> None:
    model = ReadModel()
    model.order(told(1))
    model.order(told(2, "filled"))
    assert model.orders_of(None) == []


def test_an_account_is_taken_from_the_higher_epoch_even_with_a_lower_version() -> None:
    model = ReadModel()
    model.account(account(9, epoch=1))
    model.account(account(2, epoch=2))
    model.account(account(10, epoch=1))
    assert model.accounts["acc"].version == 2
    later = msgspec.structs.replace(account(2, epoch=2), snapshot=msgspec.Raw(b'{"equity":1}'))
    model.account(later)
    assert model.accounts["acc"] == later, "the same at new prices"


def test_an_ended_algo_leaves_and_a_late_item_of_lower_version_is_ignored() -> None:
    model = ReadModel()
    state = AlgoState(
        epoch=1, n=1, algo_id="x", kind="chase", account_id="acc", symbol="S", version=2, item=msgspec.Raw(b"{}")
    )
    model.algo(state)
    model.algo(msgspec.structs.replace(state, version=1, symbol="OLD"))
    assert [algo.symbol for algo in model.algos_of("acc")] == ["S"]
    model.algo(msgspec.structs.replace(state, version=3, ended=True))
    assert model.algos_of(None) == []


def test_an_open_gate_is_not_kept() -> None:
    model = ReadModel()
    model.trading_state(TradingState(epoch=1, n=1, state="halted"))
    assert model.trading_states == {("", ""): "halted"}
    model.trading_state(TradingState(epoch=1, n=2, state="active"))
    assert model.trading_states == {}


def algo(algo_id: str) -> AlgoState:
    return AlgoState(
        epoch=1, n=1, algo_id=algo_id, kind="chase", account_id="acc", symbol="S", version=1, item=msgspec.Raw(b"{}")
    )


def test_what_a_whole_snapshot_does_not_name_leaves_and_what_others_own_stays() -> None:
    model = ReadModel()
    for name in ("kept", "gone"):
        model.order(told(1, client_order_id=name))
        model.algo(algo(name))
    model.account(account(1))
    model.snapshot_begins("orders")
    model.order(told(1, client_order_id="kept"))  # a repeat changes nothing and names it all the same
    model.order(told(1, client_order_id="new"))
    model.snapshot_ends("orders")
    assert sorted(model.orders) == ["kept", "new"]
    assert sorted(model.algos) == ["gone", "kept"]
    model.snapshot_begins("risk")
    model.trading_state(TradingState(epoch=1, n=1, state="halted"))
    model.snapshot_ends("risk")
    assert (model.accounts, list(model.trading_states)) == ({}, [("", "")])


def test_a_snapshot_with_a_hole_removes_nothing() -> None:
    model = ReadModel()
    model.order(told(1))
    model.snapshot_begins("orders")
    model.snapshot_broken("orders")
    model.snapshot_ends("orders")
    assert list(model.orders) == ["o1"]


def test_an_account_that_is_no_more_leaves_the_picture() -> None:
    model = ReadModel()
    model.account(account(1))
    model.account(msgspec.structs.replace(account(2), status="CLOSED"))
    assert model.accounts == {}
