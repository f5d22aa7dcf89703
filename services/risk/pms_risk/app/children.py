"""Orders of algos: the same rules and reservation as everything else, then the order service or a refusal.

Owns the approved price range of a child: what the algo declared, or the first price ± 2 %. Within it the algo amends on
its own; what goes beyond is refused here, because an approval once given is not widened. What closes at market is a
close: other closers give way to it (`closings`). Owns, too, which names were refused: the algo may have gone on to
another name, so a late repeat must not place the order after all. Used by the bus (`risk:requests`).
"""

from collections import OrderedDict
from decimal import Decimal
from functools import partial

from pms_common import tracing
from pms_common.bus import Entry, Outbox, UpdatesWriter
from pms_common.contracts.bus.base import PositionSide, Side
from pms_common.contracts.bus.risk import ChildAmend, ChildOrder, ChildRefused, risk_work
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_risk.app.approvals import Approvals, Ask, refuse
from pms_risk.app.closings import Closings
from pms_risk.app.state import RiskState
from pms_risk.app.watching import Watching
from pms_risk.domain.account import Account
from pms_risk.domain.closing import Closing, leave_of

DEFAULT_RANGE = Decimal("0.02")
"""Range around the first price where an algo declared none (the design's)."""
MAX_REFUSED = 50_000
"""Names remembered as refused; an algo asks again within seconds."""
_ONE = Decimal(1)


class Children:
    """Decides what algos ask for."""

    def __init__(
        self,
        state: RiskState,
        approvals: Approvals,
        closings: Closings,
        watching: Watching,
        outbox: Outbox,
        updates: UpdatesWriter,
    ) -> None:
        self._state = state
        self._approvals = approvals
        self._closings = closings
        self._watching = watching
        self._outbox = outbox
        self._updates = updates
        self._refused: OrderedDict[str, tuple[ErrorCode, str]] = OrderedDict()

    def on_request(self, entry: Entry) -> None:
        """One entry of `risk:requests`."""
        work = risk_work.decode(entry.data)
        if isinstance(work, ChildAmend):
            message = "The price range of this order is fixed: cancel it and ask for a new one"
            self._refuse(work, CommandError(ErrorCode.APPROVAL_EXCEEDED, message))
            self._outbox.ack(entry)
        elif not self._waits_for_price(work, entry):
            self._decide(work, entry)

    def _waits_for_price(self, child: ChildOrder, entry: Entry) -> bool:
        if child.reduce_only or child.client_order_id in self._refused:
            return False
        try:
            return self._watching.wait_for_price(child.symbol, partial(self._decide, child, entry))
        except CommandError as error:
            self._remember(child.client_order_id, error)
            return False

    def _decide(self, child: ChildOrder, entry: Entry) -> None:
        self._outbox.ack(entry)
        context, refused = tracing.step(child.traceparent, "approve"), ""
        try:
            self._place(child, entry.ms, context)
        except CommandError as error:
            self._remember(child.client_order_id, error)
            self._refuse(child, error)
            refused = error.code.name
        if context:
            about = {"client_order_id": child.client_order_id, "account_id": child.account_id, "symbol": child.symbol}
            tracing.record("approve child", context, child.traceparent, entry.ms, error=refused, **about)

    def _remember(self, client_order_id: str, error: CommandError) -> None:
        self._refused[client_order_id] = (error.code, error.message)
        if len(self._refused) > MAX_REFUSED:
            self._refused.popitem(last=False)

    def _place(self, child: ChildOrder, asked_ms: int, context: str) -> None:
        if (refused := self._refused.get(child.client_order_id)) is not None:
            raise CommandError(*refused)
        account = self._state.account(child.account_id)
        if child.client_order_id in account.orders:
            return  # asked again after a restart of the algo: the order is on its way
        if child.expires_at_ms is not None and self._state.now_ms() > child.expires_at_ms:
            self._withdraw(account, child)
            raise CommandError(ErrorCode.EXPIRED_COMMAND)
        ask = self._ask(account, child, asked_ms)
        ask.traceparent = context
        if child.reduce_only and child.order_type == "MARKET":
            self._close(ask)
        else:
            self._approvals.approve(ask)

    def _ask(self, account: Account, child: ChildOrder, asked_ms: int) -> Ask:
        lowest, highest = child.lowest, child.highest
        if child.price is not None:
            lowest = lowest if lowest is not None else child.price * (_ONE - DEFAULT_RANGE)
            highest = highest if highest is not None else child.price * (_ONE + DEFAULT_RANGE)
        return Ask(
            account=account,
            spec=self._state.spec(child.symbol),
            side=child.side,
            quantity=child.quantity,
            leverage=child.leverage,
            order_type=child.order_type,
            price=child.price,
            time_in_force=child.time_in_force,
            reduce_only=child.reduce_only,
            origin=child.origin,
            parent_id=child.parent_id,
            client_order_id=child.client_order_id,
            expires_at_ms=child.expires_at_ms,
            asked_ms=asked_ms,
            lowest=lowest,
            highest=highest,
        )

    def _close(self, ask: Ask) -> None:
        """Close like the command does: a resting closer must not keep a stop from closing."""
        holding = ask.account.holding(ask.spec.symbol, self._leg(ask.side))
        position = holding.position
        whole = ask.quantity == holding.closable(ask.side)
        verdict, _ = self._approvals.judge(ask, filters=not whole)
        refuse(verdict)
        if position is None or not holding.closable(ask.side):
            raise CommandError(ErrorCode.REDUCE_ONLY_REJECTED, field="side")
        self._closings.begin(
            Closing(
                key=ask.client_order_id,
                account_id=ask.account.id,
                symbol=ask.spec.symbol,
                leg=position.leg,
                position_id=position.id,
                seed=ask.client_order_id,
                origin=ask.origin,
                child=ask.client_order_id,
                parent_id=ask.parent_id,
                unsent=ask.quantity,
                leave=leave_of(holding, ask.quantity, self._closings.promised(ask.account, holding)),
                expires_at_ms=ask.expires_at_ms,
                asked_ms=ask.asked_ms,
                traceparent=ask.traceparent,
            )
        )

    def _leg(self, side: Side) -> PositionSide:
        """The leg that an order of this side closes."""
        return "BOTH" if self._state.mode == "oneway" else "SHORT" if side == "BUY" else "LONG"

    def _withdraw(self, account: Account, child: ChildOrder) -> None:
        """An algo that asks for a close whose time is over wants it to be over."""
        for closing in self._closings.under_way(account.id, child.symbol, self._leg(child.side)):
            if closing.child == child.client_order_id:
                closing.stop(ErrorCode.EXPIRED_COMMAND.name, ErrorCode.EXPIRED_COMMAND.meaning)

    def _refuse(self, work: ChildOrder | ChildAmend, error: CommandError) -> None:
        self._updates.add(
            ChildRefused,
            client_order_id=work.client_order_id,
            account_id=work.account_id,
            parent_id=work.parent_id,
            amend=isinstance(work, ChildAmend),
            error_code=error.code.name,
            error=error.message,
        )
