"""Chase: from its command to its plan, and from its state to what readers are shown. The plan is `domain.chase`."""

from decimal import Decimal

from pms_algos.app.kinds.base import Begin, Decision, Kind, Quote, Told, check_gate, market_of, sole_symbol, status
from pms_algos.domain import chase as plan_of
from pms_algos.domain.actions import Market
from pms_algos.domain.chase_child import OVERTAKEN
from pms_algos.domain.chase_price import own_quote, target_price
from pms_algos.domain.chase_quote import unmoved
from pms_algos.domain.chase_state import Chase, ChasePlan
from pms_common.contracts.algos import ChaseItem
from pms_common.contracts.commands.chase import Chase as StartChase
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.events.chase import ChaseCancelled, ChaseFilled, ChaseProgress
from pms_common.contracts.results_algos import ChaseChanged
from pms_common.decimals import floor_to


def begin(of: Begin, command: StartChase) -> Decision:
    """A new chase, where its first order could be placed now."""
    market = market_of(of, command.symbol)
    check_gate(market, reduce_only=command.reduce_only)
    plan = ChasePlan(
        algo_id=of.algo_id,
        account_id=of.account_id,
        request_id=of.request_id,
        traceparent=of.traceparent,
        symbol=command.symbol,
        side=command.side,
        quantity=floor_to(command.quantity, market.spec.step_size),
        leverage=Decimal(command.leverage),
        offset_pct=command.stalk_offset_pct,
        offset_ticks=command.stalk_offset_ticks,
        mode=command.stalk_mode,
        max_distance_pct=command.max_distance_pct,
        min_interval_ms=command.min_interval_ms,
        reduce_only=command.reduce_only,
        post_only=command.post_only,
        replaces_id=command.replaces_id,
        anchor=own_quote(command.side, market),
        started_ms=of.scene.now_ms,
    )
    _check_filters(plan, market)
    return plan_of.start(plan, of.expires_ms)


def _check_filters(plan: ChasePlan, market: Market) -> None:
    spec, price = market.spec, target_price(plan, market)
    if plan.quantity < max(spec.min_quantity, spec.step_size) or plan.quantity > spec.max_quantity:
        text = f"quantity {plan.quantity} is outside {spec.min_quantity} to {spec.max_quantity} of {plan.symbol}"
        raise CommandError(ErrorCode.FILTER_QUANTITY, text, field="quantity")
    if price is None:
        raise CommandError(ErrorCode.FILTER_PRICE, "No allowed price with this offset", field="stalkOffsetPct")
    if not plan.reduce_only and plan.quantity * price < spec.min_notional:
        text = f"quantity times price is below the minimum notional {spec.min_notional} of {plan.symbol}"
        raise CommandError(ErrorCode.EXCHANGE_MIN_NOTIONAL, text, field="quantity")


def item(chase: Chase, quote: Quote) -> ChaseItem:
    """A chase's line of the active list; one with a parent is a layer of a scalper, nobody else's parts are shown."""
    plan, (bid, ask) = chase.plan, quote(chase.plan.symbol)
    return ChaseItem(
        chase_id=plan.algo_id,
        symbol=plan.symbol,
        side=plan.side,
        quantity=plan.quantity,
        filled_qty=chase.total_executed,
        leverage=int(plan.leverage),
        stalk_offset_pct=plan.offset_pct,
        stalk_offset_ticks=plan.offset_ticks,
        stalk_mode=plan.mode,
        max_distance_pct=plan.max_distance_pct,
        min_interval_ms=plan.min_interval_ms,
        reduce_only=plan.reduce_only,
        post_only=plan.post_only,
        current_order_price=chase.child.price,
        initial_price=plan.anchor,
        bid=bid,
        ask=ask,
        reprice_count=chase.reprices,
        status=status(chase),
        parent_scalper_id=plan.parent_id,
        started_at_ms=plan.started_ms,
    )


def end(chase: Chase) -> Told:
    """The event that tells how a chase ended."""
    if chase.outcome == "filled":
        return ChaseFilled, {"fill_price": chase.fill_price, "dust_qty": chase.remaining}
    refusal = chase.refusal
    why = {} if refusal is None else {"error": refusal.message, "error_code": refusal.code}
    return ChaseCancelled, {"reason": chase.outcome, **why}


KIND = Kind(
    name="chase",
    prefix="chase",
    most=500,
    state=Chase,
    step=plan_of.step,
    chases=lambda chase: (chase,),
    symbols=lambda chase: (chase.plan.symbol,),
    opens=lambda chase: not chase.plan.reduce_only,
    begin=begin,
    wants=sole_symbol,
    item=item,
    progress=ChaseProgress,
    end=end,
    changed=lambda _: (ChaseChanged, {}),
    side=lambda chase: chase.plan.side,
    unmoved=unmoved,
    refusal=lambda chase: chase.refusal or OVERTAKEN,
)
