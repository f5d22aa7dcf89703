"""What the answer of a request says once its orders have come to what was waited for.

Owns the results of `trade limit limit_close close close_all scale basket` where risk gives them. Raises what the
request failed with. Used by `waits`.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from pms_common.contracts.base import Wire
from pms_common.contracts.errors import CommandError, ErrorCode, FieldError
from pms_common.contracts.results import (
    AccountDone,
    BasketDone,
    BasketLegResult,
    BasketPosition,
    BasketTrade,
    CloseAllDone,
    CloseAllItem,
    CloseDone,
    ClosedPosition,
    CloseTrade,
    OrderDone,
    OrderResult,
    ScaleDone,
    ScaleLevelResult,
)
from pms_common.decimals import ZERO
from pms_risk.app.state import RiskState
from pms_risk.app.wait import Item, Outcome, Wait
from pms_risk.domain.account import Account
from pms_risk.domain.position import Position
from pms_risk.domain.snapshot import shown, snapshot

_CANCELLED = ("cancelled", "expired")


def success(state: RiskState, wait: Wait) -> Wire:
    """The answer. Raises CommandError where the request failed."""
    many = _MANY.get(wait.command)
    if many is not None:
        return many(state, wait)
    outcomes = list(wait.orders.values())
    _refuse_what_never_traded(wait, outcomes)
    if wait.command == "close":
        return _close_done(state, wait, outcomes)
    orders = tuple([_order_result(outcome, wait.until) for outcome in outcomes])
    return OrderDone(
        **msgspec.structs.asdict(orders[-1]),
        request_id=wait.request_id,
        warnings=wait.warnings or None,
        flipped=wait.flipped or None,
        orders=orders if wait.flipped or len(orders) > 1 else None,
    )


# -- close, close_all


def _close_done(state: RiskState, wait: Wait, outcomes: list[Outcome]) -> CloseDone:
    (item,) = wait.items.values()
    account = state.account(wait.account_id)
    position = account.position(item.position_id)
    orders = tuple([_order_result(outcome, wait.until) for outcome in outcomes])
    last = orders[-1].client_order_id if orders else None
    trade = _close_trade(item, outcomes) if wait.until == "final" else None
    return CloseDone(
        request_id=wait.request_id,
        warnings=wait.warnings or None,
        client_order_id=last,
        order_id=last,
        position=ClosedPosition(
            id=item.position_id,
            symbol=item.symbol,
            side=item.side,
            status="CLOSED" if position is None else "OPEN",
            remaining_qty=abs(position.quantity) if position is not None else ZERO,
        ),
        trade=trade,
        new_balance=account.cash if trade is not None else None,
        orders=orders if len(orders) > 1 else None,
    )


def _close_trade(item: Item, outcomes: Sequence[Outcome]) -> CloseTrade:
    """Everything that was closed, by orders and by the house."""
    quantity, value = _executed(outcomes)
    quantity, value = quantity + item.taken_quantity, value + item.taken_value
    return CloseTrade(
        price=shown(value / quantity),
        quantity=quantity,
        realized_pnl=_profit(item, outcomes),
        fee=sum((outcome.commission for outcome in outcomes), ZERO),
    )


def _profit(item: Item, outcomes: Sequence[Outcome]) -> Decimal:
    return sum((outcome.profit for outcome in outcomes), item.taken_profit)


def _close_all_done(state: RiskState, wait: Wait) -> CloseAllDone:
    account = state.account(wait.account_id)
    results = []
    for key, item in wait.items.items():
        if not item.position_id:
            continue  # nothing was held there, and nothing came to be
        outcomes = _outcomes(wait, key)
        if account.position(item.position_id) is None:
            pnl = _profit(item, outcomes)
            results.append(CloseAllItem(position_id=item.position_id, symbol=item.symbol, success=True, pnl=pnl))
        else:
            results.append(_still_open(item, outcomes))
    cancelled = [o for o in wait.orders.values() if o.cancels and o.view is not None and o.view.state in _CANCELLED]
    return CloseAllDone(
        request_id=wait.request_id,
        warnings=wait.warnings or None,
        closed=sum(result.success for result in results),
        total=len(results),
        cancelled=len(cancelled),
        results=tuple(results),
    )


def _still_open(item: Item, outcomes: Sequence[Outcome]) -> CloseAllItem:
    errors = [(outcome.error_code, outcome.error) for outcome in outcomes if outcome.error_code and not outcome.cancels]
    code, text = errors[-1] if errors else (item.error_code, item.error)
    return CloseAllItem(
        position_id=item.position_id,
        symbol=item.symbol,
        success=False,
        error=text or "The close is not complete yet",
        error_code=code or ErrorCode.AMBIGUOUS_RESULT.name,
    )


def _taken_over(state: RiskState, wait: Wait) -> AccountDone:
    """Of the operators' commands only a takeover waits."""
    (item,) = wait.items.values()
    if item.error_code:
        raise CommandError(ErrorCode[item.error_code], item.error)
    if not item.taken_quantity:
        raise _closed_by_others()
    account = state.account(wait.account_id)
    return AccountDone(
        request_id=wait.request_id,
        warnings=wait.warnings or None,
        sub_account_id=account.id,
        action="takeover",
        name=account.name,
        status=account.status,
        balance=account.cash,
        account=snapshot(account, state.prices.mark),
    )


