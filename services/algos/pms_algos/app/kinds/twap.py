"""TWAP: from its command to its plan, and from its state to what readers are shown. The plan is `domain.twap`."""

from decimal import Decimal
from typing import Any

from pms_algos.app.kinds.base import Begin, Decision, Kind, Quote, Told, check_gate, market_of, sole_symbol, status
from pms_algos.domain import twap as plan_of
from pms_algos.domain.actions import Market, Notice
from pms_algos.domain.twap_lot import near_price
from pms_algos.domain.twap_schedule import schedule
from pms_algos.domain.twap_state import Twap, TwapPlan
from pms_common.contracts.algos import LotError, TwapItem
from pms_common.contracts.bus.base import Side
from pms_common.contracts.commands.twap import Twap as StartTwap
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.events.twap import TwapCancelled, TwapCompleted, TwapEndReason, TwapProgress
from pms_common.contracts.results_algos import TwapChanged
from pms_common.decimals import floor_to

CENT = Decimal("0.01")
MINUTE_MS = 60_000


def begin(of: Begin, command: StartTwap) -> Decision:
    """A new TWAP, where each of its lots could be an order now."""
    plan = make_plan(
        of,
        algo_id=of.algo_id,
        symbol=command.symbol,
        side=command.side,
        total=command.total_size if command.total_size is not None else command.quantity,
        in_usdt=command.total_size is not None,
        lots=command.lots,
        duration_minutes=command.duration_minutes,
        leverage=command.leverage,
        jitter=command.jitter,
        irregular=command.irregular,
        price_limit=command.price_limit,
        replaces_id=command.replaces_id,
        refusal=ErrorCode.VALIDATION_TWAP_LOTS_INVALID,
    )
    return plan_of.start(plan)


def make_plan(
    of: Begin,
    *,
    algo_id: str,
    symbol: str,
    side: Side,
    total: Decimal | None,
    in_usdt: bool,
    lots: int,
    duration_minutes: Decimal,
    leverage: int,
    jitter: bool,
    irregular: bool,
    refusal: ErrorCode,
    **more: Any,
) -> TwapPlan:
    """The plan of one symbol, alone or in a basket, whose legs share their times; `refusal`: for lots too small."""
    market = market_of(of, symbol)
    check_gate(market)
    assert total is not None
    step = max(market.spec.step_size, market.spec.market_step_size)
    total = total if in_usdt else floor_to(total, step)
    _check_lots(symbol, side, total, in_usdt, lots, market, refusal)
    duration_ms = int(duration_minutes * MINUTE_MS)
    interval_ms = duration_ms // lots
    now_ms = of.scene.now_ms
    return TwapPlan(
        algo_id=algo_id,
        account_id=of.account_id,
        request_id=of.request_id,
        traceparent=of.traceparent,
        symbol=symbol,
        side=side,
        leverage=Decimal(leverage),
        in_usdt=in_usdt,
        lots=schedule(total, lots, now_ms, interval_ms, CENT if in_usdt else step, jitter, irregular, of.algo_id),
        interval_ms=interval_ms,
        duration_ms=duration_ms,
        jitter=jitter,
        irregular=irregular,
        started_ms=now_ms,
        **more,
    )


def _check_lots(
    symbol: str, side: Side, total: Decimal, in_usdt: bool, lots: int, market: Market, refusal: ErrorCode
) -> None:
    """A regular lot is an order by itself; irregular ones, and those of another price, may be merged later."""
    spec, price = market.spec, near_price(side, market)
    step = max(spec.step_size, spec.market_step_size)
    quantity = floor_to(total / price, step) if in_usdt else total
    least = max(spec.min_quantity, spec.market_min_quantity, step, spec.min_notional / price)
    if quantity / lots >= least:
        return
    most = int(quantity / least)
    details = {
        "symbol": symbol,
        "requestedLots": lots,
        "maxLots": most,
        "totalSize": float(quantity * price),
        "totalQuantity": float(quantity),
        "minNotional": float(spec.min_notional),
        "minQty": float(spec.min_quantity),
    }
    text = f"{lots} lots of {symbol} would be below its minimum order; at most {most} fit"
    raise CommandError(refusal, text, field="lots", details=details)


# -- what readers are shown


def errors(twap: Twap) -> tuple[LotError, ...]:
    """Lots that were given up."""
    return tuple(LotError(lot=failure.lot, error=failure.error) for failure in twap.failures)


def total_size(plan: TwapPlan) -> Decimal | None:
    """USDT asked for."""
    return plan.total if plan.in_usdt else None


def total_qty(plan: TwapPlan) -> Decimal | None:
    """Base coin asked for."""
    return None if plan.in_usdt else plan.total


def next_order_ms(twap: Twap) -> int | None:
    """When the next lot is due; None while one is under way, waits, or after the last."""
    waits = twap.part is not None or twap.paused is not None or twap.lot == len(twap.plan.lots)
    return None if waits else twap.next_ms


def item(twap: Twap, _: Quote) -> TwapItem:
    """A TWAP's line of the active list."""
    plan = twap.plan
    return TwapItem(
        twap_id=plan.algo_id,
        symbol=plan.symbol,
        side=plan.side,
        total_size=total_size(plan),
        filled_size=twap.total_cost,
        total_qty=total_qty(plan),
        filled_qty=twap.total_executed,
        leverage=int(plan.leverage),
        total_lots=len(plan.lots),
        filled_lots=twap.filled_lots,
        interval_seconds=Decimal(plan.interval_ms) / 1000,
        duration_minutes=Decimal(plan.duration_ms) / MINUTE_MS,
        jitter=plan.jitter,
        irregular=plan.irregular,
        price_limit=plan.price_limit,
        skipped_ticks=twap.skipped,
        errors=errors(twap),
        status=status(twap),
        twap_basket_id=plan.basket_id,
        started_at_ms=plan.started_ms,
        estimated_end_ms=plan.started_ms + plan.duration_ms,
        next_order_at_ms=next_order_ms(twap),
    )


def notice(twap: Twap, told: Notice) -> Told:
    """The event of a lot that has ended or waits for its price."""
    if isinstance(told, plan_of.Skipped):
        limit = {"current_price": told.price, "price_limit": twap.plan.price_limit}
        return TwapProgress, {"skipped": True, "skipped_ticks": twap.skipped, **limit}
    assert isinstance(told, plan_of.LotEnded)
    return TwapProgress, {"last_lot_success": told.success, "last_lot_type": told.kind}


def end(twap: Twap) -> Told:
    """The event that tells how a TWAP ended."""
    return (TwapCompleted, {}) if twap.outcome == "filled" else (TwapCancelled, {"reason": end_reason(twap.outcome)})


def end_reason(outcome: str | None) -> TwapEndReason:
    """Why a TWAP ended early, in its events' words."""
    return "cancelled" if outcome == "cancelled" else "risk" if outcome == "risk" else "error"


KIND = Kind(
    name="twap",
    prefix="twap",
    most=500,
    state=Twap,
    step=plan_of.step,
    chases=lambda twap: () if twap.part is None else (twap.part,),
    symbols=lambda twap: (twap.plan.symbol,),
    opens=lambda _: True,
    begin=begin,
    wants=sole_symbol,
    item=item,
    progress=TwapProgress,
    end=end,
    changed=lambda _: (TwapChanged, {}),
    no_price=ErrorCode.VALIDATION_TWAP_PRICE_UNAVAILABLE,
    notice=notice,
)
