"""Executions on the exchange account of orders that nobody here placed: forced closes, and what others do there.

Owns that each is booked once, journalled, told to the accounts it concerns, and acknowledged after that. Whose it is,
`domain.forced` says. Used by `updates`.
"""

from functools import partial

from pms_common.bus import Entry, Outbox
from pms_common.contracts.bus.exchange import ForeignKind, ForeignOrder
from pms_common.contracts.bus.orders import Fill
from pms_common.logging import get_logger
from pms_common.metrics import counter
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.closings import Closings
from pms_risk.app.events import Events, Occasion
from pms_risk.app.fee_values import FeeValues
from pms_risk.app.late import Doubt
from pms_risk.app.order_feed import Ask, IsBooked
from pms_risk.app.state import RiskState
from pms_risk.domain.fills import Seen
from pms_risk.domain.forced import FORCED, book_foreign, foreign_key
from pms_risk.domain.snapshot import snapshot

log = get_logger(__name__)

REASON: dict[ForeignKind, str] = {
    "liquidation": "EXCHANGE_LIQUIDATION",
    "adl": "EXCHANGE_ADL",
    "settlement": "EXCHANGE_SETTLEMENT",
}
"""Of the position events of the accounts that a forced close concerns."""

_executions = counter("risk_foreign_executions", "Executions of orders that nobody here placed, by kind", ["kind"])


class ForeignFills:
    """Books what the order service tells of others."""

    def __init__(
        self,
        state: RiskState,
        outbox: Outbox,
        journal: Journal,
        events: Events,
        closings: Closings,
        ask: Ask,
        is_booked: IsBooked,
        fees: FeeValues,
    ) -> None:
        self._state = state
        self._outbox = outbox
        self._journal = journal
        self._events = events
        self._closings = closings
        self._ask = ask
        self._is_booked = is_booked
        self._fees = fees

    def on_foreign(self, told: ForeignOrder, entry: Entry) -> None:
        """One order, or one execution of it, new or again. What was executed before the first look is in that."""
        fill, opened_ms = told.fill, self._state.books.house.opened_ms
        if fill is None or opened_ms is None or fill.trade_ms <= opened_ms:
            self._outbox.ack(entry)
            return
        key = foreign_key(told, fill)
        seen = self._state.books.fills.look(key, fill.trade_ms)
        book, skip = partial(self._book, told, fill, entry), partial(self._skip, entry)
        if seen is Seen.OLD:
            self._ask(Doubt(key, partial(self._is_booked, key), book, skip))
        elif seen is Seen.BOOKED:
            skip()
        else:
            book()

    def _skip(self, entry: Entry) -> None:
        self._journal.then(partial(self._outbox.ack, entry))  # the first booking may be on its way to the database

    def _book(self, told: ForeignOrder, fill: Fill, entry: Entry) -> None:
        bookings = book_foreign(self._state.books, told, fill)
        self._journal.foreign_fill(told, fill, bookings, entry.id)
        for booking in bookings:
            account = self._state.books.accounts.get(booking.owner)
            if account is None:
                continue
            self._journal.account(account)
            self._closings.way.fit(account.id, told.symbol, booking.leg)
            occasion = Occasion(told.key, REASON[told.kind], fill.price, told.event_ms)
            shot = snapshot(account, self._state.prices.mark)
            self._events.positions(occasion, booking, account, shot)
        self._fees.booked(fill)
        self._journal.then(partial(self._outbox.ack, entry))
        _executions.labels(told.kind).inc()
        level = log.error if told.kind in FORCED else log.warning
        level(
            "foreign_execution",
            kind=told.kind,
            symbol=told.symbol,
            client_order_id=told.client_order_id,
            quantity=str(fill.quantity),
            accounts=len(bookings) - 1,
        )
