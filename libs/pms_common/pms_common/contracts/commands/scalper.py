"""Commands of the scalper: layered chases on both legs. Read by algos."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pms_common.contracts.commands.base import OPENING_LIFE_MS, AccountRule, Command, Owner
from pms_common.contracts.rules import (
    Alias,
    Bool,
    Id,
    Integer,
    LegSide,
    Leverage,
    Number,
    OneOf,
    Price,
    Quantity,
    Report,
    Symbol,
)

_OffsetPct = Annotated[Decimal, Number(ge=0, le=10)]
_SizeUsd = Annotated[Decimal, Number(ge=0)]


class Scalper(Command, frozen=True, kw_only=True):
    """Start a scalper.

    `base_offset_pct` stands for both legs' offsets and is resolved into them; sizes are USDT notional a leg, or
    `quantity` in base coin for each. Switched off by 0: `min_fill_spread_pct`, `min_refill_delay_ms`,
    `max_loss_per_close_bps`, `max_fills_per_minute`. The bounds `long_max_price`, `short_min_price` and the pins
    keep a leg from buying above or selling below.
    """

    TYPE: ClassVar[str] = "scalper"
    OWNER: ClassVar[Owner] = "algos"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
    symbol: Symbol
    start_side: Annotated[LegSide, Alias("side")]
    leverage: Leverage
    child_count: Annotated[int, Integer(1, 10), Alias("layers")] = 1
    base_offset_pct: _OffsetPct | None = None
    long_offset_pct: _OffsetPct = Decimal(0)
    short_offset_pct: _OffsetPct = Decimal(0)
    long_size_usd: _SizeUsd = Decimal(0)
    short_size_usd: _SizeUsd = Decimal(0)
    quantity: Quantity | None = None
    skew: Annotated[int, Integer(-100, 100)] = 0
    neutral_mode: Bool = False
    long_max_price: Price | None = None
    short_min_price: Price | None = None
    pin_long_to_entry: Bool = False
    pin_short_to_entry: Bool = False
    min_fill_spread_pct: Annotated[Decimal, Number(ge=0, le=10)] = Decimal(0)
    fill_decay_half_life_ms: Annotated[int, Integer(1_000, 3_600_000)] = 30_000
    min_refill_delay_ms: Annotated[int, Integer(0, 300_000)] = 0
    allow_loss: Bool = True
    max_loss_per_close_bps: Annotated[int, Integer(0, 10_000)] = 0
    max_fills_per_minute: Annotated[int, Integer(0, 100)] = 0
    pnl_feedback_mode: Annotated[Literal["off", "soft", "full"], OneOf(("off", "soft", "full"))] = "off"
    replaces_id: Id | None = None

    @classmethod
    def settle(cls, given: dict[str, Any], report: Report) -> None:
        base = given.pop("base_offset_pct", None)
        if base is not None and ("long_offset_pct" in given or "short_offset_pct" in given):
            report.refuse("baseOffsetPct", "cannot be given together with longOffsetPct or shortOffsetPct")
        elif base is not None:
            given["long_offset_pct"] = given["short_offset_pct"] = base
        sized = given.get("long_size_usd") or given.get("short_size_usd")
        if "quantity" in given and sized:
            report.refuse("quantity", "cannot be given together with longSizeUsd or shortSizeUsd")
        elif "quantity" not in given and not sized:
            report.refuse("longSizeUsd", "is required: give longSizeUsd, shortSizeUsd or quantity above 0")


class OneScalper(Command, frozen=True, kw_only=True):
    """Base of the commands that name one scalper."""

    OWNER: ClassVar[Owner] = "algos"
    ACCOUNT: ClassVar[AccountRule] = "by_object"
    scalper_id: Id


class ScalperCancel(OneScalper, frozen=True, kw_only=True):
    """End a scalper and cancel its children; `close_positions` also closes what it opened."""

    TYPE: ClassVar[str] = "scalper_cancel"
    close_positions: Bool = False


class ScalperPause(OneScalper, frozen=True, kw_only=True):
    """Cancel a scalper's children and wait."""

    TYPE: ClassVar[str] = "scalper_pause"


class ScalperResume(OneScalper, frozen=True, kw_only=True):
    """Go on with a paused scalper."""

    TYPE: ClassVar[str] = "scalper_resume"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
