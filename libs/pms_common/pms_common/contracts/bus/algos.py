"""Messages from the algos service.

Owns: the state of an algo for readers (algos → gateway, risk). Actions of algos are in `orders` and `risk`.
"""

import msgspec

from pms_common.contracts.bus.base import Update


class AlgoState(Update, frozen=True, kw_only=True, tag="algo"):
    """An algo after a change; `item` is its line of the active list, `ended` when it has left it."""

    algo_id: str
    kind: str
    account_id: str
    symbol: str
    version: int
    ended: bool = False
    item: msgspec.Raw
