"""The books of the pool: all accounts, the house, and the executions booked so far.

Owns conservation: what an execution gives to accounts and house is exactly what it gave to the exchange's wallet, and
position quantities add up to what was executed. Pure and synchronous; every decision about time, ids and durability is
the caller's. Used by the application handlers and by the property tests.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import partial

from pms_common.contracts.bus.base import PositionSide
from pms_common.contracts.bus.orders import ExchangeAccount, Fill, OrderView
from pms_common.decimals import ZERO
from pms_risk.domain.account import SETTLEMENT_ASSET, Account
from pms_risk.domain.booking import Booking, Deal
from pms_risk.domain.execution import execute
from pms_risk.domain.fills import FillKey, FillMemory, Seen
from pms_risk.domain.holding import CLOSING
from pms_risk.domain.house import BAD_DEBT, CAPITAL, COMMISSION, EXTERNAL, HOUSE, House, netting
from pms_risk.domain.ledger import Cause, Entry
from pms_risk.domain.position import Position, closing_part

PositionId = Callable[[str, str, str], str]
"""(owner, leg, fill reference) → id of the position that the fill opens."""

ONE = Decimal(1)
UNSURE_MS = 60_000
"""How much older than the newest booked execution a missing one may be: executions of different symbols and orders
reach risk within seconds of each other, and Redis loses at most its last second."""


def fill_key(order: OrderView, fill: Fill) -> FillKey:
    """What makes an execution unique."""
    return order.symbol, fill.trade_id, order.exchange_order_id or 0


class Books:
    """Accounts and house; `fills` remembers what was booked, `owners` whose each open position of an account is."""

    def __init__(self, position_id: PositionId) -> None:
        self.accounts: dict[str, Account] = {}
        self.owners: dict[str, Account] = {}
        self.house = House()
        self.fills = FillMemory()
        self._position_id = position_id

    def take_position(self, account: Account, position: Position) -> None:
        """Give an account a position, as loaded or opened."""
        account.put_position(position)
        self.owners[position.id] = account

    def look(self, order: OrderView, fill: Fill) -> Seen:
        """Whether the execution was booked."""
        return self.fills.look(fill_key(order, fill), fill.trade_ms)

    def unsure_from_ms(self) -> int | None:
        """Executions traded since then may be missing from the books; None before the exchange was first looked at."""
        opened_ms = self.house.opened_ms
        return None if opened_ms is None else max(opened_ms, self.fills.newest_ms - UNSURE_MS)

    # -- executions

    def book(self, order: OrderView, fill: Fill) -> Booking:
        """Book one execution that was not booked before.

        It goes to the order's account; what no account can take (an unknown owner, or a reduce-only execution beyond
        the position) goes to the house's external book.
        """
        key = fill_key(order, fill)
        account = self.accounts.get(order.account_id)
        deal = Deal(
            "{}:{}:{}".format(*key), order.symbol, order.position_side, fill.price, order.leverage, fill.trade_ms
        )
        booking = Booking(deal.reference, account.id if account is not None else HOUSE, deal.leg)
        signed = fill.quantity if order.side == "BUY" else -fill.quantity
        own = _owned(account, order, signed) if account is not None else ZERO
        booking.excess = abs(signed - own) if account is not None else ZERO
        commission = self._charge_commission(booking, account, deal, fill)
        profit = self.move_account(booking, account, deal, own, commission) if account is not None else ZERO
        profit += self.move_house(booking, deal, signed - own)
        self.book_netting(booking, deal, fill.realized_pnl - profit)
        if account is not None:
            self.settle_debt(booking, account, deal)
        self.fills.remember(key, fill.trade_ms)
        return booking

    def _charge_commission(self, booking: Booking, account: Account | None, deal: Deal, fill: Fill) -> Decimal:
        """Charge the commission of an execution; what of it an account paid."""
        if not fill.commission:
            return ZERO
        if account is None or fill.commission_asset != SETTLEMENT_ASSET:
            book = COMMISSION if account is not None else EXTERNAL
            self.book_house(booking, deal, book, -fill.commission, "commission", fill.commission_asset)
            return ZERO
        _book_account(booking, deal, account, -fill.commission, "commission")
        return fill.commission

    # -- the parts of a deal

    def move_account(
        self, booking: Booking, account: Account, deal: Deal, signed: Decimal, commission: Decimal
    ) -> Decimal:
        """Apply a signed quantity to the account's position and credit what closing earned; the profit before
        commission."""
        if not signed:
            return ZERO
        holding = account.holding(deal.symbol, deal.leg)
        before = holding.position
        open_position = partial(self._open, account.id, deal)
        moved = execute(before, account.id, signed, deal.price, deal.leverage, commission, open_position)
        booking.steps += moved.steps
        if before is not None and moved.position is not before:
            account.remove_position(holding)
            del self.owners[before.id]
        if moved.position is not None:
            self.take_position(account, moved.position)
        else:
            account.refresh(deal.symbol, deal.leg)
        if moved.profit:
            _book_account(booking, deal, account, moved.profit, "realized_pnl")
        return moved.profit

    def move_house(self, booking: Booking, deal: Deal, signed: Decimal) -> Decimal:
        """Apply a signed quantity to the external book; the profit before commission."""
        if not signed:
            return ZERO
        key = (deal.symbol, deal.leg)
        positions = self.house.positions
        moved = execute(positions.get(key), HOUSE, signed, deal.price, ONE, ZERO, partial(self._open, HOUSE, deal))
        booking.steps += moved.steps
        if moved.position is not None:
            positions[key] = moved.position
        else:
            positions.pop(key, None)
        if moved.profit:
            self.book_house(booking, deal, EXTERNAL, moved.profit, "realized_pnl")
        return moved.profit

    def book_netting(self, booking: Booking, deal: Deal, difference: Decimal) -> None:
        """Book what the exchange has realised beyond the profit of the owners."""
        if difference:
            self.book_house(booking, deal, netting(deal.symbol), difference, "netting")

    def settle_debt(self, booking: Booking, account: Account, deal: Deal) -> None:
        """Where an account without a position owes, nothing can pay it any more: the house bears it, and says so."""
        if account.cash < 0 and not account.positions:
            debt = -account.cash
            _book_account(booking, deal, account, debt, "bad_debt")
            self.book_house(booking, deal, BAD_DEBT, -debt, "bad_debt")

    def book_house(
        self, booking: Booking, deal: Deal, book: str, amount: Decimal, cause: Cause, asset: str = SETTLEMENT_ASSET
    ) -> None:
        """Change the cash of a book of the house."""
        key = f"{deal.reference}:{cause}"
        booking.house_entries.append(
            self.house.book(book, amount, key=key, cause=cause, reference=deal.reference, at_ms=deal.at_ms, asset=asset)
        )

    def _open(self, owner: str, deal: Deal) -> Position:
        position_id = self._position_id(owner, deal.leg, deal.reference)
        return Position(position_id, deal.symbol, deal.leg, deal.leverage, deal.at_ms)

    # -- transfers and the first look at the exchange

    def transfer(self, account: Account, amount: Decimal, reference: str, at_ms: int) -> tuple[Entry, Entry]:
        """Move cash from the house's capital to an account (negative: back); the account's and the house's entry.

        `at_ms` is part of their key: a reference is unique for as long as its sender's requests are remembered, the
        ledger is kept for ever.
        """
        cause: Cause = "deposit" if amount > 0 else "withdrawal"
        key = f"{account.id}:{reference}:{cause}:{at_ms}"
        credit = account.book_cash(amount, key=key, cause=cause, reference=reference, at_ms=at_ms)
        debit = self.house.book(CAPITAL, -amount, key=key, cause=cause, reference=reference, at_ms=at_ms)
        return credit, debit

    def open_house(self, exchange: ExchangeAccount) -> tuple[list[Entry], list[Position]]:
        """Take the exchange account as it is found at the very first look: cash beyond what is booked becomes capital,
        positions beyond what is booked become external ones."""
        self.house.opened_ms = exchange.event_ms
        entries = []
        for balance in exchange.balances:
            found = balance.wallet - self.cash(balance.asset)
            if found:
                entries.append(
                    self.house.book(
                        CAPITAL,
                        found,
                        key=f"opening_wallet:{balance.asset}",
                        cause="opening_wallet",
                        reference="exchange",
                        at_ms=exchange.event_ms,
                        asset=balance.asset,
                    )
                )
        return entries, self._open_external(exchange)

    def _open_external(self, exchange: ExchangeAccount) -> list[Position]:
        booked = self.quantities()
        opened = []
        for found in exchange.positions:
            key = (found.symbol, found.position_side)
            rest = found.quantity - booked.get(key, ZERO)
            if not rest or key in self.house.positions:
                continue
            position_id = self._position_id(HOUSE, found.position_side, f"opening:{found.symbol}")
            position = Position(position_id, found.symbol, found.position_side, Decimal(1), exchange.event_ms)
            position.add(rest, found.entry_price, Decimal(1))
            self.house.positions[key] = position
            opened.append(position)
        return opened

    # -- sums

    def cash(self, asset: str) -> Decimal:
        """Cash of all accounts and the house in one asset."""
        own = sum((account.cash for account in self.accounts.values()), ZERO) if asset == SETTLEMENT_ASSET else ZERO
        return own + self.house.total(asset)

    def quantities(self) -> dict[tuple[str, PositionSide], Decimal]:
        """Σ signed position per (symbol, leg), accounts and house together."""
        sums: dict[tuple[str, PositionSide], Decimal] = {}
        positions = [position for account in self.accounts.values() for position in account.open_positions()]
        for position in (*positions, *self.house.positions.values()):
            key = (position.symbol, position.leg)
            sums[key] = sums.get(key, ZERO) + position.quantity
        return sums


def _owned(account: Account, order: OrderView, signed: Decimal) -> Decimal:
    """The part of an execution that is the account's: what only closes may not go beyond the position."""
    if order.reduce_only or order.side == CLOSING.get(order.position_side):
        return closing_part(account.holding(order.symbol, order.position_side).quantity, signed)
    return signed


def _book_account(booking: Booking, deal: Deal, account: Account, amount: Decimal, cause: Cause) -> None:
    key = f"{deal.reference}:{cause}"
    booking.account_entries.append(
        account.book_cash(amount, key=key, cause=cause, reference=deal.reference, at_ms=deal.at_ms)
    )
