"""One account's position and live orders on one symbol and leg, and the margin they may come to need together.

Owns reservations: worst case over all orders in which the live orders may be executed. In one-way mode executions of
both sides net, so the position stays between "all buys executed" and "all sells executed" and the larger need counts.
A position's margin is its notional over the *newest* leverage, so the lowest leverage among position and opening orders
is the worst. Never knows cash or limits. Used by `account`.
"""

from decimal import Decimal

from pms_common.contracts.bus.base import PositionSide, Side
from pms_common.decimals import ZERO
from pms_risk.domain.order_side import OrderSide
from pms_risk.domain.position import Position

CLOSING: dict[PositionSide, Side] = {"LONG": "SELL", "SHORT": "BUY"}
"""In hedge mode the leg fixes which side closes."""


class Holding:
    """Position and live orders of one account on (symbol, leg), with what they use and reserve."""

    __slots__ = (
        "buys",
        "isolated",
        "isolated_notional",
        "leg",
        "margin",
        "notional",
        "position",
        "reserved_margin",
        "reserved_notional",
        "sells",
        "symbol",
    )

    def __init__(self, symbol: str, leg: PositionSide) -> None:
        self.symbol = symbol
        self.leg = leg
        self.position: Position | None = None
        self.buys = OrderSide()
        self.sells = OrderSide()
        self.margin = ZERO
        """What the position uses."""
        self.notional = ZERO
        """Notional of the position at entry."""
        self.isolated = self.isolated_notional = ZERO
        """Both again where the position is isolated."""
        self.reserved_margin = ZERO
        """Beyond `margin`, what the live orders may come to need."""
        self.reserved_notional = ZERO
        """Notional that live orders may open, at their bounds, both sides together."""

    @property
    def quantity(self) -> Decimal:
        """Signed size of the position."""
        return self.position.quantity if self.position is not None else ZERO

    @property
    def empty(self) -> bool:
        """Neither a position nor an order."""
        return self.position is None and not self.buys and not self.sells

    def side(self, side: Side) -> OrderSide:
        """Live orders of one side."""
        return self.buys if side == "BUY" else self.sells

    def closable(self, side: Side) -> Decimal:
        """How much of the position orders of `side` close."""
        held = self.quantity
        return abs(held) if held and (held < 0) == (side == "BUY") else ZERO

    def unreserved(self, side: Side) -> Decimal:
        """Closing quantity that no live order of `side` claims."""
        return self.closable(side) - self.side(side).quantity

    def room(self, side: Side) -> Decimal | None:
        """How much more a plain order of `side` may have; None without a limit.

        Plain orders may pass through zero (a flip), unless a reduce-only order rests: then an execution of the plain
        one would take the position away under it.
        """
        if self.leg != "BOTH":
            return self.unreserved(side) if side == CLOSING[self.leg] else None
        if self.side(side).reduce_only and self.closable(side):
            return self.unreserved(side)
        return None

    def refresh(self) -> None:
        """Recompute after a change of the position or of a live order."""
        position = self.position
        self.notional = position.notional if position is not None else ZERO
        self.margin = position.margin if position is not None else ZERO
        isolates = position is not None and position.isolated is not None
        self.isolated, self.isolated_notional = (self.margin, self.notional) if isolates else (ZERO, ZERO)
        if not self.buys and not self.sells:
            self.reserved_margin = self.reserved_notional = ZERO
            return
        buys, buys_need = self._need("BUY")
        sells, sells_need = self._need("SELL")
        self.reserved_notional = buys + sells
        self.reserved_margin = max(buys_need, sells_need, self.margin) - self.margin

    def _need(self, side: Side) -> tuple[Decimal, Decimal]:
        """Notional that orders of `side` may open, and the margin of the whole position if they do."""
        orders = self.side(side)
        if not orders:
            return ZERO, ZERO
        closable = self.closable(side)
        opening = orders.opening_notional(closable)
        if not opening:
            return ZERO, ZERO
        if not closable and self.position is not None:
            if self.position.isolated is not None:  # each execution brings its own
                return opening, self.margin + opening / orders.leverage
            return opening, (self.notional + opening) / min(orders.leverage, self.position.leverage)
        return opening, opening / orders.leverage
