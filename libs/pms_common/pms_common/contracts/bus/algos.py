"""Messages to and from the algos service.

Owns: what risk, and orders for a `cancel_all`, ask of an account's algos (→ algos) and its answer, and the state of an
algo for readers (algos → gateway, risk). Actions of algos are in `orders` and `risk`.
"""

from typing import Literal

import msgspec

from pms_common.contracts.bus.base import Message, Update

Control = Literal["pause", "stop", "resume"]


class ControlAlgos(Message, frozen=True, kw_only=True, tag="control"):
    """Pause, stop or resume the algos of an account, on one symbol or on all (an empty string).

    `token` names the request; `AlgosControlled` repeats it. From the answer on nothing more is asked for; what was
    asked for before may still be on its way, and is cancelled. Each action may be repeated, and the newest holds:
    `resume` lifts only what `pause` has done for the same symbol, nobody else's pause. `stop` ends also what has not
    begun because it waits for its first price. `reason` is why algos that are stopped end.
    """

    token: str
    account_id: str
    symbol: str = ""
    action: Control
    reason: Literal["risk", "cancelled"] = "risk"


algos_work = msgspec.json.Decoder(ControlAlgos)


class AlgosControlled(Update, frozen=True, kw_only=True, tag="controlled"):
    """Answer to `ControlAlgos`, at once: `algos` are those it concerned."""

    token: str
    account_id: str
    symbol: str = ""
    action: Control
    algos: tuple[str, ...] = ()


class AlgoState(Update, frozen=True, kw_only=True, tag="algo"):
    """An algo after a change; `item` is its line of the active list, `ended` when it has left it."""

    algo_id: str
    kind: str
    account_id: str
    symbol: str
    version: int
    ended: bool = False
    item: msgspec.Raw
