"""The venue's market-data messages as typed structs: decoded once, straight to floats.

Owns the form of combined-stream frames, control answers and REST bodies. Fields nobody here reads (`T`, `s`, `ps`,
`st`, …) are skipped, so new ones do no harm. Used by `app.frames` and `adapters.rest`.
"""

from typing import Annotated

import msgspec

Number = Annotated[float, msgspec.Meta(ge=0, lt=1e15)]
"""A price or quantity; the bounds keep out NaN and infinity, which a lax float would let pass."""
WireLevels = list[tuple[Number, Number]]


class RestError(Exception):
    """A REST request that brought nothing usable; the text says what came instead."""


class BookTicker(msgspec.Struct, tag_field="e", tag="bookTicker", gc=False):
    """`<symbol>@bookTicker`: best bid and ask after update `update_id`."""

    update_id: int = msgspec.field(name="u")
    event_ms: int = msgspec.field(name="E")
    bid: Number = msgspec.field(name="b")
    bid_quantity: Number = msgspec.field(name="B")
    ask: Number = msgspec.field(name="a")
    ask_quantity: Number = msgspec.field(name="A")


class DepthUpdate(msgspec.Struct, tag_field="e", tag="depthUpdate"):
    """`<symbol>@depth…`: levels changed by the updates `first_id` to `last_id`."""

    event_ms: int = msgspec.field(name="E")
    first_id: int = msgspec.field(name="U")
    last_id: int = msgspec.field(name="u")
    previous_id: int = msgspec.field(name="pu")
    bids: WireLevels = msgspec.field(name="b")
    asks: WireLevels = msgspec.field(name="a")


class Frame(msgspec.Struct):
    """A frame of the combined route: a stream's event, or the answer `id` to a control message."""

    stream: str = ""
    data: BookTicker | DepthUpdate | None = None
    id: int | None = None
    error: object = None
    code: int | None = None


class MarkPrice(msgspec.Struct):
    """One symbol in `!markPrice@arr`."""

    symbol: str = msgspec.field(name="s")
    mark: Number = msgspec.field(name="p")


class MarkFrame(msgspec.Struct):
    """A frame of the stream of all mark prices, or the answer `id` to a control message."""

    data: list[MarkPrice] = []
    id: int | None = None
    error: object = None
    code: int | None = None


class Snapshot(msgspec.Struct):
    """`GET /fapi/v1/depth`."""

    update_id: int = msgspec.field(name="lastUpdateId")
    bids: WireLevels
    asks: WireLevels
    event_ms: int = msgspec.field(name="E", default=0)


class RestQuote(msgspec.Struct):
    """`GET /fapi/v1/ticker/bookTicker`."""

    symbol: str
    bid: Number = msgspec.field(name="bidPrice")
    bid_quantity: Number = msgspec.field(name="bidQty")
    ask: Number = msgspec.field(name="askPrice")
    ask_quantity: Number = msgspec.field(name="askQty")
    event_ms: int = msgspec.field(name="time", default=0)


class Listed(msgspec.Struct):
    """A symbol in `GET /fapi/v1/exchangeInfo`."""

    symbol: str
    status: str


class ExchangeInfo(msgspec.Struct):
    """`GET /fapi/v1/exchangeInfo`."""

    symbols: list[Listed]


decode_frame = msgspec.json.Decoder(Frame, strict=False).decode
decode_marks = msgspec.json.Decoder(MarkFrame, strict=False).decode
decode_snapshot = msgspec.json.Decoder(Snapshot, strict=False).decode
decode_quotes = msgspec.json.Decoder(list[RestQuote] | RestQuote, strict=False).decode
decode_exchange_info = msgspec.json.Decoder(ExchangeInfo).decode
