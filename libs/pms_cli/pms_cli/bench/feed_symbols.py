"""What many symbols need at the pace of a recording: CPU and memory of the feed's own work, in this process.

Every symbol gets the recorded frames of one, under its own name. Measured is what is done with a frame after the socket
(`feed_throughput` has the socket) until its tick is encoded, at a write a millisecond; and the memory that books and
prices take, at the end of each recorded second (R-26: it does not grow).
`python -m pms_cli.bench.feed_symbols --symbols 600 --seconds 5 CAPTURE` prints a line a recorded second.
"""

import argparse
import gc
import json
import time
from collections.abc import Iterator
from pathlib import Path

from pms_cli.bench.feed_soak_venue import Recorded, Recording
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import Tick
from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.app.wire import decode_snapshot
from pms_feed.domain.book import Book

LEVELS = 1_000
SLICE_S = 0.1
WRITES_A_SLICE = 100


class Symbols:
    """So many markets and what they have to tell."""

    def __init__(self, count: int, recording: Recording) -> None:
        self.frames = Frames()
        self._queued: list[Market] = []
        self._old = recording.symbol.lower().encode()
        self._names = [b"symbol%03dusdt" % at for at in range(count)]
        snapshot = json.dumps(recording.snapshot).encode()
        for name in self._names:
            market = Market(name.decode().upper(), "both", self._publish)
            self.frames.add(market)
            market.on_snapshot(decode_snapshot(snapshot), 1, 1)

    def _publish(self, market: Market) -> None:
        market.queued = True
        self._queued.append(market)

    def texts(self, recorded: list[Recorded]) -> list[bytes]:
        """The frames of a slice for all symbols, by turns."""
        now_ms = time.time_ns() // 1_000_000
        made = [frame.text(0, now_ms) for frame in recorded]
        return [text.replace(self._old, name, 1) for text in made for name in self._names]

    def run(self, texts: list[bytes]) -> None:
        """What the feed does with a slice's frames."""
        on_text, step = self.frames.on_text, max(1, len(texts) // WRITES_A_SLICE)
        for at in range(0, len(texts), step):
            for text in texts[at : at + step]:
                on_text(_ignore, text)
            self._write()

    def _write(self) -> None:
        markets, self._queued = self._queued, []
        ticks: list[Tick] = []
        for market in markets:
            market.queued = False
            market.settle()
            if market.moved:
                ticks.append(market.tick(1))
        encode(ticks)


def _ignore(_request_id: int, _ok: bool) -> None:
    """Nothing was asked for."""


def slices(recording: Recording, seconds: float) -> Iterator[list[Recorded]]:
    """The recording's frames after its snapshot, a tenth of a second each."""
    first = next(frame for frame in recording.frames if frame.update_id >= recording.snapshot["lastUpdateId"])
    end_s = first.at_s + seconds
    gathered: list[Recorded] = []
    until_s = first.at_s + SLICE_S
    for frame in recording.frames:
        if frame.at_s > end_s:
            break
        while frame.at_s > until_s:
            yield gathered
            gathered, until_s = [], until_s + SLICE_S
        gathered.append(frame)


def books_mb(count: int) -> float:
    """What so many books of 1,000 + 1,000 levels take; asked for first, while no freed memory is there to be used."""
    before = rss_mb()
    books = [Book() for _ in range(count)]
    for book in books:
        bids, asks = ([(side + at / 10, at + 0.5) for at in range(LEVELS)] for side in (50_000.0, 60_000.0))
        book.load(1, bids, asks, whole=False)
    return rss_mb() - before


def rss_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="feed_symbols")
    options.add_argument("capture", type=Path)
    options.add_argument("--symbols", type=int, default=600)
    options.add_argument("--seconds", type=float, default=5.0)
    asked = options.parse_args()
    loaded_mb = books_mb(asked.symbols)
    recording = Recording(asked.capture)
    symbols = Symbols(asked.symbols, recording)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    cpu_s, counted = 0.0, 0
    for at, recorded in enumerate(slices(recording, asked.seconds), 1):
        texts = symbols.texts(recorded)
        began = time.process_time()
        symbols.run(texts)
        cpu_s += time.process_time() - began
        counted += len(texts)
        del texts
        if at % 10 == 0:
            figures = {"second": at // 10, "frames": counted, "cpu_percent": round(1000 * cpu_s / at, 1)}
            memory = {"books_mb": round(loaded_mb, 1), "rss_mb": round(rss_mb(), 1)}
            print(json.dumps(figures | memory), flush=True)


if __name__ == "__main__":
    main()
