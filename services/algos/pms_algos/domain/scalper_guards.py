"""The nine guards that a layer passes before its order is placed, in the reference's order; some act on live ones too.

Each looks at the scalper, the leg, the slot and the scene, and lets pass (None) or holds. Pure; thresholds and
statistics are floats, prices and quantities exact.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from pms_algos.domain.events import Held, PositionSide
from pms_algos.domain.scalper_state import ZERO, Leg, Scalper, Slot, SlotPause
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.decimals import floor_to

MINUTE_MS = 60_000
NEUTRAL_HOLD_MS = 10_000
PRICE_HOLD_MS = 30_000
LOSS_HOLD_MS = 30_000
MAX_DELAY_MS = 300_000
MAX_DOUBLINGS = 4
NEUTRAL_FULL = 2
"""Times its size that a leg may hold in neutral mode."""
FEEDBACK_AFTER = 3
"""Fills before the score of a layer counts."""
TARGET_BPS = 30.0
WIDEST_BPS = 45.0
_BPS = Decimal(10_000)
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Sight:
    """What guards look at: the middle price, the symbol's rules, the account's positions on it: in hedge mode two."""

    now_ms: int
    price: Decimal
    spec: SymbolSpec
    held: tuple[Held, ...]

    def of(self, side: PositionSide) -> Held | None:
        """The position on a side."""
        return next((held for held in self.held if held.side == side), None)

    def against(self, leg: PositionSide) -> Held | None:
        """The position that a leg's orders close."""
        return self.of("SHORT" if leg == "LONG" else "LONG")


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now. `until_ms` None: until the position changes. `refill`: the guards of fills apply again then."""

    reason: SlotPause | None
    until_ms: int | None
    refill: bool = False


@dataclass(frozen=True, slots=True)
class Go:
    """Place it so."""

    offset_pct: Decimal
    offset_ticks: int | None
    quantity: Decimal


Guard = Callable[[Scalper, Leg, Slot, Sight], Hold | None]


def judge(scalper: Scalper, leg: Leg, slot: Slot, sight: Sight) -> Hold | Go:
    """Whether, where and how large the layer's next order is."""
    for guard in (*(FILL_GUARDS if slot.refill else ()), *LIVE_GUARDS, safety_block):
        hold = guard(scalper, leg, slot, sight)
        if hold is not None:
            return hold
    return _sized(scalper, leg, slot, sight)


def judge_live(scalper: Scalper, leg: Leg, slot: Slot, sight: Sight) -> Hold | None:
    """Whether an order that rests has to go."""
    return next((hold for guard in LIVE_GUARDS if (hold := guard(scalper, leg, slot, sight)) is not None), None)


# 1


def fill_spread(scalper: Scalper, leg: Leg, _: Slot, sight: Sight) -> Hold | None:
    """The price must have left the last fill; how far it must, halves with time."""
    least, half_life = float(scalper.plan.min_fill_spread_pct), scalper.plan.fill_decay_half_life_ms
    if not least or leg.fill_price is None:
        return None
    elapsed = sight.now_ms - leg.fill_ms
    actual = float(abs(sight.price - leg.fill_price) / leg.fill_price * _HUNDRED)
    if actual >= least * 0.5 ** (elapsed / half_life):
        return None
    wait = math.ceil(half_life * math.log2(least / max(actual, 0.0001))) - elapsed
    return Hold("fill_spread", sight.now_ms + max(wait, 1), refill=True)


# 2


def burst_limit(scalper: Scalper, leg: Leg, _: Slot, sight: Sight) -> Hold | None:
    """Only so many fills of a leg a minute."""
    most, recent = scalper.plan.max_fills_per_minute, recent_fills(leg, sight.now_ms)
    if not most or len(recent) < most:
        return None
    return Hold("burst_limit", recent[0] + MINUTE_MS)


# 3


def refill_delay(scalper: Scalper, leg: Leg, _: Slot, sight: Sight) -> Hold | None:
    """A pause after a fill, doubled with each further fill of the last minute."""
    delay = scalper.plan.min_refill_delay_ms
    if not delay:
        return None
    doublings = min(max(len(recent_fills(leg, sight.now_ms)) - 1, 0), MAX_DOUBLINGS)
    return Hold("refill_delay", sight.now_ms + min(delay << doublings, MAX_DELAY_MS))


# 4


def neutral_inventory(scalper: Scalper, leg: Leg, _: Slot, sight: Sight) -> Hold | None:
    """In neutral mode a leg stops adding to what is twice its size."""
    held = sight.of(leg.side)
    if not scalper.plan.neutral_mode or held is None:
        return None
    if held.quantity * sight.price <= NEUTRAL_FULL * scalper.plan.size_usd(leg.side, sight.price):
        return None
    return Hold("neutral_inventory_full", sight.now_ms + NEUTRAL_HOLD_MS)


