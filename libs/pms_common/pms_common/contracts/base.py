"""The form of every public message: naming, number and omission rules, and the one encoder.

Owns the base struct, the closed vocabularies that messages share and `encode`. Never knows a particular message.
Used by every module of `pms_common.contracts` and by whoever writes a message to Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

CONTRACT_VERSION = 1
"""Version of the public contract. Raised when a reader of the old one could misread the new one."""

Side = Literal["BUY", "SELL"]
"""Side of an order, chase or TWAP."""

PositionSide = Literal["LONG", "SHORT"]
"""Side of a position, scalper leg or trailing stop."""

Origin = Literal["MANUAL", "CHASE", "SCALPER", "TWAP", "TRAIL_STOP", "BASKET", "SCALE", "LIQUIDATION"]
"""What caused an order."""

OrderType = Literal["MARKET", "LIMIT"]

OrderState = Literal[
    "placing",
    "active",
    "amending",
    "cancelling",
    "unknown",
    "filled",
    "cancelled",
    "expired",
    "rejected",
    "failed",
]
"""`failed` is only for *definitely not executed*, `unknown` follows an ambiguous answer."""

TimeInForce = Literal["GTC", "IOC", "FOK", "GTX", "GTD"]
"""GTX is post-only."""

StalkMode = Literal["none", "maintain", "trail"]

LiquidationMode = Literal["ADL_30", "INSTANT_CLOSE", "TAKEOVER"]

MaintenanceMode = Literal["flat", "brackets"]
"""`flat`: maintenance margin is the account's `maintenanceRate` of the notional; `brackets`: the exchange's tiers."""

MarginMode = Literal["cross", "isolated"]
"""What stands behind a position: all of its account's cash, or the margin that is assigned to it alone."""

TradingState = Literal["active", "reducing", "halted"]


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of all public structs.

    A field without a default is always on the wire (null where its value is not known); a field left at its
    default is omitted. `always` marks the fields that have a default and must be on the wire all the same.
    """


def always(value: Any) -> Any:
    """A struct field whose default is written out too, e.g. `success: true`."""
    return msgspec.field(default_factory=lambda: value)


encode: Callable[[object], bytes] = msgspec.json.Encoder(decimal_format="number").encode
"""JSON of any message: Decimals as JSON numbers with all their digits, ready for JS."""
