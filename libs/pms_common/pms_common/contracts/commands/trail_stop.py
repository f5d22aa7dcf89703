"""Commands of the trailing stop. Read by algos."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pms_common.contracts.commands.base import CLOSING_LIFE_MS, AccountRule, Command, Owner
from pms_common.contracts.rules import Id, Number, Price


class TrailStop(Command, frozen=True, kw_only=True):
    """Close a whole position when the price comes back `callback_pct` from its best since activation.

    Active at once without `activation_price`, else from the moment the price reaches it.
    """

    TYPE: ClassVar[str] = "trail_stop"
    OWNER: ClassVar[Owner] = "algos"
    LIFE_MS: ClassVar[int | None] = CLOSING_LIFE_MS
    ACCOUNT: ClassVar[AccountRule] = "by_object"
    position_id: Id
    callback_pct: Annotated[Decimal, Number(gt=0, le=50)]
    activation_price: Price | None = None
    replaces_id: Id | None = None


class OneTrailStop(Command, frozen=True, kw_only=True):
    """Base of the commands that name one trailing stop."""

    OWNER: ClassVar[Owner] = "algos"
    ACCOUNT: ClassVar[AccountRule] = "by_object"
    trail_stop_id: Id


class TrailStopCancel(OneTrailStop, frozen=True, kw_only=True):
    """Remove a trailing stop."""

    TYPE: ClassVar[str] = "trail_stop_cancel"


class TrailStopPause(OneTrailStop, frozen=True, kw_only=True):
    """Keep a trailing stop without letting it fire."""

    TYPE: ClassVar[str] = "trail_stop_pause"


class TrailStopResume(OneTrailStop, frozen=True, kw_only=True):
    """Let a paused trailing stop go on from the present price."""

    TYPE: ClassVar[str] = "trail_stop_resume"
