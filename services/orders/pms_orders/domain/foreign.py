"""Orders on the exchange account that are not ours: whose they are.

Owns the kinds and how they are told apart: by the client order id, which the exchange itself sets where it closes a
position. Pure. Used by the reconciliation and by whoever hears the user stream.
"""

from dataclasses import dataclass

from pms_common.contracts.bus.base import PositionSide, Side
from pms_common.contracts.bus.exchange import ForeignKind
from pms_common.contracts.bus.orders import Fill

PREFIX = "PMS_"
"""Of every client order id that this system makes (`pms_common.ids`)."""
_FORCED: tuple[tuple[str, ForeignKind], ...] = (
    ("autoclose-", "liquidation"),
    ("adl_autoclose", "adl"),
    ("settlement_autoclose-", "settlement"),
    ("delivery_autoclose-", "settlement"),
)
"""The venue's own ids (its page Event-Order-Update); the last one was seen by others."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of an order on the exchange account, whosoever it is."""

    symbol: str
    exchange_order_id: int
    side: Side
    position_side: PositionSide
    fill: Fill


def kind_of(client_order_id: str) -> ForeignKind:
    """Whose an order is that neither journal, stream nor index knows."""
    for prefix, kind in _FORCED:
        if client_order_id.startswith(prefix):
            return kind
    return "orphan" if client_order_id.startswith(PREFIX) else "other"
