"""The books of the pool: all accounts, the house, and the executions booked so far.

Owns conservation: what an execution gives to accounts and house is exactly what it gave to the exchange's wallet, and
position quantities add up to what was executed. Pure and synchronous; every decision about time, ids and durability is
the caller's. Used by the application handlers and by the property tests.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

import msgspec

from pms_common.contracts.base import MarginMode
from pms_common.contracts.bus.base import PositionSide
from pms_common.contracts.bus.orders import Fill, OrderView
from pms_common.decimals import ZERO
from pms_risk.domain.account import SETTLEMENT_ASSET, Account
from pms_risk.domain.booking import Booking, Deal
from pms_risk.domain.execution import execute
from pms_risk.domain.fees import FeeValue, at_rate
from pms_risk.domain.fills import FillKey, FillMemory, KeyMemory, Seen
from pms_risk.domain.first_look import Unseen, UnseenPayments
from pms_risk.domain.funding import Funding, Fundings
from pms_risk.domain.holding import CLOSING
from pms_risk.domain.house import BAD_DEBT, CAPITAL, COMMISSION, EXTERNAL, HOUSE, ROUNDING, House, netting
from pms_risk.domain.ledger import Cause, Entry
from pms_risk.domain.moves import Holder, Move, Moves
from pms_risk.domain.position import Position, closing_part

PositionId = Callable[[str, str, str], str]
"""(owner, leg, fill reference) → id of the position that the fill opens."""

ONE = Decimal(1)
MAX_CLOSED = 10_000
"""Ids of closed positions that are remembered, so that who closes one again learns that it was."""
UNSURE_MS = 60_000
"""How much older than the newest booked execution a missing one may be: executions of different symbols and orders
reach risk within seconds of each other, and Redis loses at most its last second."""


def fill_key(order: OrderView, fill: Fill) -> FillKey:
    """What makes an execution unique."""
    return order.symbol, fill.trade_id, order.exchange_order_id or 0


class Books:
    """Accounts and house. `fills` remembers what was booked, `owners` whose each open position of an account is,
    `closed` which positions were closed of late."""

    def __init__(self, position_id: PositionId, fee_value: FeeValue = at_rate) -> None:
        """`fee_value` tells what a commission in another asset is worth in the settlement asset."""
        self.fee_value = fee_value
        self.accounts: dict[str, Account] = {}
        self.owners: dict[str, Account] = {}
        self.closed: OrderedDict[str, None] = OrderedDict()
        self.house = House()
        self.fills = FillMemory()
        self.traded_ms: dict[str, int] = {}
        """The newest trade time among the booked executions, by symbol."""
        self.flows: KeyMemory[str] = KeyMemory()
        self.unseen = UnseenPayments()
        self.fundings = Fundings()
        self.moves = Moves()
        self.position_id = position_id

    def remember_closed(self, position_id: str) -> None:
        """A position has been closed."""
        self.closed[position_id] = None
        if len(self.closed) > MAX_CLOSED:
            self.closed.popitem(last=False)

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
            "{}:{}:{}".format(*key),
            order.symbol,
            order.position_side,
            fill.price,
            order.leverage,
            fill.trade_ms,
            releases=order.origin != "LIQUIDATION",
        )
        booking = Booking(deal.reference, account.id if account is not None else HOUSE, deal.leg)
        signed = fill.quantity if order.side == "BUY" else -fill.quantity
        own = _owned(account, order, signed) if account is not None else ZERO
        booking.excess = abs(signed - own) if account is not None else ZERO
        profit = ZERO
        if account is not None:
            booking.paid = self.commission_value(fill)
            self.charge(booking, deal, account, fill.commission, fill.commission_asset, booking.paid)
            profit = self.move_account(booking, account, deal, own, booking.paid)
        elif fill.commission:
            self.book_house(booking, deal, EXTERNAL, -fill.commission, "commission", fill.commission_asset)
        profit += self.move_house(booking, deal, signed - own)
        self.book_netting(booking, deal, fill.realized_pnl - profit)
        if account is not None:
            self.settle_debt(booking, account, deal)
        self.remember(key, fill.trade_ms)
        return booking

    def remember(self, key: FillKey, trade_ms: int) -> None:
        """The execution is booked."""
        self.fills.remember(key, trade_ms)
        self.traded_ms[key[0]] = max(trade_ms, self.traded_ms.get(key[0], 0))

    # -- the parts of a deal

    def commission_value(self, fill: Fill) -> Decimal:
        """What an account pays for the commission of an execution, in the settlement asset."""
        in_settlement_asset = not fill.commission or fill.commission_asset == SETTLEMENT_ASSET
        return fill.commission if in_settlement_asset else self.fee_value(fill)

    def charge(
        self, booking: Booking, deal: Deal, account: Account, commission: Decimal, asset: str, value: Decimal
    ) -> None:
        """Charge an account a commission; one in another asset by its value, which the house gets for paying it."""
        if not commission:
            return
        self.book_account(booking, deal, account, -value, "commission")
        if asset != SETTLEMENT_ASSET:
            self.book_house(booking, deal, COMMISSION, value, "commission")
            self.book_house(booking, deal, COMMISSION, -commission, "commission", asset)

    def move_account(
        self, booking: Booking, account: Account, deal: Deal, signed: Decimal, commission: Decimal
    ) -> Decimal:
        """Apply a signed quantity to the account's position and credit what closing earned; the profit before
        commission."""
        if not signed:
            return ZERO
        holding = account.holding(deal.symbol, deal.leg)
        before = holding.position
        mode: MarginMode = account.margin_mode if deal.isolates else "cross"
        open_position = partial(self._open, account.id, deal, mode)
        moved = execute(
            *(before, account.id, signed, deal.price, deal.leverage, commission, open_position), releases=deal.releases
        )
        booking.steps += moved.steps
        if before is not None and moved.position is not before:
            account.remove_position(holding)
            del self.owners[before.id]
            self.remember_closed(before.id)
        if moved.position is not None:
            self.take_position(account, moved.position)
        else:
            account.refresh(deal.symbol, deal.leg)
        if moved.profit:
            self.book_account(booking, deal, account, moved.profit, "realized_pnl")
        self._bear(booking, deal, account, moved.debt, "beyond_margin")
        self._note_move(booking, account.id, deal, signed)
        for funding in self.fundings.missed(deal.symbol, deal.at_ms):
            self._catch_up(booking, deal, funding, signed, account)
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
        self._note_move(booking, HOUSE, deal, signed)
        for funding in self.fundings.missed(deal.symbol, deal.at_ms):
            self._catch_up(booking, deal, funding, signed, None)
        return moved.profit

    def _note_move(self, booking: Booking, owner: str, deal: Deal, signed: Decimal) -> None:
        move = Move(owner, deal.symbol, deal.leg, signed, deal.price, deal.at_ms, deal.liquidation)
        self.moves.add(move)
        booking.moves.append(move)

    def _catch_up(
        self, booking: Booking, deal: Deal, funding: Funding, signed: Decimal, account: Account | None
    ) -> None:
        """Let a deal that is heard of after a settlement, and was made before it, have its part of it."""
        payment = funding.payment(signed)
        if not payment:
            return
        key = f"funding:{funding.at_ms}:{HOUSE if account is None else account.id}"
        if account is not None:
            self.pay_funding(booking, deal, account, payment, funding.at_ms, key)
        else:
            self.book_house(booking, deal, EXTERNAL, payment, "funding", key=key)
        self.book_house(booking, deal, ROUNDING, -payment, "funding", key=key)
        if self.fundings.book(funding):
            booking.fundings.append(funding)

    def pay_funding(
        self, booking: Booking, deal: Deal, account: Account, payment: Decimal, at_ms: int, key: str = ""
    ) -> None:
        """Book what a holder gets or pays at a settlement: of an isolated position, its margin does.

        Not that of one which was opened after it: who held at the instant has closed, and has its margin back.
        """
        self.book_account(booking, deal, account, payment, "funding", key)
        position = account.holding(deal.symbol, deal.leg).position
        if position is not None and position.isolated is not None and position.opened_ms <= at_ms:
            position.isolated += payment
            account.refresh(deal.symbol, deal.leg)
            booking.margined.append(position)

    def book_netting(self, booking: Booking, deal: Deal, difference: Decimal) -> None:
        """Book what the exchange has realised beyond the profit of the owners."""
        if difference:
            self.book_house(booking, deal, netting(deal.symbol), difference, "netting")

    def settle_debt(self, booking: Booking, account: Account, deal: Deal) -> None:
        """Where an account without a position owes, nothing can pay it any more: the house bears it, and says so."""
        if account.cash < 0 and not account.positions:
            self._bear(booking, deal, account, -account.cash)

    def _bear(self, booking: Booking, deal: Deal, account: Account, debt: Decimal, key: str = "") -> None:
        """The house pays what an account, or the margin of an isolated position, cannot."""
        if debt:
            self.book_account(booking, deal, account, debt, "bad_debt", key)
            self.book_house(booking, deal, BAD_DEBT, -debt, "bad_debt", key=key)

    def book_account(
        self, booking: Booking, deal: Deal, account: Account, amount: Decimal, cause: str, key: str = ""
    ) -> None:
        """Change an account's cash; `key` names the entry where a deal may make several of one cause."""
        key = f"{deal.reference}:{key or cause}"
        booking.account_entries.append(
            account.book_cash(amount, key=key, cause=cause, reference=deal.reference, at_ms=deal.at_ms)
        )

    def book_house(
        self,
        booking: Booking,
        deal: Deal,
        book: str,
        amount: Decimal,
        cause: str,
        asset: str = SETTLEMENT_ASSET,
        key: str = "",
    ) -> None:
        """Change the cash of a book of the house."""
        key = f"{deal.reference}:{key or cause}{'' if asset == SETTLEMENT_ASSET else f':{asset}'}"
        booking.house_entries.append(
            self.house.book(book, amount, key=key, cause=cause, reference=deal.reference, at_ms=deal.at_ms, asset=asset)
        )

    def _open(self, owner: str, deal: Deal, mode: MarginMode = "cross") -> Position:
        position_id = self.position_id(owner, deal.leg, deal.reference)
        isolated = ZERO if mode == "isolated" else None
        return Position(position_id, deal.symbol, deal.leg, deal.leverage, deal.at_ms, isolated=isolated)

    # -- cash that no deal moves

    def transfer(
        self, account: Account, amount: Decimal, reference: str, at_ms: int, cause: Cause | None = None
    ) -> tuple[Entry, Entry]:
        """Move cash from the house's capital to an account (negative: back); the account's and the house's entry.

        Without a cause it is a deposit or a withdrawal.

        `at_ms` is part of their key: a reference is unique for as long as its sender's requests are remembered, the
        ledger is kept for ever.
        """
        cause = cause or ("deposit" if amount > 0 else "withdrawal")
        key = f"{account.id}:{reference}:{cause}:{at_ms}"
        credit = account.book_cash(amount, key=key, cause=cause, reference=reference, at_ms=at_ms)
        debit = self.house.book(CAPITAL, -amount, key=key, cause=cause, reference=reference, at_ms=at_ms)
        return credit, debit

    def note_unseen(self, change: Unseen) -> Entry | None:
        """A payment after the first look, of which the income list may say that it was before it; the entry that keeps
        that in mind over a start, unless there is one."""
        if not self.unseen.add(change):
            return None
        return self.house.book(
            CAPITAL,
            ZERO,
            key=f"unseen:{change.at_ms}:{change.asset}:{change.symbol}:{change.change}",
            cause="unseen_payment",
            reference=msgspec.json.encode(change).decode(),
            at_ms=change.at_ms,
            asset=change.asset,
        )

    # -- sums

    def symbols(self) -> set[str]:
        """Where anybody holds a position."""
        held = {symbol for account in self.accounts.values() for symbol, _ in account.holdings}
        return held | {symbol for symbol, _ in self.house.positions}

    def holders(self, symbol: str, leg: PositionSide) -> dict[str, Decimal]:
        """Signed positions on a symbol and leg by owner, the house's with them."""
        found = {
            account.id: holding.quantity
            for account in self.accounts.values()
            if (holding := account.holdings.get((symbol, leg))) is not None and holding.position is not None
        }
        external = self.house.positions.get((symbol, leg))
        if external is not None:
            found[HOUSE] = external.quantity
        return found

    def held_at(self, symbol: str, at_ms: int, moved: Mapping[Holder, Decimal] | None = None) -> dict[Holder, Decimal]:
        """Signed positions on a symbol as of a moment, by owner and leg: as of now, less what moved after it.

        `moved` tells that where it is not remembered.
        """
        legs: tuple[PositionSide, ...] = ("BOTH", "LONG", "SHORT")
        held = {(name, leg): held for leg in legs for name, held in self.holders(symbol, leg).items()}
        for holder, quantity in (self.moves.after(symbol, at_ms) if moved is None else moved).items():
            held[holder] = held.get(holder, ZERO) - quantity
        return {holder: quantity for holder, quantity in held.items() if quantity}

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
