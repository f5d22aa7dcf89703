"""The state table: what each happening makes of an order in each state.

Owns every (happening, state) pair; `reducer` adds the quantities. No pair is left out: the table is checked when it is
read. An odd pair contradicts what was known (a fill after "rejected"): it is counted and logged, never fatal.

The rows of ends (filled, cancelled, expired) are entered only when every execution the exchange has counted is known:
`reducer` holds an end back until then. So a cancel that meets a fill lands in the row of what really happened.
"""

from enum import StrEnum
from typing import NamedTuple, get_args

from pms_common.contracts.bus.base import OrderStatus

STATES: tuple[OrderStatus, ...] = get_args(OrderStatus)


class Kind(StrEnum):
    """What can happen to an order. Names without a prefix come from the exchange's feed or from its trade list."""

    ACKNOWLEDGED = "acknowledged"  # the exchange's answer: it took the order
    REFUSED = "refused"  # the exchange's answer: definitely not executed
    LOST = "lost"  # no answer, or one that does not say
    NEW = "new"
    TRADE = "trade"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    AMENDED = "amended"
    FOUND_OPEN = "found_open"  # a query found it
    FOUND_FILLED = "found_filled"
    FOUND_CANCELLED = "found_cancelled"
    FOUND_EXPIRED = "found_expired"
    ABSENT = "absent"  # a query late enough to be conclusive did not find it
    BARRED = "barred"  # refused here, before it was sent
    WITHDRAWN = "withdrawn"  # cancelled here, before it was sent
    CANCEL_SENT = "cancel_sent"
    CANCEL_REFUSED = "cancel_refused"
    AMEND_SENT = "amend_sent"
    AMEND_REFUSED = "amend_refused"


class Cell(NamedTuple):
    """The state that follows, and whether the pair contradicts what was known."""

    state: OrderStatus
    odd: bool


# `.` stays as it is, `!` stays and is odd, `state!` goes there and is odd: late truth, adopted.
_COLUMNS = "placing active amending cancelling unknown filled cancelled expired rejected failed"
_ROWS = {
    Kind.ACKNOWLEDGED: ". . . . placing . . . placing! placing!",
    Kind.REFUSED: "rejected ! ! ! rejected ! ! ! . .",
    Kind.LOST: "unknown . . . . . . . . .",
    Kind.NEW: "active . . . active . . . active! active!",
    Kind.TRADE: "active . . . active . . . active! active!",
    Kind.FILLED: "filled filled filled filled filled . filled! filled! filled! filled!",
    Kind.CANCELLED: "cancelled cancelled cancelled cancelled cancelled ! . . cancelled! cancelled!",
    Kind.EXPIRED: "expired expired expired expired expired ! . . expired! expired!",
    Kind.AMENDED: "active . active . active . . . active! active!",
    Kind.FOUND_OPEN: "active . . . active . . . active! active!",
    Kind.FOUND_FILLED: "filled filled filled filled filled . filled! filled! filled! filled!",
    Kind.FOUND_CANCELLED: "cancelled cancelled cancelled cancelled cancelled ! . . cancelled! cancelled!",
    Kind.FOUND_EXPIRED: "expired expired expired expired expired ! . . expired! expired!",
    Kind.ABSENT: "failed ! ! ! failed . . . . .",
    Kind.BARRED: "failed ! ! ! ! . . . . .",
    Kind.WITHDRAWN: "cancelled ! ! ! ! . . . . .",
    Kind.CANCEL_SENT: "cancelling cancelling cancelling . ! ! ! ! ! !",
    Kind.CANCEL_REFUSED: ". . . active . . . . . .",
    Kind.AMEND_SENT: "amending amending . ! ! ! ! ! ! !",
    Kind.AMEND_REFUSED: ". . active . . . . . . .",
}


def _cell(state: OrderStatus, text: str) -> Cell:
    target = text.rstrip("!.")
    following = next((known for known in STATES if known == target), state)
    if target and following != target:
        raise ValueError(f"the table names an unknown state: {text}")
    return Cell(following, text.endswith("!"))


def _read() -> dict[Kind, dict[OrderStatus, Cell]]:
    columns = _COLUMNS.split()
    if set(columns) != set(STATES) or set(_ROWS) != set(Kind):
        raise ValueError("the table does not have every state and every kind")
    table: dict[Kind, dict[OrderStatus, Cell]] = {}
    for kind, row in _ROWS.items():
        cells = dict(zip(columns, row.split(), strict=True))
        table[kind] = {state: _cell(state, cells[state]) for state in STATES}
    return table


TABLE = _read()
