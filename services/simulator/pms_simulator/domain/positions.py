"""Positions of one account on one symbol, and the margin they and its open orders tie up.

Owns pooled entry cost, realised profit, exposure and initial margin. Never touches the wallet: ``account`` does.

Initial margin follows the venue: the larger of |position + open buys| and |position - open sells| at the mark,
divided by the leverage; in hedge mode the legs add up. Accepted limitation: margin type ISOLATED is kept and
shown, but isolated wallets are not modelled, margin is always drawn from the cross wallet.
"""

from decimal import Decimal

from pms_simulator.domain import brackets as tiers
from pms_simulator.domain.orders import BUY, Order, PositionSide
from pms_simulator.domain.symbols import SymbolSpec

CENT8 = Decimal("0.00000001")
ZERO = Decimal(0)
DEFAULT_LEVERAGE = 20  # what the venue gives a fresh symbol


class Leg:
    """One position: signed quantity in units and its signed entry cost in quote currency."""

    __slots__ = ("cost", "quantity", "realized", "side", "update_ms")

    def __init__(self, side: PositionSide) -> None:
        self.side: PositionSide = side
        self.quantity = 0
        self.cost = ZERO
        self.realized = ZERO
        self.update_ms = 0

    def entry_price(self, spec: SymbolSpec) -> Decimal:
        """Average entry price, 0 when flat."""
        return self.cost / spec.qty(self.quantity) if self.quantity else ZERO

    def unrealized(self, spec: SymbolSpec, mark: int) -> Decimal:
        """Profit at ``mark`` against the entry cost."""
        return spec.money(self.quantity * mark) - self.cost if self.quantity else ZERO

    def book(self, spec: SymbolSpec, side: int, price: int, quantity: int, now_ms: int) -> Decimal:
        """Apply an execution; returns the profit it realised, to 1e-8.

        Closing releases its share of the entry cost; what goes beyond flat opens at the execution price.
        """
        self.update_ms = now_ms
        closing = min(quantity, abs(self.quantity)) if self.quantity * side < 0 else 0
        profit = ZERO
        if closing:
            released = self.cost
            if closing != abs(self.quantity):
                released = (self.cost * closing / abs(self.quantity)).quantize(CENT8)
            profit = spec.money(-side * price * closing) - released
            self.cost -= released
        self.quantity += side * quantity
        self.cost += spec.money(side * price * (quantity - closing))
        if closing:
            profit = profit.quantize(CENT8)
            self.realized += profit
        return profit


class Holding:
    """Everything one account has on one symbol: legs, open orders, leverage, tied-up margin."""

    __slots__ = ("asks", "bids", "brackets", "closers", "exposed", "initial_margin", "legs", "leverage",
                 "margin_type", "mark", "max_exposure", "max_notional", "opening_buys", "opening_sells", "orders",
                 "spec", "unrealized")  # fmt: skip

    def __init__(self, spec: SymbolSpec, brackets: tuple[tiers.Bracket, ...], mark: int) -> None:
        self.spec = spec
        self.brackets = brackets
        self.mark = mark
        self.set_leverage(min(DEFAULT_LEVERAGE, brackets[0].leverage))
        self.margin_type = "CROSSED"
        self.legs: dict[PositionSide, Leg] = {}
        self.orders: dict[int, Order] = {}
        self.closers: dict[int, Order] = {}
        self.bids = self.asks = 0
        self.opening_buys = self.opening_sells = 0
        self.exposed = 0
        self.initial_margin = ZERO
        self.unrealized = ZERO

    def set_leverage(self, leverage: int) -> None:
        """Set the leverage and with it the largest exposure; -4028 where no bracket allows it."""
        self.max_notional = tiers.max_notional(self.brackets, leverage)
        self.max_exposure = self.max_notional * 10**self.spec.money_places
        self.leverage = leverage

    def leg(self, side: PositionSide) -> Leg:
        """The leg of ``side``, made if missing."""
        leg = self.legs.get(side)
        if leg is None:
            leg = self.legs[side] = Leg(side)
        return leg

    def add_order(self, order: Order) -> None:
        """Count a resting order."""
        self.orders[order.order_id] = order
        if order.closing:
            self.closers[order.order_id] = order
        self.count(order, order.remaining)

    def drop_order(self, order: Order) -> None:
        """Stop counting an order that is no longer open; its remaining quantity as it was while open."""
        del self.orders[order.order_id]
        if order.closing:
            del self.closers[order.order_id]
        self.count(order, -order.remaining)

    def count(self, order: Order, quantity: int) -> None:
        """Add ``quantity`` of a resting order to the open notional."""
        notional = order.price * quantity
        if order.side == BUY:
            self.bids += notional
            if not order.closing:
                self.opening_buys += notional
        else:
            self.asks += notional
            if not order.closing:
                self.opening_sells += notional

    def exposure(self, extra_buys: int = 0, extra_sells: int = 0) -> int:
        """Notional that needs margin, in money units, with further opening orders on top."""
        buys, sells = self.opening_buys + extra_buys, self.opening_sells + extra_sells
        total = 0
        net = 0
        for leg in self.legs.values():
            if leg.side == "BOTH":
                net = leg.quantity * self.mark
            elif leg.quantity:
                total += abs(leg.quantity * self.mark)
                if leg.side == "LONG":
                    total, buys = total + buys, 0
                else:
                    total, sells = total + sells, 0
        if total:
            return total + buys + sells
        return max(abs(net + buys), abs(net - sells))

    def margin_for(self, exposure: int) -> Decimal:
        """Initial margin of an exposure in money units."""
        return self.spec.money(exposure) / self.leverage

    def position_margin(self, leg: Leg) -> Decimal:
        """The part of the initial margin that ``leg`` itself needs."""
        return self.spec.money(abs(leg.quantity) * self.mark) / self.leverage

    def maintenance_margin(self, leg: Leg) -> Decimal:
        """Maintenance margin of ``leg`` at the mark."""
        if not leg.quantity:
            return ZERO
        return tiers.maintenance(self.brackets, self.spec.money(abs(leg.quantity) * self.mark))

    def refresh(self) -> None:
        """Recompute margin and unrealised profit after a change of orders, position, leverage or mark."""
        self.exposed = self.exposure()
        self.initial_margin = self.margin_for(self.exposed)
        profit = ZERO
        for leg in self.legs.values():
            if leg.quantity:
                profit += leg.unrealized(self.spec, self.mark)
        self.unrealized = profit

    @property
    def has_position(self) -> bool:
        """Whether any leg is not flat."""
        return any(leg.quantity for leg in self.legs.values())