# -- scale, basket


def _scale_done(_: RiskState, wait: Wait) -> ScaleDone:
    results = []
    for key, item in wait.items.items():
        outcomes = _outcomes(wait, key)
        failed = _failure(item, outcomes)
        results.append(
            ScaleLevelResult(
                success=failed is None,
                price=item.price if item.price is not None else ZERO,
                quantity=item.quantity,
                order_id=outcomes[-1].view.client_order_id if outcomes and outcomes[-1].view else None,
                error=failed.message if failed is not None else None,
                error_code=failed.code if failed is not None else None,
            )
        )
    placed = sum(result.success for result in results)
    done = ScaleDone(
        request_id=wait.request_id,
        warnings=wait.warnings or None,
        placed=placed,
        failed=len(results) - placed,
        total=len(results),
        results=tuple(results),
    )
    if not placed:
        raise CommandError(
            ErrorCode[results[0].error_code or ErrorCode.EXCHANGE_REJECTED.name],
            results[0].error,
            details={"placed": 0, "failed": len(results), "total": len(results)},
        )
    return done


def _basket_done(state: RiskState, wait: Wait) -> BasketDone:
    results = []
    for key, item in wait.items.items():
        outcomes = _outcomes(wait, key)
        failed = _failure(item, outcomes)
        results.append(
            BasketLegResult(
                symbol=item.symbol,
                side="BUY" if item.side == "LONG" else "SELL",
                success=failed is None,
                trade=_basket_trade(state.account(wait.account_id), wait, outcomes) if failed is None else None,
                errors=(failed,) if failed is not None else None,
            )
        )
    succeeded = sum(result.success for result in results)
    if not succeeded:
        errors = tuple(error for result in results for error in result.errors or ())
        raise CommandError(ErrorCode[errors[0].code], errors[0].message, errors=errors)
    return BasketDone(
        request_id=wait.request_id,
        warnings=wait.warnings or None,
        basket_name=wait.label,
        total=len(results),
        succeeded=succeeded,
        failed=len(results) - succeeded,
        results=tuple(results),
    )


def _basket_trade(account: Account, wait: Wait, outcomes: Sequence[Outcome]) -> BasketTrade:
    views = [outcome.view for outcome in outcomes if outcome.view is not None]
    quantity, value = _executed(outcomes)
    last = views[-1]
    position = account.holding(last.symbol, last.position_side).position if quantity else None
    return BasketTrade(
        client_order_id=last.client_order_id,
        price=shown(value / quantity) if quantity else None,
        quantity=quantity if wait.until == "final" else sum((view.quantity for view in views), ZERO),
        notional=value if quantity else None,
        position=_basket_position(position) if position is not None else None,
    )


def _basket_position(position: Position) -> BasketPosition:
    return BasketPosition(
        id=position.id,
        entry_price=shown(position.entry_price),
        quantity=abs(position.quantity),
        notional=shown(position.notional),
        margin=shown(position.margin),
    )


# -- amend


