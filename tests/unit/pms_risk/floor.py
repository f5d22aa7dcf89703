"""A long account at a market that is moved by hand, and the sentinel and the liquidator that watch it."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec

from pms_common.contracts.bus.common import PublicEvent
from pms_common.contracts.bus.orders import CancelOrder, PlaceOrder
from pms_risk.adapters.postgres import statements as sql
from pms_risk.app.liquidation_events import LiquidationEvents
from pms_risk.app.sentinel import Sentinel
from pms_risk.app.watches import Watches
from pms_risk.domain.account import Account
from pms_risk.domain.liquidation.decision import Decision, Facts, Tiers
from pms_risk.domain.liquidation.watch import Guards

from .desk import Desk, fill, update, view
from .world import D, Exchange

# 1 000 cash, long 100 at 100: maintenance margin 50, ratio 50 / (1 000 + 100 (mid - 100))
CALM, WARNED, SECOND, THIRD, INSOLVENT = 95.0, 90.6, 90.55, 90.52, 90.4


class Floor(Desk):
    """A desk whose account is long 100 BTC, and a market that is moved by hand."""

    def __init__(self, quantity: str = "100") -> None:
        super().__init__()
        self.exchange_account = Exchange()
        self.open(self.account, "BTCUSDT", quantity)
        self.trades = 1_000

    def open(self, owner: Account, symbol: str, quantity: str) -> None:
        side = "BUY" if D(quantity) > 0 else "SELL"
        self.state.books.book(*self.exchange_account.execute(owner.id, symbol, side, abs(D(quantity)), D(100)))

    async def at(self, mid: float, *, after_ms: int = 300) -> None:
        """A price, and everything that follows from it."""
        self.now_ms += after_ms
        self.price(mid)
        await self.settle()

    async def settle(self) -> None:
        self.sentinel.tend()
        self.sentinel.on_ticks([])
        self.liquidator.tend()
        while self.sentinel.busy:  # noqa: ASYNC110
            await asyncio.sleep(0)

    def price(self, mid: float = 100.0, at_ms: int | None = None, symbol: str = "BTCUSDT") -> None:
        super().price(mid, at_ms, symbol)
        quote = self.state.prices._ticks[symbol]
        self.sentinel.on_ticks([quote])

    def succeed(self) -> None:
        """Another process watches from now on, with what Redis has."""
        outbox: Any = self.paper
        watches = Watches(outbox, "watches")
        watches.restore({name.encode(): value for name, value in self.paper.hashes.get("watches", {}).items()})
        told = LiquidationEvents(self.state, self.events)
        self.sentinel = Sentinel(self.state, self.liquidator, told, watches, Tiers(), Guards())

    def sent(self) -> list[PlaceOrder]:
        return [work for work in self.urgent() if isinstance(work, PlaceOrder)]

    def cancels(self) -> list[str]:
        return [work.client_order_id for work in self.urgent() if isinstance(work, CancelOrder)]

    def executed(self, placed: PlaceOrder, quantity: Decimal | None = None, price: float = 90.0) -> None:
        """An execution of a closing order; without a quantity all of it."""
        amount = quantity if quantity is not None else placed.quantity
        self.trades += 1
        before = self.account.orders[placed.client_order_id].executed
        done = before + amount
        self.hear(
            update(
                "fill",
                self._view(placed, executed=done, state="filled" if done == placed.quantity else "active"),
                n=self.trades,
                fill=msgspec.structs.replace(fill(self.trades, str(amount)), price=D(price), trade_ms=self.trades),
            )
        )

    def ended(self, placed: PlaceOrder, state: Any = "expired", **fields: Any) -> None:
        self.trades += 1
        live_order = self.account.orders[placed.client_order_id]
        self.hear(update(state, self._view(placed, live_order.executed, state), n=self.trades, **fields))

    def _view(self, placed: PlaceOrder, executed: Decimal, state: Any) -> Any:
        return view(
            client_order_id=placed.client_order_id,
            account_id=placed.account_id,
            symbol=placed.symbol,
            side=placed.side,
            order_type=placed.order_type,
            quantity=placed.quantity,
            price=None,
            reduce_only=True,
            origin=placed.origin,
            command=placed.command,
            state=state,
            exchange_order_id=self.trades,
            executed_quantity=executed,
            version=self.trades,
        )

    def decisions(self) -> list[tuple[Decision, Facts]]:
        """What was journalled."""
        rows = [item[1] for item in self.journal._waiting if isinstance(item, tuple) and item[0] is sql.LIQUIDATION]
        return [(msgspec.json.decode(row[4], type=Decision), msgspec.json.decode(row[5], type=Facts)) for row in rows]

    def payloads(self, type_: str) -> list[dict[str, Any]]:
        told = {event.key: event for event in self.told(PublicEvent) if event.type == type_}
        return [msgspec.json.decode(bytes(event.payload)) for event in told.values()]


async def liquidated_to(floor: Floor, mid: float) -> None:
    """The price falls, and holds."""
    await floor.at(CALM)
    await floor.at(mid)
    await floor.at(mid)
