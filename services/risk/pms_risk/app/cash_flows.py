"""Cash flows and fundings of the exchange account: each in the books once, and told to the accounts it concerns.

Owns the order book → journal → event → acknowledgement. Where each flow goes, `domain.cashflows` says. Used by
`updates`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial

from pms_common.bus import Entry, Outbox
from pms_common.contracts.bus.exchange import CashFlow, CashFlows, FundingRates
from pms_common.contracts.events.system import AccountUpdated
from pms_common.decimals import ZERO
from pms_common.logging import get_logger
from pms_common.metrics import counter
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.events import Events
from pms_risk.app.late import Doubt
from pms_risk.app.order_feed import Ask
from pms_risk.app.state import RiskState
from pms_risk.domain.booking import Booking
from pms_risk.domain.cashflows import book_flow, book_funding, flow_key
from pms_risk.domain.fills import Seen
from pms_risk.domain.funding import Funding
from pms_risk.domain.moves import Holder
from pms_risk.domain.snapshot import snapshot

log = get_logger(__name__)

IsFlowBooked = Callable[[CashFlow], Awaitable[bool]]
MovedBetween = Callable[[str, int, int], Awaitable[Mapping[Holder, Decimal]]]
"""What moved on a symbol by deals later than a moment, until another one, as it is committed."""
Paid = set[tuple[int, str]]
"""Instants of fundings, and who paid or got some then."""
Old = tuple[Funding, Paid]

_flows = counter("risk_cash_flows", "Cash flows of the exchange account that were booked, by income type", ["kind"])
_fundings = counter("risk_fundings", "Fundings that were settled with the holders of positions")


class CashBook:
    """Books what the order service tells of cash. Spawn `run`."""

    def __init__(
        self,
        state: RiskState,
        outbox: Outbox,
        journal: Journal,
        events: Events,
        ask: Ask,
        is_flow_booked: IsFlowBooked,
        moved_between: MovedBetween,
    ) -> None:
        self._state = state
        self._outbox = outbox
        self._journal = journal
        self._events = events
        self._ask = ask
        self._is_flow_booked = is_flow_booked
        self._moved_between = moved_between
        self.due: asyncio.Queue[Callable[[], Old | None]] = asyncio.Queue()  # bounded by the consumer's max_unacked
        """Fundings to be settled, and the acknowledgements of their entries."""

    def on_flows(self, told: CashFlows, entry: Entry) -> None:
        """Lines of the income list, new or again. What was paid before the first look is in that."""
        books, old = self._state.books, []
        acknowledge = partial(self._journal.then, partial(self._outbox.ack, entry))
        looked = [(flow, books.flows.look(flow_key(flow), flow.time_ms)) for flow in told.flows]
        missing = [(flow, seen) for flow, seen in looked if seen is not Seen.BOOKED]
        unseen = books.unseen.explain([flow for flow, _ in missing])
        for place, (flow, seen) in enumerate(missing):
            if place not in unseen and not self._counts(flow.time_ms):
                continue
            if seen is Seen.OLD:
                old.append(flow)
            else:
                self._book_flow(flow)
        for flow in old:
            doubt = Doubt(
                flow_key(flow), partial(self._is_flow_booked, flow), partial(self._book_flow, flow), lambda: None
            )
            self._ask(doubt)
        if old:
            self._ask(Doubt(entry.id, _true, acknowledge, acknowledge))
        else:
            acknowledge()

    def on_rates(self, told: FundingRates, entry: Entry) -> None:
        """Fundings, new or again. They are settled one by one beside what else is read: each may concern everybody. An
        account hears once of all that an entry tells of an instant."""
        held, paid = self._state.books.symbols(), Paid()
        for rate in told.rates:
            if self._counts(rate.time_ms):
                funding = Funding(rate.symbol, rate.rate, rate.mark, rate.time_ms)
                self.due.put_nowait(partial(self._settle, funding, rate.symbol in held, paid, entry.redelivered))
        self.due.put_nowait(partial(self._tell_paid, paid, entry))

    async def run(self) -> None:
        """Settle what is due, and let others in after each, until cancelled; it raises what keeps it from that."""
        while True:
            settle = await self.due.get()
            old = settle()
            if old is not None:
                await self._settle_old(*old)
            await asyncio.sleep(0)

    def _counts(self, at_ms: int) -> bool:
        opened_ms = self._state.books.house.opened_ms
        return opened_ms is not None and at_ms > opened_ms

    def _book_flow(self, flow: CashFlow) -> None:
        bookings = book_flow(self._state.books, flow)
        self._journal.flow(flow)
        self._keep(bookings, flow.time_ms)
        for booking in bookings:
            self._tell(booking.owner, booking.reference, flow.kind.lower(), flow.time_ms)
        _flows.labels(flow.kind).inc()
        log.info("cash_flow", kind=flow.kind, amount=str(flow.amount), asset=flow.asset, symbol=flow.symbol)

    def _settle(self, funding: Funding, is_held: bool, paid: Paid, again: bool) -> Old | None:
        """One funding; itself where the database has to say who held the symbol at its instant."""
        books = self._state.books
        if not books.fundings.settle(funding):
            if again:  # killed after its commit, who settled it may have told nobody
                paid.update((funding.at_ms, name) for name, _ in books.held_at(funding.symbol, funding.at_ms))
        elif books.moves.complete_from_ms > funding.at_ms:
            books.fundings.put_off(funding)
            return funding, paid
        elif is_held or books.moves.knows(funding.symbol):
            self._book_funding(funding, book_funding(books, funding), paid)
        return None

    async def _settle_old(self, funding: Funding, paid: Paid) -> None:
        """One of which not all later moves are remembered: the database tells the older ones, memory the newer half of
        its own. Only what is heard of late can have come between both answers: others go on trading."""
        books, symbol = self._state.books, funding.symbol
        while True:
            seen, from_ms = books.moves.added, books.moves.complete_from_ms
            until_ms = max(from_ms, (from_ms + self._state.now_ms()) // 2)
            await self._journal.committed()
            moved = dict(await self._moved_between(symbol, funding.at_ms, until_ms))
            if books.moves.complete_from_ms <= until_ms and not books.moves.came_late(symbol, until_ms, seen):
                break
        for holder, quantity in books.moves.after(symbol, until_ms).items():
            moved[holder] = moved.get(holder, ZERO) + quantity
        if books.fundings.settle(funding):
            log.warning("funding_settled_late", symbol=symbol, at_ms=funding.at_ms)
            self._book_funding(funding, book_funding(books, funding, moved), paid)

    def _book_funding(self, funding: Funding, bookings: Sequence[Booking], paid: Paid) -> None:
        self._keep(bookings, funding.at_ms)
        paid.update((funding.at_ms, booking.owner) for booking in bookings)
        if len(bookings) > 1:
            _fundings.inc()
            log.info("funding_settled", symbol=funding.symbol, rate=str(funding.rate), accounts=len(bookings) - 1)

    def _tell_paid(self, paid: Paid, entry: Entry) -> None:
        for at_ms, account_id in sorted(paid):
            self._tell(account_id, f"funding:{at_ms}:{entry.id}:{account_id}", "funding", at_ms)
        self._journal.then(partial(self._outbox.ack, entry))

    def _keep(self, bookings: Sequence[Booking], at_ms: int) -> None:
        for booking in bookings:
            self._journal.booking(booking, at_ms)
            account = self._state.books.accounts.get(booking.owner)
            if account is not None:
                self._journal.account(account)

    def _tell(self, account_id: str, reference: str, reason: str, at_ms: int) -> None:
        account = self._state.books.accounts.get(account_id)
        if account is None:
            return  # the house
        event = AccountUpdated(
            sub_account_id=account.id,
            timestamp_ms=at_ms,
            name=account.name,
            status=account.status,
            liquidation_mode=account.liquidation_mode,
            reason=reason,
            account=snapshot(account, self._state.prices.mark),
        )
        self._events.tell(f"{reference}:account_updated", event)


async def _true() -> bool:
    return True
