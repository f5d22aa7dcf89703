"""The commands that trade: trade and limit; and validate, which only asks.

Owns how a command becomes an order: rounding down to the step, slippage bounds. Used by the command inlet.
"""

from decimal import Decimal

from pms_common.answers import Answers
from pms_common.contracts.bus.base import Side
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.commands.orders import Limit, Trade, Validate
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.results import ComputedValues, ValidateDone
from pms_common.inlet import Request, Taken
from pms_risk.app.approvals import Approvals, Approved, Ask
from pms_risk.app.first_prices import Decide, FirstPrices
from pms_risk.app.sizing import Sized, sized
from pms_risk.app.state import RiskState
from pms_risk.app.wait import FINAL_WAIT_MS, Outcome, Wait
from pms_risk.app.waits import Waits
from pms_risk.domain.plan import slippage_limit
from pms_risk.domain.snapshot import shown


class Trading:
    """Decides the trading commands."""

    def __init__(
        self,
        state: RiskState,
        approvals: Approvals,
        waits: Waits,
        first_prices: FirstPrices,
        answers: Answers,
    ) -> None:
        self._state = state
        self._approvals = approvals
        self._waits = waits
        self._first_prices = first_prices
        self._answers = answers

    # -- trade, limit, validate

    def trade(self, request: Request) -> Taken:
        """A market order; with a slippage bound an IOC order at it."""
        command = request.command
        assert isinstance(command, Trade)
        return self._decide(request, command.symbol, command.reduce_only, self._trade)

    def limit(self, request: Request) -> Taken:
        """A limit order."""
        command = request.command
        assert isinstance(command, Limit)
        return self._decide(request, command.symbol, command.reduce_only, self._limit)

    def validate(self, request: Request) -> Taken:
        """Everything a trade is checked for."""
        command = request.command
        assert isinstance(command, Validate)
        return self._decide(request, command.symbol, command.reduce_only, self._validate)

    def _trade(self, request: Request) -> None:
        command = request.command
        assert isinstance(command, Trade)
        ask, size = self._market(request, command)
        self._place(request, ask, size)

    def _limit(self, request: Request) -> None:
        command = request.command
        assert isinstance(command, Limit)
        spec = self._state.spec(command.symbol)
        size = sized(command.quantity, spec.step_size)
        ask = Ask(
            account=self._state.account(command.sub_account_id),
            spec=spec,
            side=command.side,
            quantity=size.quantity,
            leverage=Decimal(command.leverage),
            order_type="LIMIT",
            price=command.price,
            time_in_force="GTX" if command.post_only else command.time_in_force,
            good_till_ms=command.good_till_date_ms,
            reduce_only=command.reduce_only,
            urgent=command.reduce_only,
        )
        self._place(request, ask, size)

    def _market(self, request: Request, command: Trade) -> tuple[Ask, Sized]:
        spec = self._state.spec(command.symbol)
        size = sized(command.quantity, max(spec.step_size, spec.market_step_size))
        ask = Ask(
            account=self._state.account(command.sub_account_id),
            spec=spec,
            side=command.side,
            quantity=size.quantity,
            leverage=Decimal(command.leverage),
            order_type="MARKET",
            reduce_only=command.reduce_only,
            urgent=command.reduce_only,
            expires_at_ms=request.expires_at_ms,
        )
        if command.max_slippage_pct is not None:
            ask.order_type, ask.time_in_force = "LIMIT", "IOC"
            ask.price = self._slippage_limit(command.side, spec, command.max_slippage_pct)
        return ask, size

    def _slippage_limit(self, side: Side, spec: SymbolSpec, slippage_pct: Decimal) -> Decimal:
        quote = self._state.prices.quote(spec.symbol)
        if quote is None or not self._state.prices.fresh(spec.symbol, self._state.now_ms()):
            raise CommandError(ErrorCode.NO_PRICE, f"No fresh price for {spec.symbol} to bound slippage by")
        return slippage_limit(side, quote, slippage_pct, spec)

    def _validate(self, request: Request) -> None:
        command = request.command
        assert isinstance(command, Validate)
        ask, size = self._market(request, command)
        verdict, _ = self._approvals.judge(ask)
        computed = verdict.computed
        done = ValidateDone(
            request_id=request.request_id,
            warnings=(*request.warnings, *size.warnings) or None,
            valid=not verdict.errors,
            errors=verdict.errors,
            computed_values=ComputedValues(
                price=computed.price if computed else None,
                notional=computed.notional if computed else None,
                required_margin=shown(computed.required_margin) if computed else None,
                available_balance=shown(computed.available) if computed else None,
                current_exposure=shown(computed.exposure) if computed else None,
                equity=shown(computed.equity) if computed else None,
                maintenance_margin=shown(computed.maintenance) if computed else None,
            ),
        )
        self._answers.succeed(request.request_id, request.account_id, request.type, done, request.traceparent)

    # -- what all share

    def _decide(self, request: Request, symbol: str, reduce_only: bool, decide: Decide) -> Taken:
        """What only reduces waits for no price."""
        return self._first_prices.decide(request, () if reduce_only else (symbol,), decide)

    def _place(self, request: Request, ask: Ask, size: Sized) -> None:
        warnings = (*request.warnings, *size.warnings)
        ask.request_id, ask.command = request.request_id, request.type
        ask.expires_at_ms, ask.asked_ms = request.expires_at_ms, request.entry.ms
        ask.traceparent = request.traceparent
        flips = _flips(ask)
        ask.answer = request.wait_for == "ack" and not warnings and not flips
        approved = self._approvals.approve(ask)
        if ask.answer and len(approved) == 1:
            return
        self._waits.begin(self._wait(request, ask, approved, warnings, flips))

    def _wait(
        self, request: Request, ask: Ask, approved: list[Approved], warnings: tuple[str, ...], flips: bool
    ) -> Wait:
        return Wait(
            request_id=request.request_id,
            given_account=request.account_id,
            account_id=ask.account.id,
            command=request.type,
            until=request.wait_for,
            deadline_ms=self._state.now_ms() + FINAL_WAIT_MS,
            orders={one.order.client_order_id: Outcome() for one in approved},
            warnings=warnings,
            flipped=flips,
            traceparent=request.traceparent,
        )


def _flips(ask: Ask) -> bool:
    """Whether the order closes a position of its account and opens the other side."""
    if ask.reduce_only:
        return False
    side = ask.side
    own = ask.account.holding(ask.spec.symbol, "BOTH")
    leg = ask.account.holding(ask.spec.symbol, "SHORT" if side == "BUY" else "LONG")
    closable = own.closable(side) or leg.closable(side)
    return bool(closable) and ask.quantity > closable
