"""One exchange account: wallet, holdings, order and trade history.

Owns the money. Every change of the wallet has an income record. Never matches and never builds events.
Histories are bounded: the oldest finished orders, trades and income records are forgotten.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from pms_simulator.domain.brackets import Bracket
from pms_simulator.domain.orders import Order, Trade
from pms_simulator.domain.positions import CENT8, ZERO, Holding
from pms_simulator.domain.symbols import SymbolSpec
from pms_simulator.domain.units import short

ASSET = "USDT"
BNB = "BNB"
BNB_SHARE = Decimal("0.9")
"""Of a commission, where it is paid in BNB: the venue's discount of 10 %."""


@dataclass(frozen=True, slots=True)
class Income:
    """One cash flow of the wallet."""

    symbol: str
    kind: str
    amount: Decimal
    time_ms: int
    tran_id: int
    trade_id: int
    asset: str = ASSET


@dataclass(frozen=True, slots=True)
class AmendmentRecord:
    """One change of an order: (price, quantity) before and after, and the how manieth of that order it is."""

    number: int
    order: Order
    before: tuple[int, int]
    after: tuple[int, int]
    count: int
    time_ms: int
    modify_id: int | None


@dataclass(frozen=True, slots=True)
class FeeRates:
    """Commission as a fraction of notional."""

    maker: Decimal = Decimal("0.0002")
    taker: Decimal = Decimal("0.0005")


class Account:
    """State of one account; amounts in USDT. ``bnb`` is its wallet of BNB, which pays commissions where ``fee_burn`` is
    on and it holds enough; ``bnb_price`` is the mark of BNBUSDT, 0 where there is none."""

    def __init__(self, name: str, balance: Decimal, fees: FeeRates, history: int) -> None:
        self.name = name
        self.wallet = balance
        self.bnb = ZERO
        self.fee_burn = False
        self.bnb_price: Callable[[], Decimal] = lambda: ZERO
        self.fees = fees
        self.dual_side = False
        self.multi_assets = False
        self.holdings: dict[str, Holding] = {}
        self.initial_margin = ZERO
        self.unrealized = ZERO
        self.update_ms = 0
        self.watched = False  # whether anybody reads this account's events
        self.trades: deque[Trade] = deque(maxlen=history)
        self.income: deque[Income] = deque(maxlen=history)
        self.amendments: deque[AmendmentRecord] = deque(maxlen=history)
        self._history = history
        self._by_id: dict[tuple[str, int], Order] = {}
        self._by_client: dict[tuple[str, str], Order] = {}
        self._finished: deque[Order] = deque()
        self._tran_id = 0
        self._amendment_id = 0

    def holding(self, spec: SymbolSpec, brackets: tuple[Bracket, ...], mark: int) -> Holding:
        """The holding of a symbol, made on first use."""
        held = self.holdings.get(spec.symbol)
        if held is None:
            held = self.holdings[spec.symbol] = Holding(spec, brackets, mark)
        return held

    def refresh(self, held: Holding) -> None:
        """Bring ``held`` and the account's totals up to date with each other."""
        self.initial_margin -= held.initial_margin
        self.unrealized -= held.unrealized
        held.refresh()
        self.initial_margin += held.initial_margin
        self.unrealized += held.unrealized

    @property
    def available(self) -> Decimal:
        """What new orders may tie up; never negative."""
        return max(ZERO, self.free)

    @property
    def free(self) -> Decimal:
        """Wallet plus unrealised profit minus initial margin; negative when under water."""
        return self.wallet + self.unrealized - self.initial_margin

    def remember(self, order: Order) -> None:
        """Index a new order by its ids; a client id names its latest order."""
        symbol = order.spec.symbol
        self._by_id[symbol, order.order_id] = order
        self._by_client[symbol, order.client_id] = order

    def finish(self, order: Order) -> None:
        """Move an order to the bounded history."""
        self._finished.append(order)
        if len(self._finished) > self._history:
            old = self._finished.popleft()
            symbol = old.spec.symbol
            del self._by_id[symbol, old.order_id]
            if self._by_client.get((symbol, old.client_id)) is old:
                del self._by_client[symbol, old.client_id]

    def by_id(self, symbol: str, order_id: int) -> Order | None:
        """The order with the venue's id."""
        return self._by_id.get((symbol, order_id))

    def by_client_id(self, symbol: str, client_id: str) -> Order | None:
        """The latest order with the client's id."""
        return self._by_client.get((symbol, client_id))

    def orders(self) -> list[Order]:
        """All remembered orders, in order of entry."""
        return list(self._by_id.values())

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Resting orders of one symbol or all."""
        if symbol is not None:
            held = self.holdings.get(symbol)
            return list(held.orders.values()) if held else []
        return [order for held in self.holdings.values() for order in held.orders.values()]

    def book_trade(self, held: Holding, order: Order, price: int, quantity: int, maker: bool,
                   trade_id: int, now_ms: int) -> Trade:  # fmt: skip
        """Book an execution: position, profit, commission, wallet, history."""
        spec = held.spec
        rate = self.fees.maker if maker else self.fees.taker
        commission, asset = self._commission(spec.money(price * quantity) * rate)
        profit = held.leg(order.position_side).book(spec, order.side, price, quantity, now_ms)
        self.cash(spec.symbol, "COMMISSION", -commission, now_ms, trade_id, asset)
        if profit:
            self.cash(spec.symbol, "REALIZED_PNL", profit, now_ms, trade_id)
        trade = Trade(
            account=self.name,
            spec=spec,
            trade_id=trade_id,
            order_id=order.order_id,
            side=order.side,
            position_side=order.position_side,
            price=price,
            quantity=quantity,
            commission=short(commission),
            commission_asset=asset,
            realized=short(profit),
            maker=maker,
            time_ms=now_ms,
        )
        self.trades.append(trade)
        return trade

    def _commission(self, amount: Decimal) -> tuple[Decimal, str]:
        """A commission in USDT, as it is charged: the amount and its asset."""
        price = self.bnb_price() if self.fee_burn else ZERO
        if price:
            in_bnb = (amount * BNB_SHARE / price).quantize(CENT8)
            if in_bnb <= self.bnb:
                return in_bnb, BNB
        return amount.quantize(CENT8), ASSET

    def balances(self) -> dict[str, Decimal]:
        """What is in the wallets, by asset; BNB only where there is some, or commissions are paid in it."""
        return {ASSET: self.wallet, BNB: self.bnb} if self.bnb or self.fee_burn else {ASSET: self.wallet}

    def note_amendment(self, order: Order, price: int, quantity: int, modify_id: int | None, now_ms: int) -> None:
        """Keep what an amendment is about to change."""
        self._amendment_id += 1
        before, after = (order.price, order.quantity), (price, quantity)
        count = order.amendments + 1
        self.amendments.append(AmendmentRecord(self._amendment_id, order, before, after, count, now_ms, modify_id))

    def cash(self, symbol: str, kind: str, amount: Decimal, now_ms: int, trade_id: int = 0, asset: str = ASSET) -> None:
        """Move money into or out of a wallet, with its income record."""
        if asset == BNB:
            self.bnb += amount
        else:
            self.wallet += amount
        self.update_ms = now_ms
        self._tran_id += 1
        self.income.append(Income(symbol, kind, amount, now_ms, self._tran_id, trade_id, asset))
