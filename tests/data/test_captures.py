"""The recorded market: the book's best bid and ask, with quantities, equal the bookTicker in force at the same id.

bookTicker speaks only when the best changes, so the one in force at update id u is the one with the highest id ≤ u.
"""

import bisect
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.app.wire import BookTicker, DepthUpdate, Snapshot, decode_frame, decode_snapshot
from pms_feed.domain.book import Outcome

Quote = tuple[float, float, float, float]


def _lines(path: Path) -> Iterator[bytes]:
    """The JSON bodies of a capture: `<ns> <json>` a line, bare JSON lines, or one JSON document."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for line in content.splitlines():
        at = line.find(b"{")
        if at >= 0:
            yield line[at:]


class Replay:
    """Feeds a capture through the service's own frame handling and compares at each common update id."""

    def __init__(self) -> None:
        self.frames = Frames()
        self.markets: dict[str, Market] = {}
        self.quotes: dict[str, dict[int, Quote]] = defaultdict(dict)
        self.bests: dict[str, dict[int, Quote]] = defaultdict(dict)
        self.outcomes: dict[Outcome, int] = defaultdict(int)
        self.snapshots = self.seen = self.unread = 0
        self.unclaimed: list[Snapshot] = []

    def feed(self, body: bytes) -> None:
        raw: dict[str, Any] = json.loads(body)
        self.seen += 1
        if "lastUpdateId" in raw:
            self._snapshot(decode_snapshot(body))
        elif "stream" not in raw:
            self.feed(b'{"stream":"%s","data":%s}' % (self._bare_stream(raw).encode(), body))
        elif raw["stream"].endswith("@bookTicker") or "@depth" in raw["stream"]:
            self._frame(raw["stream"], body)
        else:
            self.unread += 1

    @staticmethod
    def _bare_stream(raw: dict[str, Any]) -> str:
        kind = "depth@100ms" if raw.get("e") == "depthUpdate" else raw.get("e", "other")
        return f"{raw.get('s', '').lower()}@{kind}"

    def _market(self, symbol: str) -> Market:
        if symbol not in self.markets:
            self.markets[symbol] = Market(symbol, "both", lambda _: None)
        return self.markets[symbol]

    def _snapshot(self, snapshot: Snapshot) -> None:
        """A bare body names no symbol: it is the only one's, or the one's whose best prices are near."""
        self.snapshots += 1
        mid = (snapshot.bids[0][0] + snapshot.asks[0][0]) / 2
        near = [m for m in self.markets.values() if m.l1.known and abs(m.l1.bid / mid - 1) < 0.02]
        for market in near or list(self.markets.values())[:1]:
            market.on_snapshot(snapshot, 1, 1)
            self._note_best(market)

    def _frame(self, stream: str, body: bytes) -> None:
        data = decode_frame(body).data
        symbol, _, kind = stream.partition("@")
        market = self._market(symbol.upper())
        if isinstance(data, BookTicker):
            self.quotes[symbol][data.update_id] = (data.bid, data.bid_quantity, data.ask, data.ask_quantity)
            market.on_quote(body, 1)
            market.settle()
        elif isinstance(data, DepthUpdate) and not kind.startswith(("depth5", "depth10", "depth20")):
            outcome = market.book.apply(data)
            self.outcomes[outcome] += 1
            if outcome is Outcome.APPLIED:
                self._note_best(market)

    def _note_best(self, market: Market) -> None:
        best = market.book.best()
        if best is not None:
            self.bests[market.symbol.lower()][market.book.update_id] = best


def test_book_equals_every_recorded_book_ticker(capture_file: Path, record_property: Any) -> None:
    replay = Replay()
    for body in _lines(capture_file):
        replay.feed(body)
    compared, unequal = 0, []
    for symbol, bests in replay.bests.items():
        quotes = replay.quotes[symbol]
        ids = sorted(quotes)
        for update_id, best in bests.items():
            at = bisect.bisect_right(ids, update_id)
            if not 0 < at < len(ids):  # before the first or after the last that was recorded
                continue
            compared += 1
            if quotes[ids[at - 1]] != best:
                unequal.append((symbol, update_id, best, quotes[ids[at - 1]]))
    record_property("cases", max(compared, 1))
    applied, gaps = replay.outcomes[Outcome.APPLIED], replay.outcomes[Outcome.GAP]
    print(f"{capture_file.name}: {replay.seen} lines, {applied} diffs applied, {gaps} gaps, {compared} compared")
    assert replay.seen
    assert not unequal[:5], f"{len(unequal)} of {compared} differ"
    if replay.snapshots and applied > 100:
        assert compared > 0.9 * applied - 10, "too few comparisons to prove anything"
        assert gaps == 0


def test_merged_l1_is_every_book_ticker_and_never_goes_back(capture_file: Path) -> None:
    """With both streams merged by id, L1 after each bookTicker is that one, or a newer one a depth frame brought."""
    ids: list[int] = []
    frames = Frames()
    symbols: set[str] = set()
    for body in _lines(capture_file):
        if b'"lastUpdateId"' in body[:40] or b'"stream"' not in body[:12]:
            continue
        data, symbol = decode_frame_or_none(body), body.split(b'"', 4)[3].decode().partition("@")[0]
        if not isinstance(data, BookTicker):
            continue
        if symbol not in symbols:
            symbols.add(symbol)
            frames.add(Market(symbol.upper(), "both", lambda _market: None))
        frames.on_text(lambda _id, _ok: None, body)
        market = frames.routes[f"{symbol}@bookTicker"]
        market.settle()
        ids.append(market.l1.update_id)
        assert market.garbage == 0
        assert market.l1.update_id >= data.update_id
        if market.l1.update_id == data.update_id:
            l1 = market.l1
            assert (l1.bid, l1.bid_quantity, l1.ask, l1.ask_quantity) == (
                data.bid,
                data.bid_quantity,
                data.ask,
                data.ask_quantity,
            )
    assert frames.garbage == frames.other == 0
    if len(symbols) == 1:
        assert ids == sorted(ids)


def decode_frame_or_none(body: bytes) -> BookTicker | DepthUpdate | None:
    """The typed event, or None for the kinds the feed does not read."""
    if b'"e":"bookTicker"' not in body:
        return None
    return decode_frame(body).data
