"""What the state of every algo has: the part that the engine, and all plans alike, know.

Owns how that is kept in PostgreSQL; the rest of a state is its plan's. Never decides.
"""

import msgspec

from pms_algos.domain.actions import EndReason
from pms_algos.domain.times import UtcMs


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Of any algo. `version` rises with every save; `wake_ms` is when it wants to be woken, 0: never.

    `answered`: the command that started it has its answer, or is about to; `paused` who holds it back (`pauses`);
    `ending` why it ends when its orders are final, `outcome` how it has ended.
    """

    version: int = 0
    wake_ms: UtcMs = 0
    answered: bool = False
    paused: str | None = None
    ending: EndReason | None = None
    outcome: EndReason | None = None
