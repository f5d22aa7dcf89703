"""A pooled exchange account to hold the books against: nets executions, realises profit by the pooled entry price."""

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

from pms_common.contracts.bus.orders import AssetBalance, ExchangeAccount, ExchangePosition, Fill, OrderView, SymbolSpec
from pms_risk.domain.account import Account
from pms_risk.domain.books import Books
from pms_risk.domain.orders import LiveOrder

UNIT = Decimal("1E-8")
D = Decimal
ZERO, TEN = D(0), D(10)


def position_id(owner: str, leg: str, reference: str) -> str:
    return f"{owner}/{leg}/{reference}"


def spec(symbol: str = "BTCUSDT", **changes: Any) -> SymbolSpec:
    fields: dict[str, Any] = {
        "symbol": symbol,
        "status": "TRADING",
        "base_asset": symbol[:3],
        "quote_asset": "USDT",
        "margin_asset": "USDT",
        "tick_size": D("0.1"),
        "min_price": D("0.1"),
        "max_price": D("1000000"),
        "step_size": D("0.001"),
        "min_quantity": D("0.001"),
        "max_quantity": D("1000"),
        "market_step_size": D("0.001"),
        "market_min_quantity": D("0.001"),
        "market_max_quantity": D("100"),
        "min_notional": D(5),
        "percent_price_up": D("1.05"),
        "percent_price_down": D("0.95"),
        "max_orders": 200,
        "market_take_bound": D("0.05"),
    }
    return SymbolSpec(**(fields | changes))


def account(books: Books, account_id: str, cash: str | int = 0) -> Account:
    made = books.accounts[account_id] = Account(account_id, account_id, 1)
    if D(cash):
        books.transfer(made, D(cash), f"open-{account_id}", 1)
    return made


def live(client_order_id: str, side: Any = "BUY", quantity: Any = 1, bound: Any = 100, **changes: Any) -> LiveOrder:
    fields: dict[str, Any] = {
        "client_order_id": client_order_id,
        "account_id": "a",
        "symbol": "BTCUSDT",
        "leg": "BOTH",
        "side": side,
        "order_type": "LIMIT",
        "reduce_only": False,
        "quantity": D(quantity),
        "price": D(bound),
        "bound": D(bound),
        "leverage": D(10),
        "origin": "MANUAL",
        "parent_id": None,
        "approved_ms": 1,
    }
    return LiveOrder(**(fields | changes))


@dataclass
class Exchange:
    """One pooled account, one-way or hedge."""

    wallets: dict[str, Decimal] = field(default_factory=lambda: {"USDT": D(1_000_000), "BNB": D(100)})
    positions: dict[tuple[str, str], tuple[Decimal, Decimal]] = field(default_factory=dict)  # quantity, cost
    trades: Any = field(default_factory=lambda: count(1))
    orders: Any = field(default_factory=lambda: count(1))

    def execute(
        self,
        account_id: str,
        symbol: str,
        side: Any,
        quantity: Decimal,
        price: Decimal,
        *,
        leg: Any = "BOTH",
        commission: Decimal = ZERO,
        asset: str = "USDT",
        reduce_only: bool = False,
        leverage: Decimal = TEN,
    ) -> tuple[OrderView, Fill]:
        signed = quantity if side == "BUY" else -quantity
        profit = self._net(symbol, leg, signed, price)
        self.wallets["USDT"] += profit
        self.wallets[asset] = self.wallets.get(asset, D(0)) - commission
        number = next(self.orders)
        order = OrderView(
            client_order_id=f"o{number}",
            account_id=account_id,
            symbol=symbol,
            side=side,
            order_type="LIMIT",
            quantity=quantity,
            price=price,
            position_side=leg,
            reduce_only=reduce_only,
            leverage=leverage,
            state="filled",
            exchange_order_id=number,
            executed_quantity=quantity,
            average_price=price,
            version=1,
            created_ms=1,
            updated_ms=1,
        )
        trade = next(self.trades)
        fill = Fill(
            trade_id=trade,
            price=price,
            quantity=quantity,
            commission=commission,
            commission_asset=asset,
            realized_pnl=profit,
            maker=True,
            trade_ms=trade,
        )
        return order, fill

    def _net(self, symbol: str, leg: str, signed: Decimal, price: Decimal) -> Decimal:
        quantity, cost = self.positions.get((symbol, leg), (D(0), D(0)))
        profit = D(0)
        if quantity and (quantity > 0) != (signed > 0):
            closing = signed if abs(signed) <= abs(quantity) else -quantity
            part = cost * -closing / quantity
            profit = (-closing * price - part).quantize(UNIT)
            quantity, cost, signed = quantity + closing, cost - part, signed - closing
            if not quantity:
                cost = D(0)
        self.positions[symbol, leg] = (quantity + signed, cost + signed * price)
        return profit

    def facts(self) -> ExchangeAccount:
        return ExchangeAccount(
            epoch=1,
            n=1,
            complete=True,
            balances=[AssetBalance(asset=asset, wallet=wallet) for asset, wallet in self.wallets.items()],
            positions=[
                ExchangePosition(
                    symbol=symbol,
                    position_side=leg,  # type: ignore[arg-type]
                    quantity=quantity,
                    entry_price=cost / quantity if quantity else D(0),
                )
                for (symbol, leg), (quantity, cost) in self.positions.items()
            ],
            event_ms=1,
        )