# 5


def price_filter(scalper: Scalper, leg: Leg, _: Slot, sight: Sight) -> Hold | None:
    """No buys above, no sells below the leg's bound."""
    bound = price_bound(scalper, leg.side, sight.held)
    if bound is None or not (sight.price > bound if leg.side == "LONG" else sight.price < bound):
        return None
    return Hold("price_filter", sight.now_ms + PRICE_HOLD_MS)


def price_bound(scalper: Scalper, leg: PositionSide, positions: tuple[Held, ...]) -> Decimal | None:
    """The strictest of the set bound, the pin to the entry, and the other side's entry where losses are not allowed."""
    plan = scalper.plan
    pinned = plan.pin_long_to_entry if leg == "LONG" else plan.pin_short_to_entry
    bounds = [plan.long_max_price if leg == "LONG" else plan.short_min_price]
    bounds += [held.entry_price for held in positions if pinned or (not plan.allow_loss and held.side != leg)]
    known = [bound for bound in bounds if bound is not None]
    return None if not known else min(known) if leg == "LONG" else max(known)


# 6


def safety_block(scalper: Scalper, leg: Leg, slot: Slot, _: Sight) -> Hold | None:
    """Outside neutral mode only the start side opens. Both sides restart in neutral mode."""
    if scalper.plan.neutral_mode or leg.side == scalper.plan.start_side or slot.reduce_only:
        return None
    return Hold("risk", None)


# 7


def max_loss(scalper: Scalper, leg: Leg, slot: Slot, sight: Sight) -> Hold | None:
    """No close at a loss beyond the allowed."""
    most, held = scalper.plan.max_loss_per_close_bps, sight.against(leg.side)
    if not most or not slot.reduce_only or held is None:
        return None
    gone = held.entry_price - sight.price if held.side == "LONG" else sight.price - held.entry_price
    return Hold("max_loss_guard", sight.now_ms + LOSS_HOLD_MS) if gone / held.entry_price * _BPS > most else None


FILL_GUARDS: tuple[Guard, ...] = (fill_spread, burst_limit, refill_delay)
LIVE_GUARDS: tuple[Guard, ...] = (neutral_inventory, price_filter, max_loss)


def recent_fills(leg: Leg, now_ms: int) -> tuple[int, ...]:
    """Times of the leg's fills within a minute."""
    return tuple(at_ms for at_ms in leg.fill_times if at_ms > now_ms - MINUTE_MS)


# 8


def feedback(scalper: Scalper, slot: Slot, price: Decimal) -> tuple[Decimal, Decimal]:
    """How much wider and smaller a layer that loses is placed, never tighter: factors of offset and quantity.

    A closing layer may have no size of its own: it is dust, and has nothing to be scored against.
    """
    mode = scalper.plan.pnl_feedback_mode
    if mode == "off" or slot.fills < FEEDBACK_AFTER or not slot.quantity:
        return Decimal(1), Decimal(1)
    score = float(slot.pnl_sum / slot.fills / (slot.quantity * price) * _BPS)
    if score >= 0:
        return Decimal(1), Decimal(1)
    wider = 1 + min(-score, WIDEST_BPS) / TARGET_BPS
    smaller = max(0.5, 1 - 0.5 * min(-score, TARGET_BPS) / TARGET_BPS) if mode == "full" else 1.0
    return Decimal(str(round(wider, 4))), Decimal(str(round(smaller, 4)))


# 9


def _sized(scalper: Scalper, leg: Leg, slot: Slot, sight: Sight) -> Hold | Go:
    """Closing layers share the position, and dust takes all that is left of it; each opening one is an order."""
    spec = sight.spec
    wider, smaller = feedback(scalper, slot, sight.price)
    quantity = floor_to(slot.quantity * smaller, spec.step_size)
    if slot.reduce_only:
        budget = floor_to(closable(leg, sight.against(leg.side)), spec.step_size)
        if budget <= 0:
            return Hold("no_position", None)
        small = min(quantity, budget) * sight.price < spec.min_notional
        quantity = budget if small else min(quantity, budget)
    elif quantity <= 0 or quantity * sight.price < spec.min_notional:
        return Hold(None, sight.now_ms + PRICE_HOLD_MS)
    ticks = None if slot.offset_ticks is None else round(slot.offset_ticks * wider)
    return Go(slot.offset_pct * wider, ticks, quantity)


def closable(leg: Leg, held: Held | None) -> Decimal:
    """What of the position against it the leg's closing layers have not claimed."""
    return _there_is(held) - leg.claimed


def overclaimed(leg: Leg, held: Held | None) -> bool:
    """Whether the leg's closing layers claim more than the position, once those are gone that are taken back."""
    return leg.staying > _there_is(held)


def _there_is(held: Held | None) -> Decimal:
    return ZERO if held is None else held.quantity
