"""Algos made of chases: each is stepped as if it were alone, and what it wants done is put into one decision.

Owns the passing on of events and the gathering of what comes back: a part's save is a save of the whole, what concerns
its child goes on as it is, and what it would tell readers is for the whole to tell. Used by every plan with parts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec.structs import replace

from pms_algos.domain import chase as chases
from pms_algos.domain.actions import (
    Action,
    Amend,
    Ask,
    CancelChild,
    ChildAction,
    Ended,
    Notice,
    Progress,
    Save,
    Started,
)
from pms_algos.domain.chase_child import ASK_LIFE_MS, never_asked, passes
from pms_algos.domain.chase_state import Chase, ChasePlan
from pms_algos.domain.events import (
    AccountChanged,
    Cancelled,
    Event,
    LookedUp,
    Missing,
    Paused,
    Refused,
    Resumed,
    Saved,
    Scene,
    Told,
    Woken,
)
from pms_algos.domain.pauses import held_back, holds, let_go
from pms_algos.domain.state import State
from pms_common.contracts.errors import ErrorCode

RETRY_MS = 500
MAX_RETRY_MS = 10_000
MAX_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class Within:
    """What is to be done about the child of a part; `plan` is the part's."""

    plan: ChasePlan
    action: ChildAction


@dataclass(frozen=True, slots=True)
class PartChanged:
    """Tell readers of a part as of an algo of its own: where its order is now."""

    part: Chase


@dataclass(frozen=True, slots=True)
class PartEnded:
    """The end of a part is durable: tell how it ended, where it was shown, and what the whole tells of it."""

    part: Chase
    notice: Notice | None


PlanAction = Action | Within | PartChanged | PartEnded
Actions = tuple[PlanAction, ...]


@dataclass(slots=True)
class Gathered:
    """What the parts want, so far.

    `refusal` is why the last of them that failed did, `passes` whether that may pass. `shows`: readers are told of each
    part.
    """

    actions: list[PlanAction] = field(default_factory=list)
    saves: bool = False
    changed: bool = False
    refusal: str = ""
    passes: bool = False
    shows: bool = False

    def begin(self, plan: ChasePlan, now_ms: int) -> Chase:
        """A new part; its first child is asked for when it is saved."""
        part, actions = chases.start(plan, now_ms + ASK_LIFE_MS)
        self._take(plan, actions)
        return part

    def step(self, part: Chase, event: Event, scene: Scene) -> Chase:
        """Hand a part what happens; what is told of another's child is not its own, nor is another's time."""
        if isinstance(event, Told | Refused | Missing) and event.work != part.plan.algo_id:
            return part
        if isinstance(event, Woken) and not 0 < part.wake_ms <= scene.now_ms:
            return part
        if isinstance(event, Refused):
            self.refusal = event.message
        elif isinstance(event, Told) and (event.update.error or event.update.reason):
            self.refusal = event.update.error or event.update.reason or ""
        after, actions = chases.step(part, event, scene)
        self._take(part.plan, actions)
        if after.refusal is not None:
            self.refusal, self.passes = after.refusal.message, passes(ErrorCode[after.refusal.code])
        if self.shows and shown(after) and not after.ended and _CHANGED in actions:
            self.actions.append(PartChanged(after))
        return after

    def _take(self, plan: ChasePlan, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Ask() | Amend() | CancelChild():
                    self.actions.append(Within(plan, action))
                case Save():
                    self.saves = True
                case Progress():
                    self.changed |= action.changed


_CHANGED = Progress(changed=True)


def shown(part: Chase) -> bool:
    """Whether there is something to show of a part: an order that has a price and was at the exchange."""
    return part.answered and not part.plan.at_market


W = TypeVar("W", bound=State)


def heard(whole: W, event: Event, gathered: Gathered) -> tuple[W, Event | None]:
    """What an end, a pause, its being let go, or its being durable make of any of them, and what its parts hear of it.

    A pause takes their orders back. It is answered when it is durable; one that was told to end before is not.
    """
    match event:
        case Cancelled() if whole.ending is None:
            whole, gathered.saves = replace(whole, ending=event.reason), True
        case Paused() if whole.ending is None and not holds(whole.paused, event.by):
            gathered.saves = gathered.changed = True
            return replace(whole, paused=held_back(whole.paused, event.by)), Cancelled("cancelled")
        case Resumed() if let_go(whole.paused, event.by) != whole.paused:
            gathered.saves = gathered.changed = True
            return replace(whole, paused=let_go(whole.paused, event.by)), None
        case Saved() | LookedUp() if not whole.answered and whole.ending is None:
            gathered.actions.append(Started())
            whole, gathered.changed = replace(whole, answered=True), True
        case Cancelled() | Paused() | Resumed() | AccountChanged():
            return whole, None
    return whole, event


def cut_off(whole: W, parts: Iterable[Chase]) -> tuple[W, Actions]:
    """End at once what cannot be stepped to its end; what its orders still execute is not counted."""
    if whole.outcome is not None:
        return whole, ()
    asked = (part for part in parts if not part.ended and not never_asked(part.child))
    cancels = (Within(part.plan, CancelChild(part.child.number, part.child.attempt)) for part in asked)
    return replace(whole, outcome="error", wake_ms=0, version=whole.version + 1), (Save(), *cancels, Ended())


def pause_ms(tries: int) -> int:
    """How long until a close that has failed so often is tried again."""
    return min(RETRY_MS << min(tries, MAX_DOUBLINGS), MAX_RETRY_MS)


def earliest(*wakes: int) -> int:
    """The first of the times at which something wants to be woken; 0 stands for never."""
    return min((at_ms for at_ms in wakes if at_ms), default=0)
