"""Algos made of chases: each is stepped as if it were alone, and what it wants done is put into one decision.

Owns the passing on of events and the gathering of what comes back: a part's save is a save of the whole, what concerns
its child goes on as it is, and what it would tell readers is for the whole to tell. Used by every plan with parts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pms_algos.domain import chase as chases
from pms_algos.domain.actions import (
    Action,
    Amend,
    Ask,
    CancelChild,
    ChildAction,
    Progress,
    Save,
    StartFailed,
)
from pms_algos.domain.chase_child import ASK_LIFE_MS
from pms_algos.domain.chase_state import Chase, ChasePlan
from pms_algos.domain.events import Event, Missing, Refused, Scene, Told

RETRY_MS = 500
MAX_RETRY_MS = 10_000
MAX_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class Within:
    """What is to be done about the child of a part; `plan` is the part's."""

    plan: ChasePlan
    action: ChildAction


PlanAction = Action | Within
Actions = tuple[PlanAction, ...]


@dataclass(slots=True)
class Gathered:
    """What the parts want, so far.

    `refusal` is why the last of them that failed did, `passes` whether that may pass.
    """

    actions: list[PlanAction] = field(default_factory=list)
    saves: bool = False
    changed: bool = False
    refusal: str = ""
    passes: bool = False

    def begin(self, plan: ChasePlan, now_ms: int) -> Chase:
        """A new part; its first child is asked for when it is saved."""
        part, actions = chases.start(plan, now_ms + ASK_LIFE_MS)
        self._take(plan, actions)
        return part

    def step(self, part: Chase, event: Event, scene: Scene) -> Chase:
        """Hand a part what happens; what is told of another's child is not its own."""
        if isinstance(event, Told | Refused | Missing) and event.work != part.plan.algo_id:
            return part
        if isinstance(event, Refused):
            self.refusal = event.message
        elif isinstance(event, Told) and (event.update.error or event.update.reason):
            self.refusal = event.update.error or event.update.reason or ""
        after, actions = chases.step(part, event, scene)
        self._take(part.plan, actions)
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
                case StartFailed():
                    self.refusal, self.passes = action.message, action.code.retryable


def pause_ms(tries: int) -> int:
    """How long until a close that has failed so often is tried again."""
    return min(RETRY_MS << min(tries, MAX_DOUBLINGS), MAX_RETRY_MS)


def earliest(*wakes: int) -> int:
    """The first of the times at which something wants to be woken; 0 stands for never."""
    return min((at_ms for at_ms in wakes if at_ms), default=0)
