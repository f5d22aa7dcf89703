"""What commissions in other assets were worth when their executions were booked, until that is committed.

Owns that an execution which is booked anew after a crash costs its account what was told of it, though the asset is
worth something else by then, or no price and no fee rate is known yet. Used by the books, `order_feed` and
`foreign_fills`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pms_common.bus import Outbox
from pms_common.contracts.bus.orders import Fill
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.state import RiskState
from pms_risk.domain.account import SETTLEMENT_ASSET


class FeeValues:
    """Values by execution, kept in a Redis hash in the MULTI that tells what was booked."""

    def __init__(self, state: RiskState, outbox: Outbox, journal: Journal, key: str) -> None:
        self._state = state
        self._outbox = outbox
        self._journal = journal
        self._key = key
        self._kept: dict[str, Decimal] = {}

    def restore(self, kept: Mapping[Any, Any]) -> None:
        """What a predecessor told and may not have committed, as the hash has it."""
        self._kept.update({name.decode(): Decimal(value.decode()) for name, value in kept.items()})

    def value(self, fill: Fill) -> Decimal:
        """What the commission of an execution is worth in the settlement asset."""
        name = _name(fill)
        if name not in self._kept:
            self._kept[name] = value = self._state.fee_value(fill)
            self._outbox.command("HSET", self._key, name, str(value).encode())
        return self._kept[name]

    def booked(self, fill: Fill) -> None:
        """All rows of an execution are in the journal: its value is kept until they are committed."""
        if fill.commission and fill.commission_asset != SETTLEMENT_ASSET:
            self._journal.then(lambda: self._forget(_name(fill)))

    def _forget(self, name: str) -> None:
        self._kept.pop(name, None)
        self._outbox.command("HDEL", self._key, name)


def _name(fill: Fill) -> str:
    """Both sides of a match between two of our own orders bear one trade id."""
    return f"{fill.trade_id}:{fill.trade_ms}:{fill.maker}:{fill.commission_asset}:{fill.commission}"
