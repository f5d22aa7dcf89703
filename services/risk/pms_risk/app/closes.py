"""The commands that close positions: close, limit_close, close_all.

Owns whose position is meant, how much of it, and what the answer waits for. How it is closed: `closings`. Used by the
command inlet.
"""

from decimal import Decimal
from typing import Any

from pms_common.answers import Answers
from pms_common.contracts.bus.base import PositionSide
from pms_common.contracts.commands.admin import Account as AccountCommand
from pms_common.contracts.commands.base import CLOSING_LIFE_MS
from pms_common.contracts.commands.positions import Close, CloseAll, LimitClose
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.results import CloseAllDone
from pms_common.inlet import Request, Taken
from pms_risk.app.approvals import Approvals, Ask, refuse
from pms_risk.app.clearing import Clearing
from pms_risk.app.closings import Closings
from pms_risk.app.sizing import Sized, sized
from pms_risk.app.state import RiskState
from pms_risk.app.wait import FINAL_WAIT_MS, Item, Outcome, Wait
from pms_risk.app.waits import Waits
from pms_risk.domain.account import Account
from pms_risk.domain.closing import Closing, closing_side, leave_of
from pms_risk.domain.holding import Holding
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.position import Position


class Closes:
    """Decides the closing commands."""

    def __init__(
        self,
        state: RiskState,
        approvals: Approvals,
        waits: Waits,
        closings: Closings,
        clearing: Clearing,
        answers: Answers,
    ) -> None:
        self._state = state
        self._approvals = approvals
        self._waits = waits
        self._closings = closings
        self._clearing = clearing
        self._answers = answers

    def close(self, request: Request) -> Taken:
        """Close a position at market, in whole or in part."""
        command = request.command
        assert isinstance(command, Close)
        account, position = self._position(command.position_id, command.sub_account_id)
        size = self._size(command, position)
        whole = size.quantity == abs(position.quantity)
        self._check(account, position, size.quantity, None, whole=whole)
        self._begin(request, account, position, size)
        return Taken.NOW

    def limit_close(self, request: Request) -> Taken:
        """Close a whole position with a resting order."""
        command = request.command
        assert isinstance(command, LimitClose)
        account, position = self._position(command.position_id, command.sub_account_id)
        size = Sized(abs(position.quantity))
        self._check(account, position, size.quantity, command.price, whole=False)
        self._begin(request, account, position, size, command.price)
        return Taken.NOW

    def take_over(self, request: Request) -> Taken:
        """Have the house take a position over at the mark, once no order of its account can close it any more."""
        command = request.command
        assert isinstance(command, AccountCommand)
        account, position = self._position(command.position_id or "", command.sub_account_id)
        self._begin(request, account, position, Sized(abs(position.quantity)), takes=True)
        return Taken.NOW

    def _position(self, position_id: str, given_account: str | None) -> tuple[Account, Position]:
        account = self._state.books.owners.get(position_id)
        position = account.position(position_id) if account is not None else None
        if position_id in self._state.books.closed:
            raise CommandError(ErrorCode.POSITION_CLOSED, field="positionId")
        if account is None or position is None:
            raise CommandError(ErrorCode.POSITION_NOT_FOUND, f"No open position {position_id}", field="positionId")
        if given_account and given_account != account.id:
            raise CommandError(ErrorCode.OWNERSHIP_FORBIDDEN, field="positionId")
        return account, position

    def _size(self, command: Close, position: Position) -> Sized:
        held = abs(position.quantity)
        wanted = held * command.fraction if command.fraction is not None else command.quantity
        if wanted is None or wanted == held:
            return Sized(held)
        if wanted > held:
            message = f"The position is {held}, {wanted} cannot be closed"
            raise CommandError(ErrorCode.VALIDATION_FAILED, message, field="quantity")
        spec = self._state.spec(position.symbol)
        return sized(wanted, max(spec.step_size, spec.market_step_size))

    def _check(
        self, account: Account, position: Position, quantity: Decimal, price: Decimal | None, *, whole: bool
    ) -> None:
        """Refuse what may not be closed now, or not in this size; a whole position is never too small to close."""
        ask = Ask(
            account=account,
            spec=self._state.spec(position.symbol),
            side=closing_side(position),
            quantity=quantity,
            leverage=position.leverage,
            order_type="MARKET" if price is None else "LIMIT",
            price=price,
            reduce_only=True,
        )
        verdict, _ = self._approvals.judge(ask, filters=not whole)
        refuse(verdict)

    def _begin(
        self,
        request: Request,
        account: Account,
        position: Position,
        size: Sized,
        price: Decimal | None = None,
        *,
        takes: bool = False,
    ) -> None:
        wait = Wait(
            request_id=request.request_id,
            given_account=request.account_id,
            account_id=account.id,
            command=request.type,
            until=request.wait_for,
            deadline_ms=self._state.now_ms() + FINAL_WAIT_MS,
            items={position.id: Item(symbol=position.symbol, side=position.side, position_id=position.id, open=True)},
            warnings=(*request.warnings, *size.warnings),
            traceparent=request.traceparent,
        )
        self._waits.begin(wait)
        holding = account.holding(position.symbol, position.leg)
        closing = Closing(
            key=wait.name,
            account_id=account.id,
            symbol=position.symbol,
            leg=position.leg,
            position_id=position.id,
            seed=request.request_id,
            request_id=request.request_id,
            command=request.type,
            wait=wait.name,
            item=position.id,
            takes=takes,
            price=price,
            unsent=size.quantity,
            leave=leave_of(holding, size.quantity, self._closings.promised(account, holding)),
            expires_at_ms=self._state.now_ms() + CLOSING_LIFE_MS if takes else request.expires_at_ms,
            asked_ms=request.entry.ms if price is not None else 0,
            traceparent=request.traceparent,
        )
        self._closings.begin(closing)

    # -- close_all

    def close_all(self, request: Request) -> Taken:
        """Stop the account's algos, cancel its orders and close what it holds, on one symbol or on all."""
        command = request.command
        assert isinstance(command, CloseAll)
        account, symbol = self._state.account(command.sub_account_id), command.symbol or ""
        if self._state.gates.state(account.id, symbol) == "halted":
            raise CommandError(ErrorCode.TRADING_HALTED)
        held = [holding for holding in account.holdings.values() if symbol in ("", holding.symbol)]
        cancelled = self._clearing.clear(account, symbol, request.entry.ms, "stop", request.request_id)
        if not held:
            nothing: dict[str, Any] = {"closed": 0, "total": 0, "cancelled": 0, "results": ()}
            done = CloseAllDone(request_id=request.request_id, warnings=request.warnings or None, **nothing)
            self._answers.succeed(request.request_id, request.account_id, request.type, done, request.traceparent)
            return Taken.NOW
        wait = Wait(
            request_id=request.request_id,
            given_account=request.account_id,
            account_id=account.id,
            command=request.type,
            until=request.wait_for,
            deadline_ms=self._state.now_ms() + FINAL_WAIT_MS,
            orders={
                order.client_order_id: Outcome(item=_item(order.symbol, order.leg), cancels=True) for order in cancelled
            },
            items={_item(holding.symbol, holding.leg): _held(holding) for holding in held},
            warnings=request.warnings,
            traceparent=request.traceparent,
        )
        self._waits.begin(wait)
        for holding in held:
            self._closings.begin(self._everything(request, wait, holding, cancelled))
        return Taken.NOW

    def _everything(self, request: Request, wait: Wait, holding: Holding, cancelled: list[LiveOrder]) -> Closing:
        item = _item(holding.symbol, holding.leg)
        place = (holding.symbol, holding.leg)
        return Closing(
            key=f"{wait.name}\x1f{item}",
            account_id=wait.account_id,
            symbol=holding.symbol,
            leg=holding.leg,
            position_id="",
            seed=f"{request.request_id}\x1f{item}",
            request_id=request.request_id,
            command=request.type,
            wait=wait.name,
            item=item,
            unsent=None,
            expires_at_ms=request.expires_at_ms,
            traceparent=request.traceparent,
            awaited=[order.client_order_id for order in cancelled if (order.symbol, order.leg) == place],
        )


def _item(symbol: str, leg: PositionSide) -> str:
    return f"{symbol}:{leg}"


def _held(holding: Holding) -> Item:
    position = holding.position
    if position is None:
        return Item(symbol=holding.symbol, open=True)
    return Item(symbol=holding.symbol, side=position.side, position_id=position.id, open=True)
