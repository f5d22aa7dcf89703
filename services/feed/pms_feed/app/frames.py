"""Every frame of every connection: decode, find the market by the stream's name, hand on.

Owns the routes and the counts; garbage is counted and never fatal. The hot path of the feed: of a bookTicker only the
stream's name is read here. Used by `adapters.socket` through `app.connection`.
"""

import time
from collections.abc import Callable

import msgspec

from pms_feed.app.market import Market
from pms_feed.app.wire import DepthUpdate, Frame, decode_frame

HEAD = len('{"stream":"')
Answer = Callable[[int, bool], None]
"""Takes the id of a control message and whether the venue accepted it."""


class Frames:
    """Routes frames to markets."""

    __slots__ = ("_quoted", "depths", "garbage", "other", "quotes", "routes")

    def __init__(self) -> None:
        self.routes: dict[str, Market] = {}
        self._quoted: dict[bytes, Market] = {}
        self.quotes = self.depths = self.garbage = self.other = 0

    def add(self, market: Market) -> None:
        """Route the market's streams to it."""
        for stream in market.streams:
            self.routes[stream] = market
        if market.quote_stream:
            self._quoted[market.quote_stream.encode()] = market

    def remove(self, market: Market) -> None:
        """Route them nowhere."""
        for stream in market.streams:
            self.routes.pop(stream, None)
        self._quoted.pop(market.quote_stream.encode(), None)

    def on_text(self, answer: Answer, payload: bytes) -> None:
        """One text frame; `answer` first, so that a connection binds its own without another call a frame."""
        market = self._quoted.get(payload[HEAD : payload.find(b'"', HEAD)])
        if market is not None:
            self.quotes += 1
            market.on_quote(payload, time.time_ns() // 1000)
        else:
            self._decode(answer, payload)

    def _decode(self, answer: Answer, payload: bytes) -> None:
        """All that is no bookTicker in the venue's usual order of fields."""
        try:
            frame = decode_frame(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.garbage += 1
            return
        market = self.routes.get(frame.stream)
        if market is None:
            self._unrouted(frame, answer)
        elif type(frame.data) is DepthUpdate:
            self.depths += 1
            market.on_depth(frame.data, time.time_ns() // 1000)
        elif frame.stream == market.quote_stream:
            self.quotes += 1
            market.on_quote(payload, time.time_ns() // 1000)
        else:
            self.garbage += 1

    def _unrouted(self, frame: Frame, answer: Answer) -> None:
        if frame.id is not None and not frame.stream:
            answer(frame.id, frame.error is None and frame.code is None)
        else:
            self.other += 1  # a stream just given up, or an answer without an id
