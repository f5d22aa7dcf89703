"""How accounts looked a while ago, for queries that lag.

Owns what changed since recording began: copies of orders, positions and wallet at each change. Only records while a
fault needs it. Never changes an account: a past one is a copy that answers as the account would have answered.
"""

import copy
from collections import deque
from collections.abc import Iterable

from pms_simulator.domain.account import Account, Income
from pms_simulator.domain.orders import Order, Trade
from pms_simulator.domain.positions import Holding

Key = tuple[str, int]


class Past:
    """One account's changes, oldest first."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.baseline = {_key(order): copy.copy(order) for order in account.open_orders()}
        self.versions: dict[Key, list[tuple[int, Order]]] = {}
        self.frames: deque[tuple[int, Account]] = deque([(0, self._frame())])

    def _frame(self) -> Account:
        frame = copy.copy(self.account)
        frame.holdings = {symbol: _copied(held) for symbol, held in self.account.holdings.items()}
        return frame

    def change(self, orders: Iterable[Order], now_ms: int, forget_before_ms: int) -> None:
        """Note what has just changed; what no query can ask for any more is forgotten."""
        for order in orders:
            versions = self.versions.setdefault(_key(order), [])
            versions.append((now_ms, copy.copy(order)))
            while len(versions) > 1 and versions[1][0] <= forget_before_ms:
                versions.pop(0)
        self.frames.append((now_ms, self._frame()))
        while len(self.frames) > 1 and self.frames[1][0] <= forget_before_ms:
            self.frames.popleft()

    def order(self, key: Key, at_ms: int) -> Order | None:
        """An order as it was; None where it was not there yet."""
        versions = self.versions.get(key)
        if versions is None:
            return self.account.by_id(*key)
        return next((order for ms, order in reversed(versions) if ms <= at_ms), self.baseline.get(key))

    def frame(self, at_ms: int) -> Account:
        """Wallet and positions as they were."""
        return next((frame for ms, frame in reversed(self.frames) if ms <= at_ms), self.frames[0][1])


class PastAccount(Account):
    """An account as it was at ``at_ms``. To be read only."""

    def __init__(self, past: Past, at_ms: int) -> None:
        vars(self).update(vars(past.frame(at_ms)))
        self._past = past
        self._at_ms = at_ms
        self.trades: deque[Trade] = deque(item for item in past.account.trades if item.time_ms <= at_ms)
        self.income: deque[Income] = deque(item for item in past.account.income if item.time_ms <= at_ms)

    def by_id(self, symbol: str, order_id: int) -> Order | None:
        """As it was."""
        return self._past.order((symbol, order_id), self._at_ms)

    def by_client_id(self, symbol: str, client_id: str) -> Order | None:
        """As it was."""
        now = self._past.account.by_client_id(symbol, client_id)
        return None if now is None else self._past.order(_key(now), self._at_ms)

    def orders(self) -> list[Order]:
        """As they were."""
        found = (self._past.order(_key(order), self._at_ms) for order in self._past.account.orders())
        return [order for order in found if order is not None]

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """As they were."""
        return [order for order in self.orders() if order.is_open and symbol in {None, order.spec.symbol}]


class History:
    """The past of all accounts, from the moment this is made."""

    def __init__(self, accounts: Iterable[Account], now_ms: int) -> None:
        self._since_ms = now_ms - 1  # so that what changes in this very millisecond is after it
        self._pasts = {account.name: Past(account) for account in accounts}
        self._touched: dict[str, dict[Key, Order]] = {}

    def watch(self, account: Account) -> None:
        """Record a new account too."""
        self._pasts[account.name] = Past(account)

    def touch(self, account: Account, order: Order) -> None:
        """An order changes in the request being carried out."""
        self._touched.setdefault(account.name, {})[_key(order)] = order

    def commit(self, now_ms: int, lag_ms: int) -> None:
        """The request is done: keep what it changed."""
        for name, orders in self._touched.items():
            self._pasts[name].change(orders.values(), now_ms, now_ms - lag_ms)
        self._touched.clear()

    def lagged(self, account: Account, at_ms: int) -> PastAccount:
        """The account as it was, not earlier than recording began."""
        return PastAccount(self._pasts[account.name], max(at_ms, self._since_ms))


def _key(order: Order) -> Key:
    return order.spec.symbol, order.order_id


def _copied(held: Holding) -> Holding:
    twin = copy.copy(held)
    twin.legs = {side: copy.copy(leg) for side, leg in held.legs.items()}
    twin.orders = {order_id: copy.copy(order) for order_id, order in held.orders.items()}
    return twin
