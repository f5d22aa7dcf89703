"""The gateway's picture of accounts, live orders and running algos, from what their owners tell.

Owns nothing that cannot be told again. Applies no lower (epoch, version), so a repeat or a late snapshot never takes it
back; an account is told again with the same version, at new prices. What has ended leaves it, and so does what a
complete snapshot of its owner does not name. Used by the GET routes.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from pms_common.contracts.bus.algos import AlgoState
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import OrderView
from pms_common.contracts.bus.risk import AccountState, TradingState

Rank = tuple[int, int]
CLOSED = "CLOSED"
"""Status of an account that is no more."""


class _Order(msgspec.Struct):
    client_order_id: str
    account_id: str
    state: str
    version: int


class _Glance(msgspec.Struct):
    epoch: int
    order: _Order


class _Whole(msgspec.Struct):
    order: OrderView


_glance = msgspec.json.Decoder(_Glance)
_whole = msgspec.json.Decoder(_Whole)


@dataclass(frozen=True, slots=True)
class HeldOrder:
    """A live order, its last update not yet read: few orders are ever asked for."""

    rank: Rank
    account_id: str
    update: bytes

    def view(self) -> OrderView:
        """The order in full."""
        return _whole.decode(self.update).order


@dataclass(slots=True)
class ReadModel:
    """Objects by id. Bounded by what is alive: accounts, live orders, running algos."""

    accounts: dict[str, AccountState] = field(default_factory=dict)
    orders: dict[str, HeldOrder] = field(default_factory=dict)
    algos: dict[str, AlgoState] = field(default_factory=dict)
    trading_states: dict[tuple[str, str], str] = field(default_factory=dict)
    _named: dict[str, set[str | tuple[str, str]]] = field(default_factory=dict)

    def snapshot_begins(self, service: str) -> None:
        """All that `service` owns follows."""
        self._named[service] = set()

    def snapshot_ends(self, service: str) -> None:
        """All of it has been told since the beginning: what was not named has ended unseen."""
        named = self._named.pop(service, None)
        if named is None:
            return
        owned: dict[str, tuple[dict[Any, Any], ...]] = {
            "orders": (self.orders,),
            "risk": (self.accounts, self.trading_states),
            "algos": (self.algos,),
        }
        for objects in owned[service]:
            for gone in objects.keys() - named:
                del objects[gone]

    def snapshot_broken(self, service: str) -> None:
        """A part of it was missed: it says nothing about what it did not name."""
        self._named.pop(service, None)

    def _name(self, service: str, key: str | tuple[str, str]) -> None:
        if service in self._named:
            self._named[service].add(key)

    def account(self, state: AccountState) -> None:
        """An account after a change, or at new prices."""
        self._name("risk", state.account_id)
        known = self.accounts.get(state.account_id)
        if state.status == CLOSED:
            self.accounts.pop(state.account_id, None)
        elif known is None or (known.epoch, known.version) <= (state.epoch, state.version):
            self.accounts[state.account_id] = state

    def order(self, update: bytes) -> None:
        """An order after a change: an encoded `OrderUpdate`, of which only what decides is read now."""
        glance = _glance.decode(update)
        order, rank = glance.order, (glance.epoch, glance.order.version)
        self._name("orders", order.client_order_id)
        known = self.orders.get(order.client_order_id)
        if known is not None and rank <= known.rank:
            return
        if order.state in FINAL_STATES:
            self.orders.pop(order.client_order_id, None)
        else:
            self.orders[order.client_order_id] = HeldOrder(rank, order.account_id, update)

    def algo(self, state: AlgoState) -> None:
        """An algo after a change."""
        self._name("algos", state.algo_id)
        known = self.algos.get(state.algo_id)
        if known is not None and (state.epoch, state.version) < (known.epoch, known.version):
            return
        if state.ended:
            self.algos.pop(state.algo_id, None)
        else:
            self.algos[state.algo_id] = state

    def trading_state(self, state: TradingState) -> None:
        """The gate of an account and symbol; an open one is not kept."""
        scope = (state.account_id, state.symbol)
        self._name("risk", scope)
        if state.state == "active":
            self.trading_states.pop(scope, None)
        else:
            self.trading_states[scope] = state.state

    def orders_of(self, account_id: str | None) -> list[OrderView]:
        """Live orders, of one account or of all, oldest first."""
        found = [held.view() for held in self.orders.values() if account_id in (None, held.account_id)]
        return sorted(found, key=lambda order: (order.created_ms, order.client_order_id))

    def algos_of(self, account_id: str | None) -> list[AlgoState]:
        """Running algos, of one account or of all."""
        return [algo for algo in self.algos.values() if account_id in (None, algo.account_id)]

    def accounts_of(self, account_id: str | None) -> list[AccountState]:
        """One account or all, by name."""
        found = [account for account in self.accounts.values() if account_id in (None, account.account_id)]
        return sorted(found, key=lambda account: (account.name, account.account_id))
