"""The JSON of answers to trading requests: what was taken, what was refused, how much of each limit is used.

Owns the decoders (msgspec, typed, unknown fields skipped). Never does I/O. Used by both trading lines and REST.
Source of the names: the venue's pages WebSocket API general information, New-Order, Place-Multiple-Orders.
"""

from typing import Any

import msgspec

INTERVAL_MS = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}
"""Spans of the intervals in which the venue counts."""


class ErrorBody(msgspec.Struct):
    """The venue's error object."""

    code: int = 0
    msg: str = ""
    data: dict[str, Any] | None = None

    @property
    def wait_ms(self) -> int | None:
        """For how long the venue wants to be left alone: by its own clock, so that ours does not matter."""
        told = self.data or {}
        until, now = told.get("retryAfter"), told.get("serverTime")
        return max(0, until - now) if isinstance(until, int) and isinstance(now, int) else None


class TradingResult(msgspec.Struct, rename="camel"):
    """What we read of an accepted order.place, order.modify or order.cancel."""

    order_id: int = 0


class RateCount(msgspec.Struct, rename="camel"):
    """How much of a limit is used, as the WebSocket API says in each answer."""

    rate_limit_type: str
    interval: str
    interval_num: int
    count: int = 0

    @property
    def span_ms(self) -> int:
        """The length of its window; 0 for an interval that is not known."""
        return INTERVAL_MS.get(self.interval, 0) * self.interval_num


class TradingAnswer(msgspec.Struct, rename={"rate_limits": "rateLimits"}):
    """An answer of the WebSocket API."""

    status: int
    id: int | str | None = None
    result: TradingResult | None = None
    error: ErrorBody | None = None
    rate_limits: list[RateCount] = []


class TradingItem(msgspec.Struct, rename={"order_id": "orderId", "name": "clientOrderId"}):
    """An answer of REST: one of an order (`name` is its client order id), or an error where the code is not 0."""

    order_id: int = 0
    name: str = ""
    code: int = 0
    msg: str = ""


trading_item = msgspec.json.Decoder(TradingItem)
trading_items = msgspec.json.Decoder(list[TradingItem])
trading_answer = msgspec.json.Decoder(TradingAnswer)
error_body = msgspec.json.Decoder(ErrorBody)
