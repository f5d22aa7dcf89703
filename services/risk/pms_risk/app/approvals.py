"""An order put to the rules, reserved for, and handed to the order service: the one way to a PlaceOrder.

Owns the sequence rules → split → reservation → client order ids → stream. Never waits and never asks the database.
Used by the handlers of commands and of algos' children.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from pms_common import ids
from pms_common.bus import Outbox
from pms_common.contracts.bus.base import Origin, Side, encode
from pms_common.contracts.bus.orders import OrderType, PlaceOrder, SymbolSpec, TimeInForce
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.decimals import ZERO
from pms_common.names import Names
from pms_risk.app.state import RiskState
from pms_risk.domain.account import Account
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.plan import Part, reserve_price, split
from pms_risk.domain.reserve import reserve
from pms_risk.domain.validator.registry import Verdict, validate
from pms_risk.domain.validator.trial import Trial, opposite_of


@dataclass(slots=True)
class Ask:
    """An order as somebody wants it. `client_order_id` is given by algos and closes, made here for commands; what
    has one is never two orders.

    `seed` names the orders of a request that makes several. `asked_ms` is the time of the request's entry; what closes
    at market has none, for nothing overtakes it. `lowers` says of an amendment that it asks for no more than before.
    `traceparent` is the context in which it is asked for.
    """

    account: Account
    spec: SymbolSpec
    side: Side
    quantity: Decimal
    leverage: Decimal
    order_type: OrderType
    price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    good_till_ms: int | None = None
    reduce_only: bool = False
    urgent: bool = False
    origin: Origin = "MANUAL"
    parent_id: str | None = None
    client_order_id: str = ""
    seed: str = ""
    request_id: str = ""
    command: str = ""
    answer: bool = False
    expires_at_ms: int | None = None
    asked_ms: int = 0
    lowers: bool = False
    lowest: Decimal | None = None
    highest: Decimal | None = None
    traceparent: str = ""


class Approved(NamedTuple):
    """One order that was sent, and whether it only closes."""

    order: LiveOrder
    closes: bool


class Approvals:
    """Approves orders."""

    def __init__(self, state: RiskState, outbox: Outbox, names: Names) -> None:
        self._state = state
        self._outbox = outbox
        self._requests = names.requests("orders")
        self._urgent = names.urgent("orders")

    def judge(self, ask: Ask, *, filters: bool = True) -> tuple[Verdict, Decimal]:
        """What the rules say, and the equity to reserve against: cash, and where its prices are fresh the unrealised
        profit that is not of other isolated positions.

        Without `filters` nobody asks whether the exchange takes an order of this size and price.
        """
        state, account, symbol = self._state, ask.account, ask.spec.symbol
        now_ms = state.now_ms()
        marks = state.prices.fresh_marks(now_ms)
        pnl, missing = account.pnl(marks)
        opposite = opposite_of(account, symbol, ask.side)
        if (
            opposite is not None
            and opposite.leg != "BOTH"
            and account.holding(symbol, opposite.leg).unreserved(ask.side) <= 0
        ):
            opposite = None  # others close it: this order leaves its profit where it is
        isolated_pnl = account.isolated_pnl(marks, opposite)
        trial = Trial(
            account=account,
            symbol=symbol,
            side=ask.side,
            quantity=ask.quantity,
            leverage=ask.leverage,
            price=ask.price,
            reduce_only=ask.reduce_only or ask.lowers,
            mark=marks(symbol),
            pnl=pnl if missing is None else None,
            isolated_pnl=isolated_pnl,
            marks=marks,
            brackets=state.brackets,
            spec=ask.spec if filters else None,
            state="active" if ask.origin == "LIQUIDATION" else state.trading_state(account.id, symbol),
            pool_room=state.pool.room,
            exchange_leverage=state.exchange_leverage(symbol),
            liquidating=ask.origin != "LIQUIDATION" and state.liquidating(account.id, symbol),
            symbol_frozen=symbol in state.reconciliation.frozen_symbols,
            venue_reduces=self.venue_reduces(ask),
            reduces=ask.reduce_only,
            now_ms=now_ms,
        )
        return validate(trial), account.cash + (pnl - isolated_pnl if missing is None else ZERO)

    def approve(self, ask: Ask) -> list[Approved]:
        """Send the order, in hedge mode as two where it closes and opens. Raises CommandError."""
        approved = self.prepare(ask)
        self.send(ask, approved)
        return approved

    def prepare(self, ask: Ask) -> list[Approved]:
        """Put the order to the rules and reserve for it; it is not sent yet. Raises CommandError."""
        equity = self.check(ask)
        parts = split(ask.account, self._state.mode, ask.spec.symbol, ask.side, ask.quantity, ask.reduce_only)
        if ask.client_order_id:
            del parts[1:]  # a name is one order: its algo asks for the rest when this one has ended
        bound = self.bound(ask)
        now_ms = self._state.now_ms()
        orders = [self._live(ask, part, child, bound, now_ms) for child, part in enumerate(parts)]
        reserve(ask.account, orders, equity, self._state.taker_fee)
        if _counts(ask):
            ask.account.activity.count_order(now_ms)
        approved = [Approved(order, part.closes) for order, part in zip(orders, parts, strict=True)]
        self._state.pool.spend(self._pool_margin(ask, approved, bound))
        return approved

    def give_up(self, ask: Ask, approved: list[Approved]) -> None:
        """Release what was prepared and is not sent."""
        self._state.pool.spend(-self._pool_margin(ask, approved, self.bound(ask)))
        for one in approved:
            ask.account.drop_order(one.order.client_order_id)
        if _counts(ask):
            ask.account.activity.uncount_order()

    def _pool_margin(self, ask: Ask, approved: list[Approved], bound: Decimal) -> Decimal:
        """What the exchange needs for what opens."""
        opened = sum([one.order.quantity for one in approved if not one.closes], ZERO)
        return opened * bound / self._state.exchange_leverage(ask.spec.symbol)

    def check(self, ask: Ask) -> Decimal:
        """Refuse what may not be, before anything is reserved; the equity to reserve against."""
        if not ask.reduce_only and not ask.lowers:
            self._state.require_capacity()
        self._refuse_overtaken(ask)
        verdict, equity = self.judge(ask)
        refuse(verdict)
        return equity

    def send(self, ask: Ask, approved: list[Approved]) -> None:
        """Hand on what was prepared."""
        alone = len(approved) == 1
        for one in approved:
            self._send(ask, one, alone)

    def _refuse_overtaken(self, ask: Ask) -> None:
        account_id, symbol, child = ask.account.id, ask.spec.symbol, ask.parent_id is not None
        if ask.asked_ms and self._state.barriers.stops(account_id, symbol, ask.asked_ms, child=child):
            raise CommandError(ErrorCode.CANCELLED_BEFORE_SEND)

    def venue_reduces(self, ask: Ask) -> bool:
        """Whether a market close too small for the exchange may go there as reduce-only, which has no minimum.

        Only where it is reduce-only there too: the pooled position is on the same side and at least as large.
        """
        if not ask.reduce_only or ask.price is not None or self._state.mode == "hedge":
            return False
        pooled = self._state.reconciliation.positions.get((ask.spec.symbol, "BOTH"), ZERO)
        mark = self._state.prices.mark(ask.spec.symbol)
        small = mark is None or ask.quantity * mark < ask.spec.min_notional
        return small and abs(pooled) >= ask.quantity and (pooled > 0) == (ask.side == "SELL")

    def bound(self, ask: Ask) -> Decimal:
        """Worst price for margin. What only closes needs no margin, so without a price its bound does not matter."""
        if ask.highest is not None:
            return ask.highest
        mark = self._state.prices.mark(ask.spec.symbol)
        if mark is None:
            return ask.price if ask.price is not None else ZERO
        return reserve_price(ask.side, ask.price, mark, ask.spec)

    def _live(self, ask: Ask, part: Part, child: int, bound: Decimal, now_ms: int) -> LiveOrder:
        kind = ids.ORDER_TYPES[ask.order_type]
        account_id = ask.account.id
        return LiveOrder(
            client_order_id=ask.client_order_id
            or ids.client_order_id(self._state.namespace, account_id, kind, ask.seed or ask.request_id, child),
            account_id=account_id,
            symbol=ask.spec.symbol,
            leg=part.leg,
            side=ask.side,
            order_type=ask.order_type,
            reduce_only=ask.reduce_only,
            quantity=part.quantity,
            price=ask.price,
            bound=bound,
            leverage=ask.leverage,
            origin=ask.origin,
            parent_id=ask.parent_id,
            approved_ms=now_ms,
        )

    def _send(self, ask: Ask, approved: Approved, alone: bool) -> None:
        order = approved.order
        cap = None
        if ask.highest is not None and ask.lowest is not None:
            cap = ask.highest if ask.side == "BUY" else ask.lowest
        # a person's limit order is amended through risk, so nothing caps it here
        capped = ask.highest is not None or ask.price is None
        placed = PlaceOrder(
            client_order_id=order.client_order_id,
            account_id=order.account_id,
            symbol=order.symbol,
            side=order.side,
            order_type=order.order_type,
            quantity=order.quantity,
            price=order.price,
            time_in_force=ask.time_in_force,
            good_till_ms=ask.good_till_ms,
            position_side=order.leg,
            reduce_only=ask.reduce_only,
            reduce_only_on_venue=self.venue_reduces(ask),
            self_trade_prevention="EXPIRE_MAKER" if approved.closes else "EXPIRE_TAKER",
            leverage=order.leverage,
            origin=order.origin,
            parent_id=order.parent_id,
            request_id=ask.request_id,
            command=ask.command,
            answer=ask.answer and alone,
            expires_at_ms=ask.expires_at_ms,
            price_cap=cap,
            notional_cap=order.quantity * order.bound if capped else None,
            approved_ms=order.approved_ms,
            asked_ms=ask.asked_ms,
            traceparent=ask.traceparent,
        )
        self._outbox.add(self._urgent if ask.urgent else self._requests, encode(placed))


def _counts(ask: Ask) -> bool:
    """Whether it is one of the account's orders a minute: those of closes are not limited."""
    return bool(ask.account.rules.max_orders_per_minute) and not ask.reduce_only


def refuse(verdict: Verdict) -> None:
    """Raise what a verdict refuses for: the first code, all sentences, every violation."""
    if verdict.errors:
        first = verdict.errors[0]
        sentence = "; ".join(error.message for error in verdict.errors)
        raise CommandError(ErrorCode[first.code], sentence, field=first.field, errors=verdict.errors)
