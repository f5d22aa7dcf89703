"""The symbol is delisted or delivered: its orders end (er 7), a settlement_autoclose- order closes the position."""

from typing import ClassVar

from pms_simulator.domain.faults.forced_close import ForcedClose
from pms_simulator.domain.orders import Forced


class Settlement(ForcedClose):
    """Closed for SETTLEMENT."""

    kind: ClassVar[str] = "settlement"
    why: ClassVar[Forced] = "SETTLEMENT"
