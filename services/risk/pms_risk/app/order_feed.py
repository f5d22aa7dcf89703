"""What the order service tells of orders: fills are booked once, reservations follow, events and answers go out.

Owns the order of these steps, and when the entry may be acknowledged: at once, or for a fill when its journal rows are
committed. Everything else about it is idempotent, so a replay changes nothing. Used by `updates`.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import msgspec

from pms_common import tracing
from pms_common.bus import Entry, Outbox
from pms_common.contracts.account import AccountSnapshot
from pms_common.contracts.base import OrderState
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import OrderUpdate, OrderView
from pms_common.decimals import ZERO
from pms_common.logging import get_logger
from pms_common.metrics import counter
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.closings import Closings
from pms_risk.app.events import Events, occasion_of
from pms_risk.app.fee_values import FeeValues
from pms_risk.app.late import Doubt
from pms_risk.app.state import RiskState
from pms_risk.app.waits import Waits
from pms_risk.domain.account import Account
from pms_risk.domain.booking import Booking
from pms_risk.domain.books import fill_key
from pms_risk.domain.fills import FillKey, Seen
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.snapshot import snapshot

log = get_logger(__name__)

MAX_ENDED = 50_000
"""Orders remembered after their end, so that a late word of one does not reserve for it again."""
CHILD_RANGE = Decimal("1.02")
"""Where the highest price an algo declared is not known any more (after a restart): the default range."""

_fills = counter("risk_fills", "Executions by what became of them", ["outcome"])
_fills_of = {seen: _fills.labels(seen.name.lower()) for seen in Seen}
_beyond = counter("risk_fills_beyond_position", "Executions beyond the position of their account, booked to the house")
_unowned = counter("risk_fills_unowned", "Executions of no account, booked to the house")

Ask = Callable[[Doubt], None]
IsBooked = Callable[[FillKey], Awaitable[bool]]


@dataclass(slots=True)
class Ended:
    """An order after its end: whether the world was told that the exchange had it, and that it was filled."""

    placed: bool = False
    filled: bool = False


class OrderFeed:
    """Applies order updates."""

    def __init__(
        self,
        state: RiskState,
        outbox: Outbox,
        journal: Journal,
        events: Events,
        waits: Waits,
        closings: Closings,
        ask: Ask,
        is_booked: IsBooked,
        fees: FeeValues,
    ) -> None:
        self._state = state
        self._outbox = outbox
        self._journal = journal
        self._events = events
        self._waits = waits
        self._closings = closings
        self._ask = ask
        self._is_booked = is_booked
        self._fees = fees
        self._ended: OrderedDict[str, Ended] = OrderedDict()
        self.on_progress: Callable[[Account], None] = lambda _: None
        """Hears whose orders have changed, after everything has been applied."""

    def on_update(self, update: OrderUpdate, entry: Entry) -> None:
        """One update, new or again."""
        if update.fill is None:
            self._apply(update, None)
            self._outbox.ack(entry)
            return
        seen = self._state.books.look(update.order, update.fill)
        _fills_of[seen].inc()
        if seen is Seen.OLD:
            key = fill_key(update.order, update.fill)
            book, skip = partial(self.book, update, entry), partial(self.skip, update, entry)
            self._ask(Doubt(key, partial(self._is_booked, key), book, skip))
        elif seen is Seen.BOOKED:
            self.skip(update, entry)
        else:
            self.book(update, entry)

    def has_ended(self, client_order_id: str) -> bool:
        """Whether an order is remembered as ended."""
        return client_order_id in self._ended

    def end_unseen(self, order: LiveOrder) -> None:
        """An order that lives no more, and whose end was lost with its stream: every execution of it has come again."""
        assert order.view is not None
        state: OrderState = "cancelled" if order.remaining else "filled"
        view = msgspec.structs.replace(
            order.view, state=state, executed_quantity=order.executed, version=order.view.version + 1
        )
        ended = OrderUpdate(
            epoch=order.epoch,
            n=0,
            key=f"{order.client_order_id}:ended_unseen",
            cause="cancelled" if order.remaining else "fill",
            order=view,
            event_ms=self._state.now_ms(),
        )
        self._apply(ended, None)

    def skip(self, update: OrderUpdate, entry: Entry) -> None:
        """A fill that is in the books. Its events were published before it was committed."""
        account = self._state.books.accounts.get(update.order.account_id)
        if account is not None:
            self._follow(account, update)
            self._waits.progress(update, None)
            self._closings.progress(update)
            self.on_progress(account)
        # the first booking may still be on its way to the database
        self._journal.then(partial(self._outbox.ack, entry))

    def book(self, update: OrderUpdate, entry: Entry) -> None:
        """A fill that is in no book: book it, journal it, tell it, and acknowledge it after that."""
        fill, before = update.fill, update.order.traceparent
        assert fill is not None
        context = tracing.step(before, update.key)
        if context != before:
            order = msgspec.structs.replace(update.order, traceparent=context)
            update = msgspec.structs.replace(update, order=order)
        booking = self._state.books.book(update.order, fill)
        account = self._state.books.accounts.get(update.order.account_id)
        # before anything that the fill sets off: a takeover is never in the database without its fill
        self._journal.fill(update.order, fill, booking, entry.id)
        if account is not None:
            self._journal.account(account)
        self._apply(update, booking)
        self._fees.booked(fill)
        self._journal.then(partial(self._outbox.ack, entry))
        _alarm(update.order, booking)
        if context:
            about = {"client_order_id": update.order.client_order_id, "account_id": booking.owner}
            tracing.record("book fill", context, before, entry.ms, symbol=update.order.symbol, **about)

    def _apply(self, update: OrderUpdate, booking: Booking | None) -> None:
        view = update.order
        account = self._state.books.accounts.get(view.account_id)
        if account is None:
            if booking is None:
                log.warning(
                    "order_of_no_account",
                    client_order_id=view.client_order_id,
                    account_id=view.account_id,
                    traceparent=view.traceparent,
                )
            return
        known = account.orders.get(view.client_order_id) or self._ended.get(view.client_order_id)
        was_placed = known.placed if known is not None else False
        price = self._price(view, account.orders.get(view.client_order_id))
        order = self._follow(account, update)
        if update.cause == "snapshot":
            order.placed = was_placed or view.state != "placing"
        else:
            order.placed = self._tell_placed(update, price, was_placed)
            if isinstance(order, Ended) and update.cause == "fill":
                self._tell_filled(update, price, account, booking, order)
            else:
                self._tell(update, price, account, booking, was_placed)
        self._waits.progress(update, booking)
        self._closings.progress(update)
        self.on_progress(account)

    # -- reservations

    def _follow(self, account: Account, update: OrderUpdate) -> LiveOrder | Ended:
        """Bring the reservation in line with what the order may still do; the live order, or what is known of its end.

        An order that has ended stays so, whatever is told late.
        """
        view = update.order
        order_id = view.client_order_id
        ended = self._ended.get(order_id)
        if view.state in FINAL_STATES or ended is not None:
            account.drop_order(order_id)
            return ended or self._remember_end(order_id)
        live = account.orders.get(order_id)
        if live is None:
            live = self._adopted(view)
            account.put_order(live)
        elif live.view is not None and (update.epoch, view.version) < (live.epoch, live.view.version):
            return live
        bound = live.bound
        if view.price is not None and view.price != live.price:
            # an algo moves inside its approved range; a person's amend is reserved for anew
            bound = max(bound, view.price) if view.parent_id is not None else self._worst(view, view.price)
            live.price = view.price
        quantity = view.quantity
        if live.wished_quantity:
            if _amend_ended(live, update):
                live.wished_quantity = ZERO
                bound = self._worst(view, view.price) if view.price is not None else bound
            else:
                quantity, bound = max(quantity, live.wished_quantity), max(bound, live.wished_bound)
        live.view, live.epoch = view, update.epoch
        account.change_order(live, quantity=quantity, bound=bound, executed=view.executed_quantity)
        return live

    def _worst(self, view: OrderView, price: Decimal) -> Decimal:
        return price if view.side == "BUY" else max(price, self._mark(view))

    def _mark(self, view: OrderView) -> Decimal:
        mark = self._state.prices.mark(view.symbol)
        return mark if mark is not None else view.price or ZERO

    def _adopted(self, view: OrderView) -> LiveOrder:
        """A live order that was not approved in this process's life; what it was approved for is its bound again."""
        bound = self._worst(view, view.price) if view.price is not None else self._mark(view)
        if view.notional_cap is not None:
            bound = max(bound, view.notional_cap / view.quantity)
        elif view.parent_id is not None:
            bound = max(bound * CHILD_RANGE, view.price_cap or ZERO)
        return LiveOrder(
            client_order_id=view.client_order_id,
            account_id=view.account_id,
            symbol=view.symbol,
            leg=view.position_side,
            side=view.side,
            order_type=view.order_type,
            reduce_only=view.reduce_only,
            quantity=view.quantity,
            price=view.price,
            bound=bound,
            leverage=view.leverage,
            origin=view.origin,
            parent_id=view.parent_id,
            approved_ms=view.created_ms,
        )

    def _remember_end(self, order_id: str) -> Ended:
        ended = self._ended[order_id] = Ended()
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)
        return ended

    # -- telling

    def _price(self, view: OrderView, live: LiveOrder | None) -> Decimal:
        """Of a limit order its price, of a market order what it was executed at, before that the mark."""
        if view.price is not None:
            return view.price
        if view.average_price:
            return view.average_price
        if live is not None and live.price is not None:
            return live.price
        return self._mark(view)

    def _tell_placed(self, update: OrderUpdate, price: Decimal, was_placed: bool) -> bool:
        ended = update.cause in ("cancelled", "expired") and update.order.exchange_order_id is not None
        if was_placed or not (ended or update.cause in ("accepted", "active", "fill")):
            return was_placed
        self._events.placed(update, price)
        return True

    def _tell_filled(
        self, update: OrderUpdate, price: Decimal, account: Account, booking: Booking | None, ended: Ended
    ) -> None:
        """The end of an order that was filled is told once, with its last execution or without one; an execution that
        is heard of after it only moves positions."""
        shot = snapshot(account, self._state.prices.mark)
        complete = update.order.state == "filled"
        if not ended.filled and (complete or booking is not None):
            self._events.filled(update, price, shot)
            ended.filled = complete
        if booking is not None:
            self._tell_positions(update, account, booking, shot)

    def _tell(
        self, update: OrderUpdate, price: Decimal, account: Account, booking: Booking | None, was_placed: bool
    ) -> None:
        cause = update.cause
        if booking is not None:
            shot = snapshot(account, self._state.prices.mark)
            self._events.filled(update, price, shot)
            self._tell_positions(update, account, booking, shot)
        elif cause in ("active", "amended"):
            self._events.active(update, price)
        elif cause in ("rejected", "failed") and not was_placed:
            self._events.failed(update, price)
        elif cause in ("cancelled", "expired", "rejected", "failed"):
            self._events.cancelled(update, price, snapshot(account, self._state.prices.mark))

    def _tell_positions(self, update: OrderUpdate, account: Account, booking: Booking, shot: AccountSnapshot) -> None:
        assert update.fill is not None
        self._events.positions(occasion_of(update, update.fill, booking), booking, account, shot)


def _amend_ended(live: LiveOrder, update: OrderUpdate) -> bool:
    """Whether the newest amendment of an order was carried out or refused."""
    view = update.order
    holds = (view.quantity, view.price) == (live.wished_quantity, live.wished_price)
    return update.cause == "amend_failed" or (holds and view.state != "amending")


def _alarm(order: OrderView, booking: Booking) -> None:
    if booking.excess:
        _beyond.inc()
        log.error(
            "fill_beyond_position",
            client_order_id=order.client_order_id,
            excess=str(booking.excess),
            traceparent=order.traceparent,
        )
    if booking.owner != order.account_id:
        _unowned.inc()
        log.error(
            "fill_of_no_account",
            client_order_id=order.client_order_id,
            account_id=order.account_id,
            traceparent=order.traceparent,
        )
