"""Risk's journal: what changed, on its way to PostgreSQL.

Owns the order "publish, then commit": rows wait until everything that was put into the outbox before them is in Redis,
so whatever the database holds has been told, and a fill that the database knows need not be told again. All rows up to
a `then` are one transaction.
Never waits on the hot path. Used by the application handlers.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pms_common.bus import Outbox
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.exchange import CashFlow, ForeignOrder
from pms_common.contracts.bus.orders import Fill, OrderView
from pms_common.db import GroupCommit, Statement
from pms_common.decimals import ZERO
from pms_risk.adapters.postgres import statements as sql
from pms_risk.adapters.postgres.shared_writes import Made, SharedWrites
from pms_risk.domain.account import Account
from pms_risk.domain.administration import Terms, terms_of
from pms_risk.domain.booking import Booking
from pms_risk.domain.books import fill_key
from pms_risk.domain.forced import FORCED, foreign_key
from pms_risk.domain.house import HOUSE, POOL
from pms_risk.domain.ledger import Entry
from pms_risk.domain.liquidation.decision import Decision, Facts
from pms_risk.domain.position import Position


class Journal:
    """Typed rows for the group commit. Spawn `run`."""

    def __init__(self, commit: GroupCommit, outbox: Outbox, shared: SharedWrites | None = None) -> None:
        self._commit = commit
        self.has_room, self.on_room = commit.has_room, commit.on_room
        self._outbox = outbox
        self._shared = shared or SharedWrites()
        self._waiting: list[tuple[Statement, tuple[Any, ...]] | Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._since = 0.0
        self._hurried = False
        self._closing = False

    @property
    def lag_s(self) -> float:
        """Age of the oldest change that is not committed."""
        waiting = time.monotonic() - self._since if self._since else 0.0
        return max(waiting, self._commit.lag_seconds)

    def account(self, account: Account) -> None:
        """The account's row as it is now."""
        row = (account.id, account.name, account.status, account.cash, account.maintenance_rate)
        modes = (account.maintenance_mode, account.liquidation_mode, account.margin_mode)
        self._add(sql.ACCOUNT, (*row, *modes, account.created_ms, account.created_by))

    def enrol(self, account: Account, theirs: Terms | None = None) -> None:
        """An account that the JS application has from now on, or has made, with `theirs`; after its row and rules."""
        if self._shared.enrolment is not None:
            made_there = theirs is not None
            row = self._shared.enrolled(account, theirs or terms_of(account), made_there)
            self._add(self._shared.enrolment, row)

    def forget(self, account: Account) -> None:
        """An account that the JS application has no more."""
        self._add(sql.FORGOTTEN, (account.id,))

    def rules(self, account: Account) -> None:
        """The account's limits."""
        rules = account.rules
        row = (account.id, rules.max_leverage, rules.max_notional_per_trade, rules.max_total_exposure)
        symbols = ",".join(sorted(rules.allowed_symbols))
        activity = (rules.max_daily_loss, rules.max_orders_per_minute)
        self._add(sql.RULES, (*row, rules.liquidation_threshold, symbols, rules.max_open_orders, *activity))

    def position(self, position: Position, owner: str, at_ms: int, ended: str = "CLOSED") -> None:
        """A position as it is now; one without quantity is closed, `ended` says how."""
        row = (position.id, owner, position.symbol, position.leg, position.leverage, position.quantity, position.cost)
        end = (None, None) if position.quantity else (at_ms, ended)
        self._add(sql.POSITION, (*row, position.realized, position.isolated, position.opened_ms, *end))

    def positions_again(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Rows of positions as the database has them, before anything newer, for the tables that follow them."""
        for row in rows:
            self._add(sql.POSITION, row)

    def fill(self, order: OrderView, fill: Fill, booking: Booking, entry_id: str) -> None:
        """An execution with all that it changed; the account's own row is added by the caller."""
        row = (
            *fill_key(order, fill),
            booking.owner,
            order.client_order_id,
            order.side,
            booking.leg,
            fill.price,
            fill.quantity,
        )
        paid = (fill.commission, fill.commission_asset, fill.realized_pnl, booking.profit, booking.excess)
        self._add(sql.FILL, (*row, *paid, fill.trade_ms, entry_id))
        self._booking(booking, fill.trade_ms, Made.by_order(order, fill))

    def foreign_fill(self, told: ForeignOrder, fill: Fill, bookings: Sequence[Booking], entry_id: str) -> None:
        """An execution of an order that nobody here placed, with all that it changed but the accounts' own rows."""
        owner = POOL if told.kind in FORCED else HOUSE
        row = (*foreign_key(told, fill), owner, told.client_order_id, told.side, told.position_side)
        profit = sum((booking.profit for booking in bookings), ZERO)
        paid = (fill.commission, fill.commission_asset, fill.realized_pnl, profit, ZERO)
        self._add(sql.FILL, (*row, fill.price, fill.quantity, *paid, fill.trade_ms, entry_id))
        made = Made.by_others(told, fill)
        for booking in bookings:
            if owner == POOL:
                self._move(booking)
            self._booking(booking, fill.trade_ms, made)

    def booking(self, booking: Booking, at_ms: int) -> None:
        """What a takeover or a payment has changed, of which no row of its own tells, without the account's own row."""
        self._move(booking)
        self._booking(booking, at_ms, Made(booking.moves[0].price) if booking.moves else None)

    def flow(self, flow: CashFlow) -> None:
        """A line of the exchange's income list."""
        row = (flow.kind, flow.flow_id, flow.asset, flow.symbol, flow.amount, flow.info, flow.time_ms)
        self._add(sql.FLOW, row)

    def _move(self, booking: Booking) -> None:
        for move in booking.moves:
            what = (move.owner, move.symbol, move.leg, move.quantity, move.price, move.at_ms, move.liquidation)
            self._add(sql.MOVE, (booking.reference, *what))

    def _booking(self, booking: Booking, at_ms: int, made: Made | None) -> None:
        for step in booking.steps:
            self.position(step.position, step.owner, at_ms, made.ended if made is not None else "CLOSED")
        for position in booking.margined:
            if position.quantity:
                self.position(position, booking.owner, at_ms)
        for funding in booking.fundings:
            self._add(sql.FUNDING, (funding.symbol, funding.at_ms, funding.rate, funding.mark))
        if made is not None and self._shared.trade is not None and booking.owner != HOUSE:
            for row in self._shared.traded(booking, made, at_ms):
                self._add(self._shared.trade, row)
        for entry in booking.account_entries:
            self.ledger(entry)
        for entry in booking.house_entries:
            self.house(entry)

    def ledger(self, entry: Entry) -> None:
        """A change of an account's cash."""
        self._add(sql.LEDGER, _entry(entry))

    def house(self, entry: Entry) -> None:
        """A change of the house's cash."""
        self._add(sql.HOUSE_LEDGER, _entry(entry))

    def gate(self, account_id: str, symbol: str, state: str) -> None:
        """A trading state."""
        self._add(sql.GATE, (account_id, symbol, state))

    def liquidation(self, course_id: str, account_id: str, at_ms: int, decision: Decision, facts: Facts) -> None:
        """A decision to liquidate, with all it was made from."""
        told = (encode(decision).decode(), encode(facts).decode())
        self._add(sql.LIQUIDATION, (course_id, account_id, at_ms, decision.kind, *told))

    def cursors(self, reader: str, cursors: Mapping[str, str]) -> None:
        """Up to where streams are acknowledged. The last ones may be missing: what they cover is recognised."""
        if self._closing:
            return
        for stream, entry_id in cursors.items():
            self._add(sql.CURSOR, (reader, stream, entry_id))

    async def committed(self) -> None:
        """Return when all that was added before is committed."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.then(lambda: None if done.done() else done.set_result(None), hurry=True)
        await done

    def then(self, callback: Callable[[], None], *, hurry: bool = False) -> None:
        """Call `callback` when all that was added before is committed; `hurry` where somebody waits for it."""
        self._waiting.append(callback)
        self._hurried |= hurry
        self._wake.set()

    def _add(self, statement: Statement, row: tuple[Any, ...]) -> None:
        if not self._since:
            self._since = time.monotonic()
        self._waiting.append((statement, row))
        self._wake.set()

    async def run(self) -> None:
        """Pass on what is published, until cancelled."""
        while True:
            await self._wake.wait()
            await self._pass_on()

    async def _pass_on(self) -> None:
        self._wake.clear()
        waiting, self._waiting = self._waiting, []
        hurried, self._hurried = self._hurried, False
        since = self._since
        await self._outbox.flush(late=False)
        together: list[tuple[Statement, tuple[Any, ...]]] = []
        for item in waiting:
            if not callable(item):
                together.append(item)
                continue
            self._commit.add_together(together)
            self._commit.then(item)
            together = []
        if together:
            self._commit.add_together(together)
        if hurried:
            self._commit.hurry()
        if self._since == since:
            self._since = time.monotonic() if self._waiting else 0.0

    async def close(self) -> None:
        """Commit what waits."""
        self._closing = True
        while self._waiting:
            await self._pass_on()
        await self._commit.close()


def _entry(entry: Entry) -> tuple[Any, ...]:
    row = (entry.key, entry.holder, entry.asset, entry.cause, entry.amount, entry.before, entry.after)
    return (*row, entry.reference, entry.at_ms)
