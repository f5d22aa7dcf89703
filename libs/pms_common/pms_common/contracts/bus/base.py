"""Base of all messages between services: tagged msgspec structs, one JSON object an entry.

Owns the encoding (`encode`) and the form of the header every updates stream carries. Never knows a stream's name.
Prices and quantities are decimals and travel as strings, so nothing is lost between services; the public contract
uses JSON numbers instead (see `contracts.base`).
"""

from typing import Literal

import msgspec

Side = Literal["BUY", "SELL"]
PositionSide = Literal["BOTH", "LONG", "SHORT"]
Origin = Literal["MANUAL", "CHASE", "SCALPER", "TWAP", "TRAIL_STOP", "BASKET", "SCALE", "LIQUIDATION"]
OrderStatus = Literal[
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
FINAL_STATES: frozenset[str] = frozenset({"filled", "cancelled", "expired", "rejected", "failed"})


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    """A message between services; `t` tells which one."""


class Update(Message, frozen=True, kw_only=True):
    """An entry of an updates stream: `epoch` of its writer and its running number `n` in that epoch."""

    epoch: int
    n: int


_encoder = msgspec.json.Encoder()
encode = _encoder.encode
