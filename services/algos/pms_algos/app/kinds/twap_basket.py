"""Basket TWAP: from its command to its plan, and from its state to what readers are shown. See `domain.twap_basket`."""

from decimal import Decimal

from pms_algos.app.kinds.base import Begin, Decision, Kind, Quote, Told, status
from pms_algos.app.kinds.twap import MINUTE_MS, end_reason, errors, make_plan, next_order_ms, total_qty
from pms_algos.domain import twap_basket as plan_of
from pms_algos.domain.twap_basket import TwapBasket, TwapBasketPlan
from pms_common.contracts.algos import LotError, TwapBasketItem, TwapBasketLegItem
from pms_common.contracts.commands.twap import TwapBasket as StartTwapBasket
from pms_common.contracts.errors import CommandError, ErrorCode, FieldError
from pms_common.contracts.events.twap import TwapBasketCancelled, TwapBasketCompleted, TwapBasketProgress
from pms_common.contracts.results_algos import TwapBasketChanged


def begin(of: Begin, command: StartTwapBasket) -> Decision:
    """A new basket, where each lot of each leg could be an order now; all legs that stand against it are named."""
    plans, refused, details = [], [], []
    for number, leg in enumerate(command.legs):
        try:
            plan = make_plan(
                of,
                algo_id=f"{of.algo_id}:{number}",
                symbol=leg.symbol,
                side=leg.side,
                total=leg.size_usdt,
                in_usdt=True,
                lots=command.lots,
                duration_minutes=command.duration_minutes,
                leverage=leg.leverage,
                jitter=command.jitter,
                irregular=command.irregular,
                basket_id=of.algo_id,
                refusal=ErrorCode.VALIDATION_TWAP_BASKET_LOTS_INVALID,
            )
            plans.append(plan)
        except CommandError as error:
            if error.code is not ErrorCode.VALIDATION_TWAP_BASKET_LOTS_INVALID:
                raise
            refused.append(FieldError(code=error.code.name, message=error.message, field=f"legs[{number}].sizeUsdt"))
            details.append(error.details)
    if refused:
        text = "; ".join(error.message for error in refused)
        code = ErrorCode.VALIDATION_TWAP_BASKET_LOTS_INVALID
        raise CommandError(code, text, errors=tuple(refused), details={"legs": details})
    return plan_of.start(
        TwapBasketPlan(
            algo_id=of.algo_id,
            account_id=of.account_id,
            request_id=of.request_id,
            traceparent=of.traceparent,
            name=command.basket_name,
            legs=tuple(plans),
            replaces_id=command.replaces_id,
            started_ms=of.scene.now_ms,
        )
    )


# -- what readers are shown


def _legs(basket: TwapBasket) -> tuple[TwapBasketLegItem, ...]:
    return tuple(
        TwapBasketLegItem(
            symbol=leg.plan.symbol,
            side=leg.plan.side,
            filled_size=leg.total_cost,
            total_size=leg.plan.total,
            filled_qty=leg.total_executed,
            total_qty=total_qty(leg.plan),
        )
        for leg in basket.legs
    )


def _errors(basket: TwapBasket) -> tuple[LotError, ...]:
    return tuple(
        LotError(lot=error.lot, error=f"{leg.plan.symbol}: {error.error}")
        for leg in basket.legs
        for error in errors(leg)
    )


def _next_ms(basket: TwapBasket) -> int | None:
    waiting = [at_ms for leg in basket.legs if (at_ms := next_order_ms(leg)) is not None]
    return min(waiting, default=None)


def item(basket: TwapBasket, _: Quote) -> TwapBasketItem:
    """A basket's line of the active list."""
    plan, leg = basket.plan, basket.plan.legs[0]
    return TwapBasketItem(
        twap_basket_id=plan.algo_id,
        basket_name=plan.name,
        total_lots=len(leg.lots),
        filled_lots=basket.filled_lots,
        interval_seconds=Decimal(leg.interval_ms) / 1000,
        duration_minutes=Decimal(leg.duration_ms) / MINUTE_MS,
        jitter=leg.jitter,
        irregular=leg.irregular,
        legs=_legs(basket),
        errors=_errors(basket),
        status=status(basket),
        started_at_ms=plan.started_ms,
        estimated_end_ms=plan.started_ms + leg.duration_ms,
        next_order_at_ms=_next_ms(basket),
    )


def end(basket: TwapBasket) -> Told:
    """The event that tells how a basket ended."""
    if basket.outcome == "filled":
        return TwapBasketCompleted, {}
    return TwapBasketCancelled, {"reason": end_reason(basket.outcome)}


KIND = Kind(
    name="twap_basket",
    prefix="twapb",
    most=100,
    state=TwapBasket,
    step=plan_of.step,
    chases=lambda basket: tuple(leg.part for leg in basket.legs if leg.part is not None),
    symbols=lambda basket: tuple(dict.fromkeys(leg.plan.symbol for leg in basket.legs)),
    opens=lambda _: True,
    begin=begin,
    wants=lambda command: tuple(dict.fromkeys(leg.symbol for leg in command.legs)),
    item=item,
    progress=TwapBasketProgress,
    end=end,
    changed=lambda _: (TwapBasketChanged, {}),
    no_price=ErrorCode.VALIDATION_TWAP_PRICE_UNAVAILABLE,
)
