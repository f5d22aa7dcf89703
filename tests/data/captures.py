"""Captures as they may come: what their lines are, and what book their frames make.

Owns the tolerance for forms: packed or plain, broken off at the end, a time or an address or nothing before the JSON,
in the combined stream's wrapper or bare, several symbols in one file, snapshots late, again or from after a reconnect.
Used by the tests on data and by `tests/unit/pms_feed/test_unseen_captures.py`, which makes captures of these forms.
"""

import bisect
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pms_common.captures import unpacked
from pms_feed.app.wire import BookTicker, DepthUpdate, Snapshot, decode_frame, decode_snapshot
from pms_feed.domain.book import Book, Diff, Outcome

Quote = tuple[float, float, float, float]
_ASKED_FOR = re.compile(rb"[?&]symbol=(\w+)")
_PARTIAL = re.compile(r"depth(5|10|20)(@|$)")


class Line(NamedTuple):
    """One message: a combined stream's frame, or a snapshot and, where the line tells it, the symbol it is of."""

    symbol: str
    body: bytes
    raw: dict[str, Any]


def lines(path: Path) -> Iterator[Line]:
    """The messages of a capture; bare events come in a wrapper. Raises ValueError for market data nobody can read."""
    found = list(_bodies(path))
    for number, (before, body) in enumerate(found, 1):
        try:
            raw = json.loads(body)
        except ValueError:
            if number < len(found) and (b'"bookTicker"' in body or b'"depthUpdate"' in body):
                raise ValueError(f"{path}: message {number} is no JSON: {body[:80]!r}") from None
            continue  # the last one may be broken off; others may be a recorder's own notes
        asked_for = _ASKED_FOR.search(before)
        if "lastUpdateId" in raw:
            yield Line(asked_for[1].decode().upper() if asked_for else "", body, raw)
        elif "stream" in raw:
            yield Line(raw["data"].get("s", "") if isinstance(raw["data"], dict) else "", body, raw)
        elif "e" in raw and "s" in raw:
            kind = "depth@100ms" if raw["e"] == "depthUpdate" else raw["e"]
            stream = f"{raw['s'].lower()}@{kind}"
            wrapped = b'{"stream":%b,"data":%b}' % (json.dumps(stream, ensure_ascii=False).encode(), body)
            yield Line(raw["s"], wrapped, {"stream": stream, "data": raw})


def _bodies(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """(What stands before it, JSON) of each line, or of the whole file where it is one document."""
    content = b"".join(unpacked(path))
    try:
        document = msgspec.json.decode(content, type=list[msgspec.Raw] | dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        for line in content.splitlines():
            at = line.find(b"{")
            if at >= 0:
                yield line[:at], line[at:].strip()
    else:
        for body in document if isinstance(document, list) else [content]:
            yield b"", bytes(body)


class Stream(Book):
    """One symbol's diffs of one kind (`@depth@0ms` and `@depth@100ms` count apart), and the book they make."""

    def __init__(self) -> None:
        super().__init__()
        self.expecting = True
        self.applied = self.gaps = self.last_id = 0
        self.breaks = 0
        """Where the recorded ids do not follow each other."""
        self.whole_since = 0
        """Quotes below this id are not known to be all there: they may have been lost with a diff."""
        self.bests: dict[int, tuple[Quote, bool, int]] = {}

    def take(self, diff: DepthUpdate, snapshot: Snapshot | None) -> None:
        """A diff; after a gap the newest snapshot is tried again, which a reconnect may have brought before it."""
        if self.last_id and diff.previous_id != self.last_id and diff.last_id > self.last_id:
            self.breaks += 1
            self.whole_since = diff.last_id
        self.last_id = max(self.last_id, diff.last_id)
        if self.apply(diff) is Outcome.GAP:
            self.gaps += 1
            if snapshot is not None:
                self.offer(snapshot)

    def offer(self, snapshot: Snapshot) -> None:
        """A snapshot, where one is wanted; the file does not tell its limit, so it counts as cut."""
        if not self.covered:
            self.load(snapshot.update_id, snapshot.bids, snapshot.asks, whole=False)

    def apply(self, diff: Diff) -> Outcome:
        """Note the best after each diff, also after those that waited for the snapshot."""
        outcome = super().apply(diff)
        if outcome is Outcome.APPLIED:
            self.applied += 1
            best = self.best()
            if best is not None:
                self.bests[self.update_id] = best, self.covered, self.whole_since
        return outcome


def _event(line: Line) -> str:
    data = line.raw.get("data")
    return str(data.get("e")) if isinstance(data, dict) else ""


class Replay:
    """A whole capture, read as the feed reads its frames, and compared with its bookTickers at each common update id.

    bookTicker speaks only when the best changes, so the one in force at update id u is the one with the highest id ≤ u.
    """

    def __init__(self, path: Path) -> None:
        self.streams: dict[tuple[str, str], Stream] = defaultdict(Stream)
        self.seen = self.snapshots = self.unread = 0
        self.compared = self.beyond = 0
        self.unequal: list[tuple[str, int, Quote, Quote]] = []
        self._quotes: dict[str, dict[int, Quote]] = defaultdict(dict)
        self._prices: dict[str, float] = {}
        self._newest: dict[str, Snapshot] = {}
        read = list(lines(path))
        for line in read:
            self._learn(line)
        for line in read:
            self._feed(line)
        for (symbol, _), stream in self.streams.items():
            self._compare(symbol, stream)

    def _learn(self, line: Line) -> None:
        """What is to be known before the first frame: quotes by id, and about what a symbol costs."""
        self.seen += 1
        if _event(line) == "bookTicker":
            quote = decode_frame(line.body).data
            assert isinstance(quote, BookTicker)
            self._quotes[line.symbol][quote.update_id] = quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity
            self._prices[line.symbol] = quote.bid
        elif _event(line) == "depthUpdate" and (bids := line.raw["data"]["b"]):
            self._prices.setdefault(line.symbol, float(bids[-1][0]))

    def _feed(self, line: Line) -> None:
        if "lastUpdateId" in line.raw:
            self._snapshot(line.symbol, decode_snapshot(line.body))
        elif _event(line) == "depthUpdate":
            kind = line.raw["stream"].partition("@")[2]
            if _PARTIAL.match(kind):
                self.unread += 1
                return
            diff = decode_frame(line.body).data
            assert isinstance(diff, DepthUpdate)
            self.streams[line.symbol, kind].take(diff, self._newest.get(line.symbol))
        else:
            self.unread += 1

    def _snapshot(self, symbol: str, snapshot: Snapshot) -> None:
        """A bare body names no symbol: it is the one's whose price is nearest."""
        self.snapshots += 1
        best = snapshot.bids[0][0]
        symbol = symbol or min(self._prices, key=lambda name: abs(self._prices[name] / best - 1), default="")
        self._newest[symbol] = snapshot
        for (name, _), stream in list(self.streams.items()):
            if name == symbol:
                stream.offer(snapshot)

    def _compare(self, symbol: str, stream: Stream) -> None:
        ids = sorted(self._quotes[symbol])
        for update_id, (best, covered, since) in stream.bests.items():
            at = bisect.bisect_right(ids, update_id)
            if not 0 < at < len(ids) or ids[at - 1] < since:  # which one was in force is not recorded
                continue
            self.compared += 1
            quote = self._quotes[symbol][ids[at - 1]]
            if quote != best and covered:
                self.unequal.append((symbol, update_id, best, quote))
            elif quote != best:
                self.beyond += 1
