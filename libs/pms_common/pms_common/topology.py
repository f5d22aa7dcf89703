"""Who reads which stream: the fixed table of consumer groups.

Owns the list from which groups are created, trimming is bounded and lag is measured. A group is the name of the
service that reads; its consumer bears the same name, so a successor owns the pending entries at once.
Used by the bus of every service, `pms doctor` and the tests.
"""

from dataclasses import dataclass
from enum import Enum

from pms_common.names import Names

RISK_COMMANDS = (
    "trade",
    "limit",
    "scale",
    "basket",
    "close",
    "close_all",
    "limit_close",
    "amend",
    "validate",
)
ORDERS_COMMANDS = ("cancel", "cancel_all")
ALGOS = ("chase", "scalper", "twap", "twap_basket", "trail_stop")
ALGOS_COMMANDS = tuple(f"{algo}{verb}" for algo in ALGOS for verb in ("", "_cancel", "_pause", "_resume"))


class Kind(Enum):
    """How a stream is kept."""

    WORK = "work"  # until acknowledged; refuses new risk at its bound
    UPDATES = "updates"  # broadcast with a hard cap; a group past it is marked lost


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream with its readers."""

    name: str
    kind: Kind
    groups: tuple[str, ...]


def topology(names: Names) -> tuple[Stream, ...]:
    """All streams that are read by consumer groups, with their groups."""
    work = [
        *((names.cmd(c), ("risk",)) for c in RISK_COMMANDS),
        *((names.cmd(c), ("orders",)) for c in ORDERS_COMMANDS),
        *((names.cmd(c), ("algos",)) for c in ALGOS_COMMANDS),
        (names.op("account"), ("risk",)),
        (names.op("trading_state"), ("risk", "orders", "algos")),
        (names.requests("risk"), ("risk",)),
        (names.requests("orders"), ("orders",)),
        (names.urgent("orders"), ("orders",)),
        (names.changes("orders"), ("orders",)),
        (names.requests("algos"), ("algos",)),
        (names.queries("orders"), ("orders",)),
        (names.queries("risk"), ("risk",)),
        (names.queries("algos"), ("algos",)),
        (names.watch, ("feed",)),
    ]
    updates = [
        (names.updates("orders"), ("risk", "algos", "gateway")),
        (names.updates("risk"), ("algos", "gateway")),
        (names.updates("algos"), ("risk", "gateway")),
    ]
    return (
        *(Stream(name, Kind.WORK, groups) for name, groups in work),
        *(Stream(name, Kind.UPDATES, groups) for name, groups in updates),
    )


def kept_by(names: Names, service: str) -> list[Stream]:
    """The streams that `service` trims: the work it is the first reader of, and the updates it writes."""
    return [
        stream
        for stream in topology(names)
        if (stream.name == names.updates(service) if stream.kind is Kind.UPDATES else stream.groups[0] == service)
    ]
