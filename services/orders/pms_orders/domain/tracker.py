"""Every order by every name it has.

Owns the maps from client order id and exchange order id to the order, the live orders of an account, the bounded memory
of ended ones and the tombstones of cancels that came before their order. Pure. Used by the order manager, which alone
adds and forgets.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator

from pms_orders.domain.order import OrderState

MAX_ENDED = 50_000
"""Ended orders kept in memory (about 1.5 kB each), so that late events and repeated requests meet a known id."""
MAX_TOMBSTONES = 10_000
TOMBSTONE_MS = 60_000
"""How long a cancel waits for the order it has overtaken: longer than a request lives in a stream (10 s by default)."""


class OrderTracker:
    """Live orders, and the ended ones of late."""

    def __init__(self, max_ended: int = MAX_ENDED) -> None:
        self._max_ended = max_ended
        self._live: dict[str, OrderState] = {}
        self._ended: OrderedDict[str, OrderState] = OrderedDict()
        self._by_number: dict[int, tuple[OrderState, ...]] = {}
        self._by_account: defaultdict[str, dict[str, OrderState]] = defaultdict(dict)
        self._tombstones: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        """Live orders."""
        return len(self._live)

    def add(self, order: OrderState) -> None:
        """A new or restored order."""
        self._live[order.client_order_id] = order
        self._by_account[order.place.account_id][order.client_order_id] = order
        if order.exchange_order_id is not None:
            self.named(order)

    def named(self, order: OrderState) -> None:
        """The exchange order id has become known."""
        number = order.exchange_order_id
        if number is None:
            return
        known = self._by_number.setdefault(number, (order,))
        if order not in known:
            self._by_number[number] = (order, *self._others(number, order.place.symbol))

    def find(self, client_order_id: str) -> OrderState | None:
        """An order, live or ended of late, by client order id."""
        return self._live.get(client_order_id) or self._ended.get(client_order_id)

    def find_reported(self, symbol: str, exchange_order_id: int, client_order_id: str) -> OrderState | None:
        """The order an exchange report is about; None where the exchange means another order by one of our names."""
        order = self._live.get(client_order_id)
        if order is not None:
            return order if order.exchange_order_id in (None, exchange_order_id) else None
        for order in self._by_number.get(exchange_order_id, ()):
            if order.place.symbol == symbol:
                return order
        order = self._ended.get(client_order_id)
        return order if order is None or order.exchange_order_id in (None, exchange_order_id) else None

    def find_by_exchange_id(self, exchange_order_id: int) -> OrderState | None:
        """An order by exchange order id alone; None where two symbols have the id."""
        found = self._by_number.get(exchange_order_id, ())
        return found[0] if len(found) == 1 else None

    def live(self) -> Iterator[OrderState]:
        """All live orders, of a moment."""
        return iter(list(self._live.values()))

    def of_account(self, account_id: str) -> list[OrderState]:
        """The live orders of an account."""
        return list(self._by_account.get(account_id, {}).values())

    def retire(self, order: OrderState) -> None:
        """The order has ended and all its fills are known: remember it only as one of the last `max_ended`."""
        client_order_id = order.client_order_id
        if self._live.pop(client_order_id, None) is None:
            return
        account = self._by_account[order.place.account_id]
        account.pop(client_order_id, None)
        if not account:
            del self._by_account[order.place.account_id]
        self.remember(order)

    def remember(self, order: OrderState) -> None:
        """Keep an ended order among the last ones."""
        self._ended[order.client_order_id] = order
        self.named(order)
        if len(self._ended) > self._max_ended:
            _, oldest = self._ended.popitem(last=False)
            number = oldest.exchange_order_id
            if number is not None:
                others = self._others(number, oldest.place.symbol)
                if others:
                    self._by_number[number] = others
                else:
                    self._by_number.pop(number, None)

    def _others(self, number: int, symbol: str) -> tuple[OrderState, ...]:
        """The orders of other symbols that have this number: the exchange counts each symbol's orders alone."""
        return tuple([order for order in self._by_number.get(number, ()) if order.place.symbol != symbol])

    def revive(self, order: OrderState) -> None:
        """Late truth: an order that was given up lives."""
        if self._ended.pop(order.client_order_id, None) is not None:
            self.add(order)

    def bury(self, client_order_id: str, now_ms: int) -> None:
        """A cancel came for an id nobody knows: should its order arrive, it is not to be sent."""
        self._tombstones[client_order_id] = now_ms + TOMBSTONE_MS
        self._tombstones.move_to_end(client_order_id)
        while len(self._tombstones) > MAX_TOMBSTONES or next(iter(self._tombstones.values())) < now_ms:
            self._tombstones.popitem(last=False)

    def buried(self, client_order_id: str, now_ms: int) -> bool:
        """Whether a cancel came before its order; asking takes the tombstone away."""
        return self._tombstones.pop(client_order_id, 0) >= now_ms
