"""Scalper: from its command to its plan, and from its state to what readers are shown. The plan is `domain.scalper`."""

from decimal import Decimal

from pms_algos.app.kinds.base import Begin, Decision, Kind, Quote, Told, check_gate, market_of, sole_symbol, status
from pms_algos.domain import scalper as plan_of
from pms_algos.domain.actions import Market, Notice
from pms_algos.domain.events import PositionSide
from pms_algos.domain.scalper_fills import Filled
from pms_algos.domain.scalper_geometry import least_size
from pms_algos.domain.scalper_state import Scalper, ScalperPlan, Slot
from pms_common.contracts.algos import ScalperItem, ScalperSlot
from pms_common.contracts.commands.scalper import Scalper as StartScalper
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.events.scalper import ScalperCancelled, ScalperFilled, ScalperProgress
from pms_common.contracts.results_algos import ScalperChanged

LEGS: tuple[PositionSide, ...] = ("LONG", "SHORT")


def begin(of: Begin, command: StartScalper) -> Decision:
    """A new scalper, where each layer that opens could be an order now."""
    market = market_of(of, command.symbol)
    check_gate(market)
    plan = ScalperPlan(
        algo_id=of.algo_id,
        account_id=of.account_id,
        request_id=of.request_id,
        traceparent=of.traceparent,
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


def notice(_: Scalper, told: Notice) -> Told:
    """The event of a layer's fill."""
    assert isinstance(told, Filled)
    fill = {"side": told.leg, "layer_idx": told.layer, "fill_price": told.price, "fill_qty": told.quantity}
    return ScalperFilled, fill


def end(scalper: Scalper) -> Told:
    """The event that tells how a scalper ended."""
    reason = scalper.outcome if scalper.outcome in {"cancelled", "risk"} else "error"
    return ScalperCancelled, {"reason": reason, "closed_positions": scalper.closed_positions}


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
    progress=ScalperProgress,
    end=end,
    changed=lambda scalper: (ScalperChanged, {"closed_positions": scalper.closed_positions}),
    notice=notice,
    shows_parts=True,
)
