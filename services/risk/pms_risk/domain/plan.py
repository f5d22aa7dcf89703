"""How an approved order is cut into children, and at which worst price each is reserved.

Owns the split over legs in hedge mode, the reduce-only rule per account, and the bounds of market orders. Used by the
handlers that approve orders.
"""

from decimal import Decimal
from typing import Literal, NamedTuple

from pms_common.contracts.bus.base import PositionSide, Side
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.decimals import ZERO, passive_price
from pms_risk.domain.account import Account
from pms_risk.domain.holding import Holding
from pms_risk.domain.prices import Quote

PositionMode = Literal["oneway", "hedge"]
DEFAULT_MARKET_BOUND = Decimal("0.01")
"""How far from the mark a market order is reserved where the symbol has no bound of its own: ten times the depth that
the allowed order sizes usually take from the book of a liquid symbol."""
_ONE = Decimal(1)
_PERCENT = Decimal(100)


class Part(NamedTuple):
    """A child order: which leg it trades, and whether it only closes."""

    leg: PositionSide
    quantity: Decimal
    closes: bool


def split(
    account: Account, mode: PositionMode, symbol: str, side: Side, quantity: Decimal, reduce_only: bool
) -> list[Part]:
    """The children of an order. Raises CommandError where closing quantity would be claimed twice."""
    if mode == "hedge":
        return _split_over_legs(account, symbol, side, quantity, reduce_only)
    holding = account.holding(symbol, "BOTH")
    claim(holding, side, quantity, reduce_only)
    if reduce_only:
        return [Part("BOTH", quantity, True)]
    closes = holding.closable(side) >= quantity and bool(holding.position)
    return [Part("BOTH", quantity, closes)]


def _split_over_legs(account: Account, symbol: str, side: Side, quantity: Decimal, reduce_only: bool) -> list[Part]:
    held: PositionSide = "SHORT" if side == "BUY" else "LONG"
    own: PositionSide = "LONG" if side == "BUY" else "SHORT"
    holding = account.holding(symbol, held)
    if reduce_only:
        _claim(holding, side, quantity)
        return [Part(held, quantity, True)]
    closing = min(quantity, max(holding.unreserved(side), ZERO))
    parts = [Part(held, closing, True)] if closing else []
    if quantity > closing:
        parts.append(Part(own, quantity - closing, False))
    return parts


def claim(holding: Holding, side: Side, quantity: Decimal, reduce_only: bool) -> None:
    """Refuse an order on (symbol, leg) that would claim closing quantity which others have claimed."""
    if reduce_only:
        _claim(holding, side, quantity)
        return
    room = holding.room(side)
    if room is not None and quantity > room:
        raise CommandError(
            ErrorCode.RISK_REJECTED,
            f"Reduce-only orders claim the position: at most {max(room, ZERO)} more can be closed, cancel them first",
            field="quantity",
        )


def _claim(holding: Holding, side: Side, quantity: Decimal) -> None:
    free = holding.unreserved(side)
    if quantity <= free:
        return
    if free <= 0:
        raise CommandError(ErrorCode.REDUCE_ONLY_REJECTED, field="quantity")
    message = f"At most {free} is left to close: the rest is claimed by live orders, cancel them first"
    raise CommandError(ErrorCode.REDUCE_ONLY_REJECTED, message, field="quantity", details={"closable": float(free)})


def slippage_limit(side: Side, quote: Quote, slippage_pct: Decimal, spec: SymbolSpec) -> Decimal:
    """The worst price of an order that may slip so many percent from the touch, on the tick grid and not beyond."""
    share = slippage_pct / _PERCENT
    touch = quote.ask * (_ONE + share) if side == "BUY" else quote.bid * (_ONE - share)
    return passive_price(side, touch, spec.tick_size)


def reserve_price(side: Side, price: Decimal | None, mark: Decimal, spec: SymbolSpec) -> Decimal:
    """The highest price at which an order may be executed, for its margin.

    That is the limit price, for a seller the market where it pays more, and without a limit price the exchange's bound
    of market orders around the mark.
    """
    if price is None:
        return mark * (_ONE + (spec.market_take_bound or DEFAULT_MARKET_BOUND))
    return price if side == "BUY" else max(price, mark)
