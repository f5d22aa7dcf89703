"""Executions of orders that nobody here placed: closes by the exchange itself, and what others do on the account.

Owns their attribution. A forced close (liquidation, ADL, settlement) of the pooled position is divided among all who
hold on the side that it closed, the house's external book included, in proportion to their positions and by largest
remainder to the step that it was told with, its commission, too; each realises by its own entry price. Anything else,
and what exceeds their positions, is the external book's. Pure. Used by the application's foreign orders.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pms_common.contracts.bus.exchange import ForeignKind, ForeignOrder
from pms_common.contracts.bus.orders import Fill
from pms_common.decimals import ZERO
from pms_risk.domain.booking import Booking, Deal
from pms_risk.domain.books import ONE, Books
from pms_risk.domain.fills import FillKey
from pms_risk.domain.house import EXTERNAL, HOUSE
from pms_risk.domain.position import WALLET_UNIT
from pms_risk.domain.shares import divide

FORCED: frozenset[ForeignKind] = frozenset({"liquidation", "adl", "settlement"})


def foreign_key(told: ForeignOrder, fill: Fill) -> FillKey:
    """What makes an execution of a foreign order unique."""
    return told.symbol, fill.trade_id, told.exchange_order_id


def book_foreign(books: Books, told: ForeignOrder, fill: Fill) -> list[Booking]:
    """Book one execution that was not booked before: the accounts' parts, and last the house's."""
    assert told.side is not None  # an execution is told with its side
    key = foreign_key(told, fill)
    reference = "{}:{}:{}".format(*key)
    signed = fill.quantity if told.side == "BUY" else -fill.quantity
    parts: Mapping[str, Decimal] = {}
    if told.kind in FORCED:
        parts = _parts(books, told, signed)
    rest = signed - sum(parts.values(), ZERO)
    if rest:
        parts = {**parts, HOUSE: parts.get(HOUSE, ZERO) + rest}
    sizes = {name: abs(part) for name, part in parts.items()}
    commissions = divide(fill.commission, sizes, WALLET_UNIT)
    values = divide(books.commission_value(fill), sizes, WALLET_UNIT)
    profit = ZERO
    bookings = []
    house = Booking(reference, HOUSE, told.position_side)
    deal = _deal(told, fill, reference)
    for name, part in parts.items():
        if name == HOUSE:
            if paid := commissions.get(HOUSE):
                books.book_house(house, deal, EXTERNAL, -paid, "commission", fill.commission_asset)
            profit += books.move_house(house, deal, part)
            continue
        account = books.accounts[name]
        own = _deal(told, fill, f"{reference}:{name}")
        booking = Booking(own.reference, name, told.position_side)
        booking.paid = values.get(name, ZERO)
        books.charge(booking, own, account, commissions.get(name, ZERO), fill.commission_asset, booking.paid)
        profit += books.move_account(booking, account, own, part, booking.paid)
        books.settle_debt(booking, account, own)
        bookings.append(booking)
    books.book_netting(house, deal, fill.realized_pnl - profit)
    books.remember(key, fill.trade_ms)
    return [*bookings, house]


def _deal(told: ForeignOrder, fill: Fill, reference: str) -> Deal:
    liquidation = told.kind == "liquidation"
    return Deal(reference, told.symbol, told.position_side, fill.price, ONE, fill.trade_ms, liquidation)


def _parts(books: Books, told: ForeignOrder, signed: Decimal) -> dict[str, Decimal]:
    """Signed quantities by holder on the closed side; never more than a holder has, because all are whole units."""
    held = {
        name: abs(quantity)
        for name, quantity in books.holders(told.symbol, told.position_side).items()
        if (quantity > 0) == (signed < 0)
    }
    closing = min(abs(signed), sum(held.values(), ZERO))
    parts = divide(closing, held, _unit(told.step_size, [closing, *held.values()]))
    return {name: part.copy_sign(signed) for name, part in parts.items()}


def _unit(step: Decimal | None, quantities: Sequence[Decimal]) -> Decimal:
    """The step where all quantities are multiples of it, else the last digit that any of them has."""
    if step is not None and not any(quantity % step for quantity in quantities):
        return step
    return Decimal((0, (1,), min(int(quantity.as_tuple().exponent) for quantity in quantities)))