def _amend_done(_: RiskState, wait: Wait) -> OrderDone:
    amends = wait.amends
    assert amends is not None
    old, standing = wait.orders[amends.order_id], wait.standing(amends)
    if old.cause == "amend_failed":
        code = ErrorCode[old.error_code or ErrorCode.EXCHANGE_REJECTED.name]
        raise CommandError(code, old.error, details={"clientOrderId": amends.order_id})
    if standing is None:
        state = old.view.state if old.view is not None else ""
        text = f"The order ended before it could be amended: it is {state}."
        details = {"clientOrderId": amends.order_id, "state": state}
        raise CommandError(ErrorCode.ORDER_ALREADY_FINAL, text, details=details)
    _refuse_failed(wait, standing)
    fields = msgspec.structs.asdict(_order_result(standing, wait.until))
    return OrderDone(**fields, request_id=wait.request_id, warnings=wait.warnings or None)


def _outcomes(wait: Wait, item: str) -> list[Outcome]:
    return [outcome for outcome in wait.orders.values() if outcome.item == item]


def _executed(outcomes: Sequence[Outcome]) -> tuple[Decimal, Decimal]:
    """Quantity and value of the executions."""
    views = [outcome.view for outcome in outcomes if outcome.view is not None and outcome.view.average_price]
    quantity = sum((view.executed_quantity for view in views), ZERO)
    return quantity, sum((view.executed_quantity * (view.average_price or ZERO) for view in views), ZERO)


def _failure(item: Item, outcomes: Sequence[Outcome]) -> FieldError | None:
    """Why nothing came of a level or leg; None where something did."""
    if item.error_code:
        return FieldError(code=item.error_code, message=item.error or "")
    refused = [o for o in outcomes if o.view is not None and o.view.state in ("rejected", "failed")]
    if len(refused) < len(outcomes) or _executed(outcomes)[0]:
        return None
    code = ErrorCode[refused[0].error_code or ErrorCode.EXCHANGE_REJECTED.name]
    return FieldError(code=code.name, message=refused[0].error or code.meaning)


_MANY: dict[str, Callable[[RiskState, Wait], Wire]] = {
    "close_all": _close_all_done,
    "scale": _scale_done,
    "basket": _basket_done,
    "amend": _amend_done,
    "account": _taken_over,
}
"""Commands whose answer is more than that of their orders."""


# -- what failed


def _refuse_what_never_traded(wait: Wait, outcomes: list[Outcome]) -> None:
    """Raise where nothing was executed or taken by the house, and the exchange refused, or a close found nothing to
    trade with."""
    executed = any(outcome.view is not None and outcome.view.executed_quantity for outcome in outcomes)
    if executed or any(item.taken_quantity for item in wait.items.values()):
        return
    for outcome in outcomes:
        _refuse_failed(wait, outcome)
    for item in wait.items.values():
        if item.error_code:
            raise CommandError(ErrorCode[item.error_code], item.error)
        if not outcomes:
            raise _closed_by_others()


def _closed_by_others() -> CommandError:
    return CommandError(ErrorCode.POSITION_CLOSED, "Other orders have closed the position meanwhile")


def _refuse_failed(wait: Wait, outcome: Outcome) -> None:
    view = outcome.view
    if view is None:
        return
    details: dict[str, Any] = {"clientOrderId": view.client_order_id, "state": view.state}
    if view.state in ("rejected", "failed"):
        code = ErrorCode[outcome.error_code] if outcome.error_code else ErrorCode.EXCHANGE_REJECTED
        raise CommandError(code, outcome.error, details=details)
    if wait.command == "close" and outcome.final:
        message = f"The close ended {view.state} without an execution; the position is as it was"
        raise CommandError(ErrorCode.EXCHANGE_REJECTED, message, details=details)


def _order_result(outcome: Outcome, until: str) -> OrderResult:
    view = outcome.view
    assert view is not None
    ended = until == "final"
    return OrderResult(
        client_order_id=view.client_order_id,
        order_id=view.client_order_id,
        exchange_order_id=str(view.exchange_order_id) if view.exchange_order_id else None,
        state=view.state,
        symbol=view.symbol,
        side=view.side,
        quantity=view.quantity,
        price=view.price if view.price is not None else view.average_price,
        filled_qty=view.executed_quantity if ended else None,
        avg_fill_price=view.average_price if ended else None,
        fee=outcome.commission if ended else None,
        realized_pnl=outcome.profit if ended else None,
    )
