"""Scalper: from its command to its plan, and from its state to what readers are shown. The plan is `domain.scalper`."""

from decimal import Decimal
from typing import Any

from pms_algos.app.kinds.base import Begin, Decision, Head, Kind, Quote, sole_symbol, status
from pms_algos.domain import scalper as plan_of
from pms_algos.domain.actions import Market, Notice
from pms_algos.domain.chase_child import shut
from pms_algos.domain.events import PositionSide
from pms_algos.domain.scalper_fills import Filled
from pms_algos.domain.scalper_geometry import least_size
from pms_algos.domain.scalper_state import Scalper, ScalperPlan, Slot
from pms_common.contracts.algos import ScalperItem, ScalperSlot
from pms_common.contracts.commands.scalper import Scalper as StartScalper
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.events.scalper import ScalperCancelled, ScalperEvent, ScalperFilled, ScalperProgress
from pms_common.contracts.results_algos import ScalperChanged

LEGS: tuple[PositionSide, ...] = ("LONG", "SHORT")


def begin(of: Begin, command: StartScalper) -> Decision:
    """A new scalper, where each layer that opens could be an order now."""
    market = of.scene.market(command.symbol)
    if market is None:
        raise CommandError(ErrorCode.NO_PRICE)
    if shut(market, reduce_only=False):
        raise CommandError(ErrorCode.TRADING_HALTED if market.gate == "halted" else ErrorCode.TRADING_REDUCING)
    plan = ScalperPlan(
        algo_id=of.algo_id,
        account_id=of.account_id,
        request_id=of.request_id,
        symbol=command.symbol,
        start_side=command.start_side,
        leverage=Decimal(command.leverage),
        child_count=command.child_count,
        skew=command.skew,
        long_offset_pct=command.long_offset_pct,
        short_offset_pct=command.short_offset_pct,
        long_size_usd=command.long_size_usd,
        short_size_usd=command.short_size_usd,
        quantity=command.quantity,
        neutral_mode=command.neutral_mode,
        long_max_price=command.long_max_price,
        short_min_price=command.short_min_price,
        pin_long_to_entry=command.pin_long_to_entry,
        pin_short_to_entry=command.pin_short_to_entry,
        min_fill_spread_pct=command.min_fill_spread_pct,
        fill_decay_half_life_ms=command.fill_decay_half_life_ms,
        min_refill_delay_ms=command.min_refill_delay_ms,
        allow_loss=command.allow_loss,
        max_loss_per_close_bps=command.max_loss_per_close_bps,
        max_fills_per_minute=command.max_fills_per_minute,
        pnl_feedback_mode=command.pnl_feedback_mode,
        replaces_id=command.replaces_id,
        started_ms=of.scene.now_ms,
    )
    price = (market.bid + market.ask) / 2
    decision = plan_of.start(plan, price, market.spec)
    _check_layers(decision[0], price, market)
    return decision


def _check_layers(scalper: Scalper, price: Decimal, market: Market) -> None:
    plan, spec = scalper.plan, market.spec
    least = max(spec.min_notional, (spec.min_quantity or spec.step_size) * price)
    for side in LEGS:
        for slot in scalper.leg(side).slots:
            if slot.reduce_only or slot.quantity * price >= least:
                continue
            smallest = least_size(plan, least)
            text = f"Layer {slot.layer} of the {side} leg would be below {least:.2f} USDT; from {smallest:.2f} all fit"
            field = "quantity" if plan.quantity is not None else f"{side.lower()}SizeUsd"
            details = {"leg": side, "layerIdx": slot.layer, "minSizeUsd": float(smallest)}
            raise CommandError(ErrorCode.SCALPER_LAYER_TOO_SMALL, text, field=field, details=details)


# -- what readers are shown


def _slot(leg: PositionSide, slot: Slot) -> ScalperSlot:
    waits = slot.part is None
    return ScalperSlot(
        leg=leg,
        layer_idx=slot.layer,
        offset_pct=slot.offset_pct,
        qty=slot.quantity,
        active=not waits,
        paused=waits and slot.pause is not None,
        retry_at_ms=(slot.retry_ms or None) if waits else None,
        retry_count=slot.retries,
        pause_reason=slot.pause if waits else None,
        fills=slot.fills,
        pnl_sum=slot.pnl_sum if slot.closed else None,
        pnl_score_ema=round(slot.score_ema, 4) if slot.closed else None,
        avg_hold_ms=slot.held_ms // slot.closed if slot.closed else None,
    )


