"""One watched symbol: its L1, its book and what vouches for them.

Owns how frames move L1. Never sends or reads a clock. Used by `app.frames` (hot), `app.publisher`, `app.resync`,
`app.pulse`.

A bookTicker tells the whole of L1, so one that is overtaken before anything was told need not be decoded, and neither
need a book's best be searched. Both happen in `settle`, when a tick is to be written: under a flood once for many
frames, at an ordinary pace once for each.
"""

from collections.abc import Callable

import msgspec

from pms_common.contracts.bus.common import Tick, TickState
from pms_feed.app.wire import BookTicker, DepthUpdate, RestQuote, Snapshot, decode_frame
from pms_feed.domain.book import Book, Outcome
from pms_feed.domain.liveness import Liveness, Silence, tick_state
from pms_feed.domain.merge import L1, Source

SNAPSHOT_LEVELS = 1_000
"""The most the venue gives; weight 20."""
MARK_LIFE_MS = 3_000
"""As long as a price counts that nothing confirms; the venue tells mark prices once a second."""


class Market:
    """State of one symbol; `publish` is called with it when its L1 may have moved, unless it is `queued` already."""

    __slots__ = (
        "_book_moved",
        "_confirmable",
        "_quote",
        "_quote_us",
        "book",
        "connection",
        "depth_silence",
        "depth_stream",
        "depth_us",
        "expect_from_ms",
        "gaps",
        "garbage",
        "halted",
        "l1",
        "liveness",
        "mark",
        "mark_ms",
        "moved",
        "opened_ms",
        "publish",
        "published_ms",
        "queued",
        "quote_silence",
        "quote_stream",
        "quote_us",
        "since_ms",
        "state",
        "symbol",
        "told",
    )

    def __init__(self, symbol: str, source: Source, publish: Callable[["Market"], None], since_ms: int = 0) -> None:
        self.symbol = symbol
        self.publish = publish
        self.since_ms = since_ms
        self.quote_stream = "" if source == "depth" else f"{symbol.lower()}@bookTicker"
        self.depth_stream = "" if source == "bookticker" else f"{symbol.lower()}@depth@100ms"
        self.l1 = L1()
        self.book = Book()
        self.liveness = Liveness()
        self.quote_silence = Silence()
        self.depth_silence = Silence()
        self.quote_us = self.depth_us = 0
        self.opened_ms = 0
        self.expect_from_ms = 0  # moves of the market after this are for the streams to tell
        self.published_ms = 0
        self.gaps = self.garbage = 0
        self.halted = False
        self.mark, self.mark_ms = 0.0, 0
        self.moved = False  # L1 is not what the last tick told
        self.told = True  # by this feed, and not by another that shares the symbols
        self._quote: bytes | None = None  # the newest bookTicker, not decoded yet
        self._quote_us = 0
        self._book_moved = False
        self._confirmable = False
        self.queued = False
        self.state: TickState = "resyncing"

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams this symbol is read from."""
        return tuple(stream for stream in (self.quote_stream, self.depth_stream) if stream)

    def on_quote(self, frame: bytes, now_us: int) -> None:
        """A bookTicker frame, not decoded.

        Frames of a stream are alike up to the digits of the update id, so the one that sorts first is the older. It
        must not displace the other, so that one is decoded now.
        """
        if self._quote is not None and frame < self._quote:
            self._settle_quote()
        self._quote = frame
        self._quote_us = now_us
        if not self.queued:
            self.publish(self)

    def on_depth(self, diff: DepthUpdate, now_us: int) -> None:
        """A depth frame."""
        self.depth_us = now_us
        outcome = self.book.apply(diff)
        if outcome is Outcome.APPLIED:
            self._book_moved = True
            if not self.queued:
                self.publish(self)
        elif outcome is Outcome.GAP:
            self.gaps += 1

    def settle(self) -> None:
        """Bring L1 to what the frames so far say; the book's best is searched only where no newer quote is known."""
        if self._quote is not None:
            self._settle_quote()
        if self._book_moved:
            self._book_moved = False
            if self.l1.newer(self.book.update_id, self.book.event_ms):
                self._offer_best(self.depth_us)

    def _settle_quote(self) -> None:
        frame, self._quote = self._quote, None
        try:
            quote = decode_frame(frame).data if frame is not None else None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            quote = None
        if type(quote) is not BookTicker:
            self.garbage += 1
            return
        self.quote_us = self._quote_us
        self.moved |= self.l1.offer(
            quote.update_id, quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity, quote.event_ms, self.quote_us
        )

    def on_snapshot(self, snapshot: Snapshot, asked_ms: int, now_us: int) -> bool:
        """A REST snapshot asked for at that time; whether the book stands on it.

        One older than the stream is asked for again.
        """
        self.settle()
        whole = max(len(snapshot.bids), len(snapshot.asks)) < SNAPSHOT_LEVELS
        self.book.load(snapshot.update_id, snapshot.bids, snapshot.asks, whole=whole, event_ms=snapshot.event_ms)
        if self.book.loaded and self.l1.newer(self.book.update_id, self.book.event_ms):
            self._offer_best(now_us)
            self.expect_from_ms = now_us // 1000
            self.liveness.compared(asked_ms, equal=True)
            if self.moved and not self.queued:
                self.publish(self)
        return self.book.covered

    def _offer_best(self, now_us: int) -> None:
        best = self.book.best()
        if best is not None:
            self.moved |= self.l1.offer(self.book.update_id, *best, self.book.event_ms, now_us)

    def wants_probe(self, now_ms: int) -> bool:
        """Whether the streams are open and so silent that only the venue's REST quote can tell."""
        return bool(self.opened_ms) and self.liveness.wants_probe(now_ms, self.frame_ms)

    def on_rest_quote(self, quote: RestQuote, asked_ms: int, now_us: int) -> bool:
        """The venue's own quote, asked for because the streams are silent; whether ours equals it.

        It also gives the first price where no stream has spoken, and loses to every frame.
        """
        self.settle()
        if not self.l1.known:
            self.l1.offer(0, quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity, quote.event_ms, now_us)
            self.l1.restart()
        equal = self.l1.known and quote.bid == self.l1.bid and quote.ask == self.l1.ask
        self.liveness.compared(asked_ms, equal)
        return equal

    def opened(self, now_ms: int) -> None:
        """The venue has confirmed a subscription."""
        self.opened_ms = self.expect_from_ms = now_ms

    def disconnected(self) -> None:
        """The streams have ended: diffs will be missed, and ids may count from elsewhere when they begin anew."""
        self.settle()
        self.opened_ms = 0
        self.l1.restart()
        self.book.clear()

    def depth_restarted(self) -> None:
        """The depth stream begins anew."""
        self.book.clear()

    @property
    def wants_snapshot(self) -> bool:
        """Whether the book is lost or beyond what its snapshot covered."""
        return bool(self.depth_stream) and not self.book.covered

    @property
    def frame_ms(self) -> int:
        """The last frame that vouched for L1: a quote, or a depth frame of a standing book."""
        depth_us = self.depth_us if self.book.covered else 0
        return max(self.quote_us, depth_us) // 1000

    @property
    def alive_ms(self) -> int:
        """When the price was last known to be the venue's."""
        return max(self.liveness.alive_ms, self.liveness.agreed_ms, self.frame_ms)

    def look(self, now_ms: int, heard_ms: int) -> None:
        """Judge aliveness and state anew; `heard_ms` is 0 while the connection is down."""
        self.settle()
        alive_ms = self.liveness.look(self.frame_ms, heard_ms)
        self._confirmable = bool(heard_ms) and (bool(self.quote_stream) or self.book.covered)
        self._judge(now_ms, alive_ms)

    def _judge(self, now_ms: int, alive_ms: int) -> None:
        self.state = tick_state(now_ms, alive_ms, halted=self.halted, confirmable=self._confirmable)

    def dead_streams(self, now_ms: int) -> list[str]:
        """Streams that stay silent while the market moves."""
        if not self.opened_ms:
            return []
        moved_ms = max(self.l1.changed_ms, self.liveness.doubted_ms)
        watched = (
            (self.quote_stream, self.quote_silence, self.quote_us),
            (self.depth_stream, self.depth_silence, self.depth_us),
        )
        return [
            stream
            for stream, silence, frame_us in watched
            if stream and silence.dead(now_ms, max(frame_us // 1000, self.expect_from_ms), moved_ms)
        ]

    def tick(self, sent_us: int) -> Tick:
        """The tick to be sent now; `settle` first."""
        l1, alive_ms = self.l1, self.alive_ms
        self.moved = False
        self.published_ms = sent_us // 1000
        if self.state != "live":  # a frame may have come since it was judged
            self._judge(sent_us // 1000, alive_ms)
        return Tick(
            self.symbol,
            l1.bid,
            l1.bid_quantity,
            l1.ask,
            l1.ask_quantity,
            l1.event_ms,
            l1.received_us,
            sent_us,
            alive_ms,
            l1.changed_ms,
            self.state,
            self.mark if sent_us // 1000 - self.mark_ms <= MARK_LIFE_MS else 0.0,
        )
