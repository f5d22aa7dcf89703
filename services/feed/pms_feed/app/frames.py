"""Every frame of every connection: decode, find the market by the stream's name, hand on.

Owns the routes and the counts; garbage is counted and never fatal. The hot path of the feed: nothing here is
allocated but what decoding makes. Used by `adapters.socket` through `app.connection`.
"""

import time
from collections.abc import Callable

import msgspec

from pms_feed.app.market import Market
from pms_feed.app.wire import BookTicker, DepthUpdate, Frame, decode_frame

Answer = Callable[[int, bool], None]
"""Takes the id of a control message and whether the venue accepted it."""


class Frames:
    """Routes frames to markets."""

    __slots__ = ("depths", "garbage", "other", "quotes", "routes")

    def __init__(self) -> None:
        self.routes: dict[str, Market] = {}
        self.quotes = self.depths = self.garbage = self.other = 0

    def add(self, market: Market) -> None:
        """Route the market's streams to it."""
        for stream in market.streams:
            self.routes[stream] = market

    def remove(self, market: Market) -> None:
        """Route them nowhere."""
        for stream in market.streams:
            self.routes.pop(stream, None)

    def on_text(self, answer: Answer, payload: bytes) -> None:
        """One text frame; `answer` first, so that a connection binds its own without another call a frame."""
        try:
            frame = decode_frame(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.garbage += 1
            return
        market = self.routes.get(frame.stream)
        if market is None:
            self._unrouted(frame, answer)
            return
        data = frame.data
        if type(data) is BookTicker:
            self.quotes += 1
            market.on_quote(data, time.time_ns() // 1000)
        elif type(data) is DepthUpdate:
            self.depths += 1
            market.on_depth(data, time.time_ns() // 1000)
        else:
            self.garbage += 1

    def _unrouted(self, frame: Frame, answer: Answer) -> None:
        if frame.id is not None and not frame.stream:
            answer(frame.id, frame.error is None and frame.code is None)
        else:
            self.other += 1  # a stream just given up, or an answer without an id
