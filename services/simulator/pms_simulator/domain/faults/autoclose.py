"""Liquidation on a symbol: the orders there end (er 5), an autoclose- order closes the position, and costs its fee."""

from typing import ClassVar

from pms_simulator.domain.faults.forced_close import ForcedClose
from pms_simulator.domain.orders import Forced


class AutoClose(ForcedClose):
    """Closed for LIQUIDATION."""

    kind: ClassVar[str] = "autoclose"
    why: ClassVar[Forced] = "LIQUIDATION"