def _slots(scalper: Scalper, leg: PositionSide) -> tuple[ScalperSlot, ...]:
    return tuple(_slot(leg, slot) for slot in scalper.leg(leg).slots)


def item(scalper: Scalper, _: Quote) -> ScalperItem:
    """A scalper's line of the active list, with all that it was started with."""
    plan = scalper.plan
    shown = {name: getattr(plan, name) for name in _SETTINGS}
    longs, shorts = _slots(scalper, "LONG"), _slots(scalper, "SHORT")
    return ScalperItem(
        **shown,
        leverage=int(plan.leverage),
        scalper_id=plan.algo_id,
        status=status(scalper),
        fill_count=scalper.fill_count,
        long_layers=sum(not slot.paused for slot in longs),
        short_layers=sum(not slot.paused for slot in shorts),
        long_slots=longs,
        short_slots=shorts,
        started_at_ms=plan.started_ms,
    )


_SETTINGS = (
    *("symbol", "start_side", "child_count", "skew", "long_offset_pct", "short_offset_pct", "long_size_usd"),
    *("short_size_usd", "quantity", "neutral_mode", "long_max_price", "short_min_price", "pin_long_to_entry"),
    *("pin_short_to_entry", "min_fill_spread_pct", "fill_decay_half_life_ms", "min_refill_delay_ms", "allow_loss"),
    *("max_loss_per_close_bps", "max_fills_per_minute", "pnl_feedback_mode"),
)
_PROGRESS = (
    *("symbol", "start_side", "long_max_price", "short_min_price", "neutral_mode", "min_fill_spread_pct"),
    *("fill_decay_half_life_ms", "min_refill_delay_ms", "allow_loss", "max_loss_per_close_bps"),
    *("max_fills_per_minute", "pnl_feedback_mode"),
)


def progress(scalper: Scalper, _: Quote, head: Head) -> ScalperProgress:
    """The event that tells where a scalper stands."""
    shown: dict[str, Any] = {name: getattr(scalper.plan, name) for name in _PROGRESS}
    return ScalperProgress(
        **head,
        **shown,
        scalper_id=scalper.plan.algo_id,
        status=status(scalper),
        fill_count=scalper.fill_count,
        long_slots=_slots(scalper, "LONG"),
        short_slots=_slots(scalper, "SHORT"),
        started_at_ms=scalper.plan.started_ms,
    )


def notice(scalper: Scalper, told: Notice, head: Head) -> ScalperFilled:
    """The event of a layer's fill."""
    assert isinstance(told, Filled)
    return ScalperFilled(
        **head,
        scalper_id=scalper.plan.algo_id,
        symbol=scalper.plan.symbol,
        side=told.leg,
        layer_idx=told.layer,
        fill_price=told.price,
        fill_qty=told.quantity,
    )


def end(scalper: Scalper, head: Head) -> ScalperEvent:
    """The event that tells how a scalper ended."""
    return ScalperCancelled(
        **head,
        scalper_id=scalper.plan.algo_id,
        symbol=scalper.plan.symbol,
        reason="cancelled" if scalper.outcome == "cancelled" else "risk" if scalper.outcome == "risk" else "error",
        closed_positions=scalper.closed_positions,
    )


def changed(scalper: Scalper, request_id: str, warnings: tuple[str, ...] | None) -> ScalperChanged:
    """The answer to a cancel, a pause or a resume."""
    return ScalperChanged(
        request_id=request_id,
        warnings=warnings,
        scalper_id=scalper.plan.algo_id,
        symbol=scalper.plan.symbol,
        status=status(scalper),
        closed_positions=scalper.closed_positions,
    )


KIND = Kind(
    name="scalper",
    prefix="scalper",
    most=50,
    state=Scalper,
    step=plan_of.step,
    chases=lambda scalper: scalper.chases,
    symbols=lambda scalper: (scalper.plan.symbol,),
    opens=lambda _: True,
    begin=begin,
    wants=sole_symbol,
    item=item,
    progress=progress,
    end=end,
    changed=changed,
    notice=notice,
)
