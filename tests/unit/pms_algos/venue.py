"""Risk, the order service and the exchange as the algos hear of them.

Approval once by name, reduce-only by position, a tombstone for what is cancelled unseen, each final state told once and
again when asked. What a test sets here decides what they do; the `world` delivers what they say.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from tests.unit.pms_algos.build import NONE, D
from tests.unit.pms_algos.life import Item, Life, Loop

from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import AmendOrder, CancelOrder, Fill, OrderUpdate, OrderView, order_work
from pms_common.contracts.bus.risk import ChildAmend, ChildOrder, ChildRefused, risk_work

ACCOUNT = "acc"


@dataclass
class Order:
    """A child as the order service knows it."""

    asked: ChildOrder
    price: Decimal | None
    state: str = "placing"
    executed: Decimal = NONE
    cost: Decimal = NONE
    version: int = 0

    @property
    def alive(self) -> bool:
        return self.state not in FINAL_STATES

    @property
    def left(self) -> Decimal:
        return self.asked.quantity - self.executed


class Venue(ABC):
    """Orders by client order id, the account's positions by symbol, and the market and the clock they live by."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self.loop = Loop()
        self.ahead_ms = 0
        """How far the wall clock was set away from the one that no step moves."""
        self.quotes = {symbol: (D("100.0"), D("100.1")) for symbol in symbols}
        self.orders: dict[str, Order] = {}
        self.asked_ms: dict[str, int] = {}
        """When an order came, by the latter."""
        self.tombstones: set[str] = set()
        self.most_owners = 0
        """Of how many algos orders were alive at the same time."""
        self.cancels_lost = 0
        """How many of the next cancels nobody carries out."""
        self.refused: dict[str, str] = {}
        self.refuse: Callable[[ChildOrder], str | None] = lambda _: None
        self.crosses = True
        """Whether what crosses the book is executed at once, and all of it."""
        self.expires: Decimal | None = None
        """How much of a market order the book holds; the rest expires."""
        self.positions: dict[str, Decimal] = {}
        self.entries: dict[str, Decimal] = {}
        self.position_ids: dict[str, str] = {}
        self._n = self._flips = 0

    @property
    def now_ms(self) -> int:
        """The wall clock."""
        return self.loop.now_ms + self.ahead_ms

    @abstractmethod
    def tell_account(self) -> None:
        """Risk tells the account."""

    @abstractmethod
    def _send(self, stream: str, data: bytes, deliver: Callable[[Life, Item], None]) -> None:
        """Deliver an entry, again until it is acknowledged."""

    # -- risk

    def _risk(self, data: bytes) -> None:
        work = risk_work.decode(data)
        name = work.client_order_id
        if isinstance(work, ChildAmend):
            self._refusal(work, "APPROVAL_EXCEEDED")
            return
        if name in self.orders:
            self._tell_order(name, "snapshot")
            return
        code = self.refused.get(name) or self._verdict(work)
        if code is not None:
            self.refused[name] = code
            self._refusal(work, code)
            return
        if work.reduce_only and work.order_type == "MARKET":
            work = self._made_way(work)
        self.orders[name] = order = Order(work, work.price)
        self.asked_ms[name] = self.loop.now_ms
        if name in self.tombstones:
            order.state = "cancelled"
            self._tell_order(name, "cancelled")
            return
        order.state = "active"
        self.most_owners = max(self.most_owners, len({live.asked.parent_id for live in self.live}))
        self._tell_order(name, "accepted")
        if self.crosses:
            self._cross(name)

    def _verdict(self, child: ChildOrder) -> str | None:
        if (child.expires_at_ms or 0) < self.now_ms:
            return "EXPIRED_COMMAND"
        closes = child.reduce_only and child.order_type == "MARKET"
        if child.reduce_only and child.quantity > self.closable(child.symbol, child.side, unclaimed=not closes):
            return "REDUCE_ONLY_REJECTED"
        return self.refuse(child)

    def _made_way(self, child: ChildOrder) -> ChildOrder:
        """A close sends what nobody claims, and what rests in its way is cancelled."""
        free = self.closable(child.symbol, child.side)
        for name in [name for name in self.resting if self.orders[name].asked.reduce_only]:
            self.end(name, "cancelled")
        return msgspec.structs.replace(child, quantity=min(child.quantity, free or child.quantity))

    def closable(self, symbol: str, side: str, *, unclaimed: bool = True) -> Decimal:
        """Position, or of that what live closers do not claim."""
        held = self.positions.get(symbol, D(0)) * (1 if side == "SELL" else -1)
        if not unclaimed:
            return max(held, D(0))
        closers = [o for o in self.live if o.asked.reduce_only and (o.asked.symbol, o.asked.side) == (symbol, side)]
        claimed = sum((order.left for order in closers), D(0))
        return max(held, D(0)) - claimed

    def _refusal(self, work: ChildOrder | ChildAmend, code: str) -> None:
        refusal = ChildRefused(
            epoch=1,
            n=1,
            client_order_id=work.client_order_id,
            account_id=ACCOUNT,
            parent_id=work.parent_id,
            amend=isinstance(work, ChildAmend),
            error_code=code,
            error=f"refused: {code}",
        )
        self._send("risk", b"", lambda life, item: life.children.refused(refusal, item))  # type: ignore[arg-type]

    # -- orders

    def _change(self, data: bytes) -> None:
        work = order_work.decode(data)
        if self.cancels_lost and isinstance(work, CancelOrder):
            self.cancels_lost -= 1
            return
        order = self.orders.get(work.client_order_id)
        if isinstance(work, CancelOrder):
            if order is None:
                self.tombstones.add(work.client_order_id)
            elif not order.alive:
                self._tell_order(work.client_order_id, "snapshot")
            else:
                self.end(work.client_order_id, "cancelled")
        elif isinstance(work, AmendOrder) and order is not None and order.alive:
            order.price = work.price
            self._tell_order(work.client_order_id, "amended")
            if self.crosses:
                self._cross(work.client_order_id)

    def _cross(self, name: str) -> None:
        order = self.orders[name]
        bid, ask = self.quotes[order.asked.symbol]
        touch = ask if order.asked.side == "BUY" else bid
        price = order.price
        if price is not None and (price < ask if order.asked.side == "BUY" else price > bid):
            return
        if price is None and self.expires is not None:
            quantity = min(self.expires, order.left)
            if quantity:
                self.fill(name, quantity, touch)
            if order.alive:
                self.end(name, "expired")
            return
        self.fill(name, order.left, touch if price is None else price)

    def fill(self, name: str, quantity: Decimal, price: Decimal | None = None) -> None:
        """An execution."""
        order = self.orders[name]
        price = price if price is not None else order.price
        assert price is not None
        quantity = min(quantity, order.left)
        order.executed += quantity
        order.cost += quantity * price
        order.state = "filled" if not order.left else "active"
        symbol = order.asked.symbol
        self._move(symbol, quantity if order.asked.side == "BUY" else -quantity, price)
        fill = Fill(
            trade_id=self._n,
            price=price,
            quantity=quantity,
            commission=D(0),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=True,
            trade_ms=self.loop.now_ms,
        )
        self._tell_order(name, "fill", fill=fill)
        self.tell_account()

    def _move(self, symbol: str, change: Decimal, price: Decimal) -> None:
        before = self.positions.get(symbol, D(0))
        after = before + change
        if not before or before * after < 0:
            self._flips += 1
            self.position_ids[symbol], self.entries[symbol] = f"pos_{symbol}_{self._flips}", price
        elif abs(after) > abs(before):
            self.entries[symbol] = (self.entries[symbol] * before + price * change) / after
        self.positions[symbol] = after

    def end(self, name: str, state: str, **more: Any) -> None:
        """It ends without being filled."""
        self.orders[name].state = state
        self._tell_order(name, state, **more)

    def _view(self, name: str, cause: str, **more: Any) -> OrderUpdate:
        order, asked = self.orders[name], self.orders[name].asked
        order.version += 1
        view = OrderView(
            client_order_id=name,
            account_id=asked.account_id,
            symbol=asked.symbol,
            side=asked.side,
            order_type=asked.order_type,
            quantity=asked.quantity,
            price=order.price,
            leverage=asked.leverage,
            parent_id=asked.parent_id,
            origin=asked.origin,
            reduce_only=asked.reduce_only,
            state=order.state,  # type: ignore[arg-type]
            executed_quantity=order.executed,
            average_price=order.cost / order.executed if order.executed else None,
            version=order.version,
            created_ms=1,
            updated_ms=self.loop.now_ms,
        )
        key = f"{name}:{cause}:{order.version}"
        return OrderUpdate(
            epoch=1,
            n=1,
            key=key,
            cause=cause,
            order=view,
            event_ms=self.loop.now_ms,
            **more,  # type: ignore[arg-type]
        )

    def _tell_order(self, name: str, cause: str, **more: Any) -> None:
        self._send("orders", b"", telling(self._view(name, cause, **more)))

    # -- the truth

    @property
    def live(self) -> list[Order]:
        return [order for order in self.orders.values() if order.alive]

    @property
    def resting(self) -> list[str]:
        return [name for name, order in self.orders.items() if order.alive]

    @property
    def executed(self) -> Decimal:
        return sum((order.executed for order in self.orders.values()), D(0))

    @property
    def cost(self) -> Decimal:
        return sum((order.cost for order in self.orders.values()), D(0))


def telling(update: OrderUpdate) -> Callable[[Life, Item], None]:
    return lambda life, item: life.children.told(update, item)  # type: ignore[arg-type]
