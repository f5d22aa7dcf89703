"""A winning position is closed against a liquidated one: an adl_autoclose order."""

from typing import ClassVar

from pms_simulator.domain.faults.forced_close import ForcedClose
from pms_simulator.domain.orders import Forced


class Adl(ForcedClose):
    """Closed for ADL."""

    kind: ClassVar[str] = "adl"
    why: ClassVar[Forced] = "ADL"
