"""Closes under way: the one way in which a position is closed, by a command or by a liquidation.

Owns the sequence of invariant 4: other closers of the account give way (`giving_way`), what none of them may still fill
is sent at once, the rest as they end. An order that is proven never to have reached the exchange goes out again under
its next name; what the exchange does not take for its size goes to the house. A close is kept in a Redis hash with the
outputs that it made, so that a successor goes on with it. Used by the handlers that close (`begin`), the order feed
(`progress`) and the clock (`tend`).
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial

import msgspec

from pms_common import ids
from pms_common.bus import Outbox
from pms_common.contracts.bus.base import FINAL_STATES, PositionSide
from pms_common.contracts.bus.orders import OrderType, OrderUpdate
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.decimals import ZERO
from pms_common.logging import get_logger
from pms_common.names import Names
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.approvals import Approvals, Ask
from pms_risk.app.giving_way import GivingWay
from pms_risk.app.state import RiskState
from pms_risk.app.takeovers import Takeovers
from pms_risk.app.waits import Waits
from pms_risk.domain.account import Account
from pms_risk.domain.closing import Closing, Due, closing_side, cut, due, sendable
from pms_risk.domain.holding import Holding
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.position import Position

log = get_logger(__name__)

MAX_ATTEMPTS = 5
"""Orders of one close that may end without doing their work: each costs seconds, and something is wrong."""

Place = tuple[str, str, PositionSide]
"""Account, symbol and leg."""

_decode = msgspec.json.Decoder(Closing).decode
_encode = msgspec.json.Encoder().encode


class Closings:
    """All closes under way, by what they close."""

    def __init__(
        self,
        state: RiskState,
        approvals: Approvals,
        waits: Waits,
        takeovers: Takeovers,
        journal: Journal,
        outbox: Outbox,
        names: Names,
        key: str,
    ) -> None:
        self._state = state
        self._approvals = approvals
        self._waits = waits
        self._takeovers = takeovers
        self._journal = journal
        self._outbox = outbox
        self.way = GivingWay(state, outbox, names)
        self._key = key
        self._by_place: dict[Place, list[Closing]] = {}
        self._paused = False
        self._taking: set[str] = set()
        """Closes of which the house takes the rest, until the database has it."""
        self._kept: dict[str, bytes] = {}

    # -- beginning and asking

    def begin(self, closing: Closing) -> None:
        """Close. A liquidation takes over what other closes have not sent."""
        place = _place(closing)
        others = self._by_place.setdefault(place, [])
        if any(other.key == closing.key for other in others):
            return
        if closing.origin == "LIQUIDATION":
            for other in others:
                if other.origin != "LIQUIDATION":
                    other.unsent = ZERO
        others.append(closing)
        self._advance(place)

    def under_way(self, account_id: str, symbol: str, leg: PositionSide) -> Sequence[Closing]:
        """The closes of a position, the oldest first."""
        return self._by_place.get((account_id, symbol, leg), ())

    def promised(self, account: Account, holding: Holding) -> Decimal:
        """How much of a position is being closed already: by orders that do not rest, and by what is to follow them."""
        position = holding.position
        if position is None:
            return ZERO
        held = abs(position.quantity)
        total = sum((o.remaining for o in holding.side(closing_side(position)) if o.order_type == "MARKET"), ZERO)
        for closing in self.under_way(account.id, holding.symbol, holding.leg):
            if closing.price is None:
                total += closing.unsent if closing.unsent is not None else held
        return min(total, held)

    # -- what happens

    def progress(self, update: OrderUpdate) -> None:
        """An order has changed: somebody may have given way, or one of our own has ended."""
        view = update.order
        order_id, final = view.client_order_id, view.state in FINAL_STATES
        self.way.progress(update)
        place = (view.account_id, view.symbol, view.position_side)
        closings = self._by_place.get(place)
        if closings is None:
            return
        for closing in closings:
            if final and order_id in closing.awaited:
                closing.awaited.remove(order_id)
            if final and order_id in closing.orders:
                self._ended(closing, update)
        self._advance(place)

    def lost(self, order: LiveOrder) -> None:
        """An order is proven never to have reached the order service: if it is one of ours, it is sent anew."""
        place = (order.account_id, order.symbol, order.leg)
        for closing in self._by_place.get(place, ()):
            if order.client_order_id in closing.orders:
                closing.orders.remove(order.client_order_id)
                closing.spend(-order.quantity)
        if place in self._by_place:
            self._advance(place)

    def _ended(self, closing: Closing, update: OrderUpdate) -> None:
        """One of its own orders has ended. Proven absent it goes out again; one that was refused stops the close."""
        view = update.order
        if view.state == "filled":
            return
        closing.attempts += 1
        late = closing.expires_at_ms is not None and self._state.now_ms() > closing.expires_at_ms
        absent = view.state == "failed" and update.error_code == ErrorCode.EXPIRED_COMMAND.name and not late
        if closing.attempts > MAX_ATTEMPTS or (view.state in ("failed", "rejected") and not absent):
            closing.stop(update.error_code or ErrorCode.EXCHANGE_REJECTED.name, update.error or "")
        elif absent:
            closing.spend(-view.quantity)
            log.warning(
                "close_sent_anew",
                client_order_id=view.client_order_id,
                attempt=closing.attempts,
                traceparent=view.traceparent,
            )

    def tend(self) -> None:
        """Give up what has waited too long; look again at the others, because orders also end unheard."""
        now_ms = self._state.now_ms()
        self.way.tend()
        for place, closings in list(self._by_place.items()):
            for closing in closings:
                if closing.expires_at_ms is not None and now_ms > closing.expires_at_ms and closing.unsent != ZERO:
                    closing.awaited.clear()
                    closing.stop(ErrorCode.EXPIRED_COMMAND.name, "Not everything could be sent in time")
            self._advance(place)

    def restore(self, stored: Iterable[bytes | str]) -> None:
        """Know a predecessor's closes, before anything is heard of their orders. Nothing is done before `resume`."""
        self._paused = True
        for value in stored:
            closing = _decode(value)
            self._kept[closing.key] = _encode(closing)
            self._by_place.setdefault(_place(closing), []).append(closing)

    def resume(self) -> None:
        """Go on with them: the order service has told which orders live. Those that a close waits for are asked again:
        what the predecessor was answered is not known."""
        self._paused = False
        for place, closings in list(self._by_place.items()):
            account = self._state.books.accounts.get(place[0])
            awaited = {order_id for closing in closings for order_id in closing.awaited}
            for order in [account.orders[name] for name in awaited & account.orders.keys()] if account else ():
                self.way.cancel(order)
            self._advance(place)

    # -- going on

    def _advance(self, place: Place) -> None:
        """Do what can be done for the closes of a position, the oldest first."""
        account = self._state.books.accounts.get(place[0])
        for closing in list(self._by_place[place]):
            if self._paused:
                self._keep(closing)
            elif account is None or self._is_over(account, closing):
                self._end(closing)
            else:
                self._keep(closing)

    def _is_over(self, account: Account, closing: Closing) -> bool:
        """Do what can be done for one close; whether nothing is left to do."""
        holding = account.holding(closing.symbol, closing.leg)
        if closing.take_price is not None and closing.key not in self._taking:
            self._take_again(account, closing, holding.position)
        position = closing.target(holding)
        if position is not None and closing.key not in self._taking:
            self._go_on(account, closing, holding, position)
        if closing.key in self._taking or self._waits_for_orders(account, closing):
            return False
        return position is None or not due(closing, holding, position).wanted

    def _go_on(self, account: Account, closing: Closing, holding: Holding, position: Position) -> None:
        what = due(closing, holding, position)
        if not what.wanted:
            return
        self._make_way(closing, holding, what)
        if closing.takes:
            if what.now == what.wanted:
                self._take_at_mark(account, closing, position)
            return
        if self._send(account, closing, position, what) or what.now < what.wanted:
            return
        if closing.unsent != ZERO and not self._waits_for_orders(account, closing):
            self._leave_rest(account, closing, position, what.wanted)

    def _waits_for_orders(self, account: Account, closing: Closing) -> bool:
        """Whether orders have still to end, or, where only a quantity is to be sent, to have reached the exchange."""
        closing.orders = [order_id for order_id in closing.orders if order_id in account.orders]
        if closing.awaited:
            closing.awaited = [order_id for order_id in closing.awaited if order_id in account.orders]
        if closing.unsent is None:
            return bool(closing.awaited or closing.orders)
        views = [account.orders[order_id].view for order_id in closing.orders]
        return bool(closing.awaited) or any(view is None or view.exchange_order_id is None for view in views)

    def _make_way(self, closing: Closing, holding: Holding, what: Due) -> None:
        """Ask the other closers for what the close needs."""
        if what.now == what.wanted:
            return
        others = [order for order in holding.side(what.side) if order.client_order_id not in closing.orders]
        self.way.trim(others, closing.leave, closing.symbol)

    def _send(self, account: Account, closing: Closing, position: Position, what: Due) -> bool:
        """Send what may be sent now; whether anything was."""
        try:
            spec = self._state.spec(closing.symbol)
        except CommandError as error:  # the exchange lists it no more
            closing.stop(error.code.name, error.message)
            return False
        market = closing.price is None
        price = self._state.prices.mark(closing.symbol) if market else closing.price
        sent = False
        for quantity in cut(what.now, spec, market):
            ask = self._ask(account, closing, position, quantity)
            if not sendable(quantity, price, spec, market=market) and not self._approvals.venue_reduces(ask):
                break
            try:
                self._approvals.approve(ask)
            except CommandError as error:
                closing.stop(error.code.name, error.message)
                break
            closing.sent += 1
            if closing.child:
                closing.unsent = ZERO
                return True
            closing.orders.append(ask.client_order_id)
            closing.spend(quantity)
            self._waits.join(closing.wait, ask.client_order_id, closing.item, position)
            sent = True
        return sent

    def _ask(self, account: Account, closing: Closing, position: Position, quantity: Decimal) -> Ask:
        order_type: OrderType = "MARKET" if closing.price is None else "LIMIT"
        return Ask(
            account=account,
            spec=self._state.spec(closing.symbol),
            side=closing_side(position),
            quantity=quantity,
            leverage=position.leverage,
            order_type=order_type,
            price=closing.price,
            time_in_force=None if closing.price is None else "GTC",
            reduce_only=True,
            urgent=True,
            origin=closing.origin,
            parent_id=closing.parent_id,
            client_order_id=closing.child
            or ids.client_order_id(
                self._state.namespace, account.id, ids.ORDER_TYPES[order_type], closing.seed, closing.sent
            ),
            request_id=closing.request_id,
            command=closing.command,
            expires_at_ms=closing.expires_at_ms,
            asked_ms=closing.asked_ms,
            traceparent=closing.traceparent,
        )

    # -- what the exchange does not take

    def _leave_rest(self, account: Account, closing: Closing, position: Position, rest: Decimal) -> None:
        """What is left is too small for the exchange. The last of a position goes to the house, as soon as it has a
        price; a part of it stays, and so does what was to be closed at a price of its own."""
        if closing.price is not None or rest != abs(position.quantity):
            message = f"{rest} of {closing.symbol} is too small for the exchange"
            closing.stop(ErrorCode.EXCHANGE_MIN_NOTIONAL.name, message)
            return
        self._take_at_mark(account, closing, position)

    def _take_at_mark(self, account: Account, closing: Closing, position: Position) -> None:
        """The house takes the position as soon as it has a price."""
        closing.take_price = self._state.prices.fresh_mark(closing.symbol, self._state.now_ms())
        if closing.take_price is not None:
            closing.take_ms = self._state.now_ms()
            closing.take_position, closing.take_quantity = position.id, abs(position.quantity)
            self._take(account, closing, position)

    def _take_again(self, account: Account, closing: Closing, position: Position | None) -> None:
        """A predecessor has told a takeover: it is committed, or booked now as it was told, whatever is held by now."""
        if position is not None and position.id == closing.take_position:
            closing.take_quantity = min(closing.take_quantity, abs(position.quantity))
            self._take(account, closing, position)
            return
        self._tell_taken(closing)
        closing.unsent = ZERO

    def _take(self, account: Account, closing: Closing, position: Position) -> None:
        assert closing.take_price is not None
        self._taking.add(closing.key)
        taken, price = closing.take_quantity, closing.take_price
        closing.take_profit = self._takeovers.take(
            account, position, taken, price, closing.seed, closing.take_ms
        ).profit
        self._keep(closing)  # a successor takes the same at the same price, so that what is told is what is booked
        self._journal.then(partial(self._taken, closing), hurry=True)

    def _taken(self, closing: Closing) -> None:
        """The takeover is in the database."""
        self._taking.remove(closing.key)
        self._tell_taken(closing)
        closing.unsent = ZERO
        self._advance(_place(closing))

    def _tell_taken(self, closing: Closing) -> None:
        if closing.take_price is not None:
            self._waits.took(closing.wait, closing.item, closing.take_quantity, closing.take_price, closing.take_profit)
        closing.take_price = None

    # -- kept and forgotten

    def _keep(self, closing: Closing) -> None:
        value = _encode(closing)
        if self._kept.get(closing.key) != value:
            self._kept[closing.key] = value
            self._outbox.command("HSET", self._key, closing.key, value)

    def _end(self, closing: Closing) -> None:
        place = _place(closing)
        self._by_place[place].remove(closing)
        if not self._by_place[place]:
            del self._by_place[place]
        if self._kept.pop(closing.key, None) is not None:
            self._outbox.command("HDEL", self._key, closing.key)
        error = CommandError(ErrorCode[closing.error_code], closing.error) if closing.error_code else None
        self._waits.settle(closing.wait, closing.item, error)


def _place(closing: Closing) -> Place:
    return closing.account_id, closing.symbol, closing.leg
