"""Several orders by one command: scale (resting orders, each for itself) and basket (market orders, all or none).

Owns what is checked together and what is told of each. Used by the command inlet.
"""

from decimal import Decimal

from pms_common.contracts.base import PositionSide
from pms_common.contracts.bus.base import Side
from pms_common.contracts.commands.orders import Basket, BasketLeg, Scale, ScaleLevel
from pms_common.contracts.errors import CommandError, ErrorCode, FieldError
from pms_common.inlet import Request, Taken
from pms_risk.app.approvals import Approvals, Approved, Ask
from pms_risk.app.first_prices import FirstPrices
from pms_risk.app.sizing import Sized, sized
from pms_risk.app.state import RiskState
from pms_risk.app.wait import FINAL_WAIT_MS, Item, Outcome, Wait
from pms_risk.app.waits import Waits
from pms_risk.domain.account import Account

_LEG_CODES = {
    ErrorCode.MAX_LEVERAGE_EXCEEDED.name: ErrorCode.MAX_LEVERAGE,
    ErrorCode.MAX_NOTIONAL_EXCEEDED.name: ErrorCode.MAX_NOTIONAL,
}
"""Of a basket leg, as the browser knows them (reference of the algos, 1.8)."""


class Sets:
    """Decides scale and basket."""

    def __init__(self, state: RiskState, approvals: Approvals, waits: Waits, first_prices: FirstPrices) -> None:
        self._state = state
        self._approvals = approvals
        self._waits = waits
        self._first_prices = first_prices

    # -- scale

    def scale(self, request: Request) -> Taken:
        """2 to 30 limit orders; each that is refused fails alone."""
        command = request.command
        assert isinstance(command, Scale)
        return self._first_prices.decide(request, (command.symbol,), self._scale)

    def _scale(self, request: Request) -> None:
        command = request.command
        assert isinstance(command, Scale)
        account = self._state.account(command.sub_account_id)
        wait = self._wait(request, account)
        errors: list[FieldError] = []
        for number, level in enumerate(command.orders):
            item = wait.items[str(number)] = Item(
                symbol=command.symbol, side=_leg_side(command.side), price=level.price, quantity=level.quantity
            )
            try:
                sent = self._approvals.approve(self._level(request, command, account, number, level))
            except CommandError as error:
                item.error_code, item.error = error.code.name, error.message
                errors += error.errors
            else:
                wait.orders |= {one.order.client_order_id: Outcome(item=str(number)) for one in sent}
        if not wait.orders:
            first = errors[0]
            raise CommandError(ErrorCode[first.code], first.message, errors=tuple(dict.fromkeys(errors)))
        self._waits.begin(wait)

    def _level(self, request: Request, command: Scale, account: Account, number: int, level: ScaleLevel) -> Ask:
        spec = self._state.spec(command.symbol)
        return Ask(
            account=account,
            spec=spec,
            side=command.side,
            quantity=sized(level.quantity, spec.step_size).quantity,
            leverage=Decimal(command.leverage),
            order_type="LIMIT",
            price=level.price,
            time_in_force="GTC",
            origin="SCALE",
            seed=f"{request.request_id}\x1f{number}",
            request_id=request.request_id,
            command=request.type,
            expires_at_ms=request.expires_at_ms,
            asked_ms=request.entry.ms,
            traceparent=request.traceparent,
        )

    # -- basket

    def basket(self, request: Request) -> Taken:
        """Market orders that are checked as one: all legs or none are sent."""
        command = request.command
        assert isinstance(command, Basket)
        if self._waits.any_of(command.sub_account_id or "", "basket"):
            raise CommandError(ErrorCode.BASKET_RUNNING)
        return self._first_prices.decide(request, [leg.symbol for leg in command.legs], self._basket)

    def _basket(self, request: Request) -> None:
        command = request.command
        assert isinstance(command, Basket)
        account = self._state.account(command.sub_account_id)
        wait = self._wait(request, account)
        wait.label = command.basket_name
        prepared: list[tuple[Ask, list[Approved]]] = []
        errors: list[FieldError] = []
        for number, leg in enumerate(command.legs):
            try:
                ask, size = self._leg(request, account, number, leg)
                prepared.append((ask, self._approvals.prepare(ask)))
            except CommandError as error:
                errors += [_of_leg(number, found) for found in error.errors]
                continue
            wait.items[str(number)] = Item(symbol=leg.symbol, side=_leg_side(leg.side), quantity=size.quantity)
            wait.warnings = (*wait.warnings, *size.warnings)
        if errors:
            for ask, approved in prepared:
                self._approvals.give_up(ask, approved)
            sentence = "; ".join(error.message for error in errors)
            raise CommandError(ErrorCode[errors[0].code], sentence, errors=tuple(errors))
        for number, (ask, approved) in enumerate(prepared):
            self._approvals.send(ask, approved)
            wait.orders |= {one.order.client_order_id: Outcome(item=str(number)) for one in approved}
        self._waits.begin(wait)

    def _leg(self, request: Request, account: Account, number: int, leg: BasketLeg) -> tuple[Ask, Sized]:
        spec = self._state.spec(leg.symbol)
        size = sized(leg.quantity, max(spec.step_size, spec.market_step_size))
        ask = Ask(
            account=account,
            spec=spec,
            side=leg.side,
            quantity=size.quantity,
            leverage=Decimal(leg.leverage),
            order_type="MARKET",
            origin="BASKET",
            seed=f"{request.request_id}\x1f{number}",
            request_id=request.request_id,
            command=request.type,
            expires_at_ms=request.expires_at_ms,
            asked_ms=request.entry.ms,
            traceparent=request.traceparent,
        )
        return ask, size

    def _wait(self, request: Request, account: Account) -> Wait:
        return Wait(
            request_id=request.request_id,
            given_account=request.account_id,
            account_id=account.id,
            command=request.type,
            until=request.wait_for,
            deadline_ms=self._state.now_ms() + FINAL_WAIT_MS,
            warnings=request.warnings,
            traceparent=request.traceparent,
        )


def _leg_side(side: Side) -> PositionSide:
    return "LONG" if side == "BUY" else "SHORT"


def _of_leg(number: int, error: FieldError) -> FieldError:
    """The violation as one of a basket's leg."""
    code = _LEG_CODES.get(error.code)
    field = f"legs[{number}].{error.field}" if error.field else f"legs[{number}]"
    return FieldError(code=code.name if code is not None else error.code, message=error.message, field=field)
