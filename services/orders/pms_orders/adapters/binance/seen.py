"""Which events were heard already, while two connections tell the same ones.

Owns what makes two events the same: their content, not their bytes. Bounded. Used by the user stream, only as long as
it has two connections, so that a single one costs nothing.
"""

from collections import OrderedDict
from collections.abc import Hashable

import msgspec

from pms_orders.adapters.binance import wire

MAX_SEEN = 50_000
"""Ten seconds of 5,000 events a second: more than one connection is ever behind another."""


def identity(event: wire.FeedEvent) -> Hashable:
    """What an event says, so that the same one of another connection is equal."""
    if type(event) is wire.OrderTradeUpdate:
        order = event.order
        what = (order.execution, order.status, order.trade_id, order.executed, order.quantity, order.price)
        return "order", order.symbol, order.exchange_order_id, event.event_ms, what
    if type(event) is wire.TradeLite:
        return "lite", event.symbol, event.exchange_order_id, event.trade_id
    if type(event) is wire.AccountUpdate:
        account = event.account
        balances = tuple([(item.asset, item.wallet) for item in account.balances])
        positions = tuple([(p.symbol, p.position_side, p.quantity, p.entry_price) for p in account.positions])
        return "account", event.event_ms, account.cause, balances, positions
    return msgspec.json.encode(event)


class Seen:
    """The last events of two connections."""

    def __init__(self, bound: int = MAX_SEEN) -> None:
        self._bound = bound
        self._known: OrderedDict[Hashable, None] = OrderedDict()

    def new(self, events: list[wire.FeedEvent]) -> list[wire.FeedEvent]:
        """Those that were not heard before."""
        return [event for event in events if self._take(identity(event))]

    def _take(self, known: Hashable) -> bool:
        if known in self._known:
            return False
        self._known[known] = None
        if len(self._known) > self._bound:
            self._known.popitem(last=False)
        return True
