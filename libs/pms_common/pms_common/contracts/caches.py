"""Values of the keys that JS reads and services write: prices, risk snapshots, active algos.

    pms:price:{symbol}         PriceCache      feed, risk   30 s
    pms:risk:{subAccountId}    RiskSnapshot    risk         30 s, refreshed at least every 5 s
    pms:algos:{subAccountId}   hash of AlgoItem by id       algos, removed with the algo

Outputs only: no service reads another's.
"""

from __future__ import annotations

import msgspec

from pms_common.contracts.account import RiskOrder, RiskPosition, RiskSnapshot
from pms_common.contracts.algos import AlgoItem
from pms_common.contracts.base import Wire

PRICE_TTL_S = 30
RISK_TTL_S = 30
RISK_REFRESH_S = 5


class PriceCache(Wire, frozen=True, kw_only=True):
    """Value of `pms:price:{symbol}`; `mark` equals `mid` and is there for old readers."""

    bid: float
    ask: float
    mid: float
    mark: float
    ts_ms: int = msgspec.field(name="ts")


__all__ = [
    "PRICE_TTL_S",
    "RISK_REFRESH_S",
    "RISK_TTL_S",
    "AlgoItem",
    "PriceCache",
    "RiskOrder",
    "RiskPosition",
    "RiskSnapshot",
]
