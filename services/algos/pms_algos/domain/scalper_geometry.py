"""Where a leg's layers stand and how large they are.

Pure arithmetic. Source of the spreads and weights: the reference's geometry.
"""

import math
from decimal import Decimal

from pms_algos.domain.events import PositionSide
from pms_algos.domain.scalper_state import Leg, ScalperPlan, Slot
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.decimals import floor_to

SPREAD = 2
"""The farthest layer is so many times as far from the quote as the nearest."""
SKEW_BASE = 8
_EXACT = Decimal("0.000001")
_HUNDRED = Decimal(100)


def offsets(base_pct: Decimal, layers: int) -> list[Decimal]:
    """Distances in percent: a geometric row around the base, from base/√2 to base·√2."""
    if layers == 1:
        return [base_pct]
    row = (float(base_pct) * SPREAD ** (i / (layers - 1) - 0.5) for i in range(layers))
    return [Decimal(offset).quantize(_EXACT) for offset in row]


def weights(skew: int, layers: int) -> list[Decimal]:
    """Shares of the leg's size, which make one; a positive skew puts more on the far layers."""
    if layers == 1:
        return [Decimal(1)]
    raw = [Decimal(SKEW_BASE ** (skew / 100 * (2 * i / (layers - 1) - 1))) for i in range(layers)]
    whole = sum(raw)
    return [weight / whole for weight in raw]


def armed(plan: ScalperPlan, side: PositionSide, price: Decimal, spec: SymbolSpec) -> Leg:
    """A leg with all its layers, sized at this price and never anew. In neutral mode both legs open."""
    layers = plan.child_count
    size = plan.size_usd(side, price)
    reduce_only = side != plan.start_side and not plan.neutral_mode
    slots, before = [], -1
    for layer, (offset, weight) in enumerate(
        zip(offsets(plan.offset_pct(side), layers), weights(plan.skew, layers), strict=True)
    ):
        ticks = math.floor(price * offset / _HUNDRED / spec.tick_size)
        fixed = ticks <= before  # the grid is coarser than the row: each layer is at least a tick behind the last
        before = before + 1 if fixed else ticks
        slots.append(
            Slot(
                layer=layer,
                offset_pct=offset,
                offset_ticks=before if fixed else None,
                quantity=floor_to(size * weight / price, spec.step_size),
                reduce_only=reduce_only,
            )
        )
    return Leg(side=side, slots=tuple(slots))


def least_size(plan: ScalperPlan, least: Decimal) -> Decimal:
    """The smallest leg, in USDT, each layer of which is worth `least`."""
    return least / min(weights(plan.skew, plan.child_count))
