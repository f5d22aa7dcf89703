"""What the end of a layer's order leaves behind: the fill and what it earned, or when a failed one is tried again.

Owns the statistics of slots and legs. Pure.
"""

from dataclasses import dataclass
from decimal import Decimal

from msgspec.structs import replace

from pms_algos.domain.actions import Notice
from pms_algos.domain.events import Held, PositionSide
from pms_algos.domain.parts import Gathered, PartEnded, shown
from pms_algos.domain.scalper_guards import recent_fills
from pms_algos.domain.scalper_state import Over, Scalper, Slot

MIN_INTERVAL_MS = 100
"""Between two orders of a layer: at the touch of a locked market each would be executed at once."""
RETRY_MS = 2_000
TERMINAL_RETRY_MS = 30_000
"""After what will not change soon: no position left to close (reference, on child cancel)."""
MAX_RETRY_MS = 300_000
MAX_RETRIES = 20
EMA_KEEPS = 0.85
_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Filled(Notice):
    """A layer was executed."""

    leg: PositionSide
    layer: int
    price: Decimal
    quantity: Decimal


def ended(
    scalper: Scalper, side: PositionSide, slot: Slot, positions: tuple[Held, ...], gathered: Gathered, now_ms: int
) -> Scalper:
    """The scalper after the end of a layer's order."""
    part, leg = slot.part, scalper.leg(side)
    assert part is not None
    gathered.saves = True
    executed, price = part.total_executed, part.fill_price
    slot = replace(slot, part=None)
    if executed or shown(part):
        scalper = replace(scalper, untold=(*scalper.untold, Over(side, slot.layer, part)))
    if slot.pause is None:
        slot = replace(slot, retry_ms=part.plan.started_ms + MIN_INTERVAL_MS)
    if executed and price is not None:
        net = scalper.net + executed if side == "LONG" else scalper.net - executed
        scalper = replace(scalper, net=net, fill_count=scalper.fill_count + 1)
        held = next((held for held in positions if held.side != side), None)
        slot = _counted(scalper, side, slot, held, price, executed, now_ms)
        times = (*recent_fills(leg, now_ms), now_ms)
        leg = replace(leg, fill_price=price, fill_ms=now_ms, fill_times=times[-100:])
    if part.outcome not in {"filled", "cancelled"}:
        slot = _failed(slot, now_ms, terminal=part.outcome == "position_closed")
    leg = replace(leg, slots=(*leg.slots[: slot.layer], slot, *leg.slots[slot.layer + 1 :]))
    return replace(scalper, long=leg) if side == "LONG" else replace(scalper, short=leg)


def tell(scalper: Scalper, gathered: Gathered) -> Scalper:
    """Tell the ends that are durable now. One that dies before that is saved tells them again, under the same keys."""
    if not scalper.untold:
        return scalper
    gathered.actions += [PartEnded(over.part, _filled(over)) for over in scalper.untold]
    return replace(scalper, untold=())


def _filled(over: Over) -> Filled | None:
    part, price = over.part, over.part.fill_price
    if price is None:
        return None
    return Filled(part.plan.algo_id, over.leg, over.layer, price, part.total_executed)


def _counted(
    scalper: Scalper, side: PositionSide, slot: Slot, held: Held | None, price: Decimal, executed: Decimal, now_ms: int
) -> Slot:
    """The slot after a fill; one that closed is scored by the position's entry."""
    slot = replace(slot, fills=slot.fills + 1, refill=True, retries=0)
    other = scalper.leg("SHORT" if side == "LONG" else "LONG")
    if held is None:
        return slot
    pnl = (price - held.entry_price) * executed if held.side == "LONG" else (held.entry_price - price) * executed
    bps = float(pnl / (executed * price) * _BPS)
    return replace(
        slot,
        closed=slot.closed + 1,
        pnl_sum=slot.pnl_sum + pnl,
        score_ema=EMA_KEEPS * slot.score_ema + (1 - EMA_KEEPS) * bps if slot.closed else bps,
        held_ms=slot.held_ms + (now_ms - other.fill_ms if other.fill_ms else 0),
    )


def _failed(slot: Slot, now_ms: int, *, terminal: bool) -> Slot:
    pause_ms = min(RETRY_MS << min(slot.retries, MAX_RETRIES), MAX_RETRY_MS)
    if terminal:
        pause_ms = max(pause_ms, TERMINAL_RETRY_MS)
    return replace(slot, retries=min(slot.retries + 1, MAX_RETRIES), pause=None, retry_ms=now_ms + pause_ms)
