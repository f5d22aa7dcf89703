"""Commands of the chase: a limit order that follows the touch. Read by algos."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pms_common.contracts.base import StalkMode
from pms_common.contracts.commands.base import OPENING_LIFE_MS, AccountRule, Command, Owner
from pms_common.contracts.rules import (
    Alias,
    Bool,
    Id,
    Integer,
    Leverage,
    Number,
    OneOf,
    OrderSide,
    Quantity,
    Report,
    Symbol,
)


class Chase(Command, frozen=True, kw_only=True):
    """Start a chase.

    `stalk_offset_pct` (or, instead, `stalk_offset_ticks`) is the distance kept behind the own quote;
    `stalk_mode`: none and maintain follow in both directions, trail only towards the market;
    `max_distance_pct` ends it when the own quote has moved that far from the first one (0: never);
    `min_interval_ms` is the least time between two reprices; `replaces_id` names the chase this one replaces.
    """

    TYPE: ClassVar[str] = "chase"
    OWNER: ClassVar[Owner] = "algos"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
    symbol: Symbol
    side: OrderSide
    quantity: Quantity
    leverage: Leverage
    stalk_offset_pct: Annotated[Decimal, Number(ge=0, le=10), Alias("stalkOffset")] = Decimal(0)
    stalk_offset_ticks: Annotated[int | None, Integer(0, 100_000)] = None
    stalk_mode: Annotated[StalkMode, OneOf(("none", "maintain", "trail"))] = "none"
    max_distance_pct: Annotated[Decimal, Number(ge=0, le=50), Alias("maxDistance")] = Decimal(0)
    min_interval_ms: Annotated[int, Integer(0, 60_000)] = 100
    reduce_only: Bool = False
    post_only: Bool = False
    replaces_id: Id | None = None

    @classmethod
    def settle(cls, given: dict[str, Any], report: Report) -> None:
        if given.get("stalk_offset_pct") and "stalk_offset_ticks" in given:
            report.refuse("stalkOffsetTicks", "cannot be given together with stalkOffsetPct")


class OneChase(Command, frozen=True, kw_only=True):
    """Base of the commands that name one chase."""

    OWNER: ClassVar[Owner] = "algos"
    ACCOUNT: ClassVar[AccountRule] = "by_object"
    chase_id: Id


class ChaseCancel(OneChase, frozen=True, kw_only=True):
    """End a chase and cancel its order."""

    TYPE: ClassVar[str] = "chase_cancel"


class ChasePause(OneChase, frozen=True, kw_only=True):
    """Cancel a chase's order and wait."""

    TYPE: ClassVar[str] = "chase_pause"


class ChaseResume(OneChase, frozen=True, kw_only=True):
    """Go on with a paused chase, for its remainder."""

    TYPE: ClassVar[str] = "chase_resume"
    LIFE_MS: ClassVar[int | None] = OPENING_LIFE_MS
