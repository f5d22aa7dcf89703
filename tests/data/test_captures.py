"""The recorded market: the book's best bid and ask, with quantities, equal the bookTicker in force at the same id."""

from pathlib import Path
from typing import Any

from tests.data.captures import Replay, lines

from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.app.wire import BookTicker, decode_frame


def test_book_equals_every_recorded_book_ticker(capture_file: Path, record_property: Any) -> None:
    replay = Replay(capture_file)
    record_property("cases", max(replay.compared, 1))
    applied = sum(stream.applied for stream in replay.streams.values())
    gaps = sum(stream.gaps for stream in replay.streams.values())
    told = f"{applied} diffs applied, {gaps} gaps, {replay.compared} compared, {replay.beyond} beyond a cut differ"
    print(f"{capture_file.name}: {replay.seen} messages, {replay.snapshots} snapshots, {told}")
    assert replay.seen, "nothing in it can be read"
    assert not replay.unequal[:5], f"{len(replay.unequal)} of {replay.compared} differ"
    for (symbol, kind), stream in replay.streams.items():
        assert stream.gaps <= stream.breaks or not stream.applied, f"{symbol} {kind}: a gap where nothing is missing"
        if stream.applied and not stream.breaks:
            assert stream.update_id == stream.last_id, f"{symbol} {kind}: the book was lost"


def test_merged_l1_is_every_book_ticker_and_never_goes_back(capture_file: Path) -> None:
    """With both streams merged by id, L1 after each bookTicker is that one, or a newer one a depth frame brought."""
    ids: list[int] = []
    frames = Frames()
    markets: dict[str, Market] = {}
    for line in lines(capture_file):
        data = decode_frame(line.body).data if line.raw.get("stream", "").endswith("@bookTicker") else None
        if not isinstance(data, BookTicker) or not 0 < data.bid <= data.ask:
            continue
        if line.symbol not in markets:
            markets[line.symbol] = Market(line.symbol, "both", lambda _market: None)
            frames.add(markets[line.symbol])
        frames.on_text(lambda _id, _ok: None, line.body)
        market = markets[line.symbol]
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
    if len(markets) == 1:
        assert ids == sorted(ids)
