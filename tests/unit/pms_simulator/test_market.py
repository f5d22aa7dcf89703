"""Where the market's moves come from: the seeded walk and recorded frames."""

import gzip
import json
from pathlib import Path
from typing import Any

from pms_simulator.adapters.capture import read_captures
from pms_simulator.domain.catalog import LISTINGS, built_in, start_prices
from pms_simulator.domain.market.moves import Levels, Print, Quote
from pms_simulator.domain.market.replay import Recording
from pms_simulator.domain.market.synthetic import Walk
from pms_simulator.domain.symbols import read_symbol
from pms_simulator.domain.units import to_units

SPECS = {entry["symbol"]: read_symbol(entry) for entry in built_in()["symbols"]}


def walk(symbol: str, seed: str = "1") -> Walk:
    spec = SPECS[symbol]
    return Walk(spec, to_units(start_prices()[symbol], spec.price_places), seed, 0.0001)


def test_the_same_seed_gives_the_same_market() -> None:
    first, second, other = (walk("BTCUSDT", seed) for seed in ("1", "1", "2"))
    moves = [[item.step(0, 0.1) for _ in range(20)] for item in (first, second, other)]
    assert moves[0] == moves[1] != moves[2]


def test_every_symbol_walks_on_its_ticks_and_steps() -> None:
    assert len(LISTINGS) == len(SPECS)
    for symbol, spec in SPECS.items():
        for move in walk(symbol).step(0, 0.1):
            if isinstance(move, Levels):
                for price, quantity in move.bids + move.asks:
                    assert price > 0 and price % spec.tick == 0
                    assert quantity == 0 or (quantity >= spec.lot.minimum and quantity % spec.lot.step == 0)


def test_drift_moves_the_middle_and_ends() -> None:
    item = walk("BTCUSDT")
    before, item.drift, item.drift_until_ms = item.middle, -0.01, 1_000
    for at_ms in range(0, 1_000, 100):
        item.step(at_ms, 0.1)
    fallen = item.middle
    assert 0.985 < fallen / before < 0.995
    item.step(1_000, 0.1)
    assert item.drift == 0.0


def test_depth_older_than_the_newest_quote_does_not_undo_it() -> None:
    recording = Recording(SPECS)
    ticker = {"e": "bookTicker", "s": "BTCUSDT", "u": 20, "b": "60000.00", "B": "1", "a": "60000.10", "A": "2"}
    quote = Quote(6_000_000, 1_000, 6_000_010, 2_000)
    assert recording.moves({"data": ticker}) == ("BTCUSDT", [quote])
    diff: dict[str, Any] = {"e": "depthUpdate", "s": "BTCUSDT", "u": 10, "b": [["60000.20", "3"]], "a": []}
    assert recording.moves(diff) == ("BTCUSDT", [Levels([(6_000_020, 3_000)], []), quote])
    assert recording.moves({**diff, "u": 30}) == ("BTCUSDT", [Levels([(6_000_020, 3_000)], [])])
    trade = {"e": "trade", "s": "BTCUSDT", "p": "60000.10", "q": "0.5", "m": False, "X": "MARKET"}
    assert recording.moves(trade) == ("BTCUSDT", [Print(1, 500, 6_000_010, on_tape=True)])
    assert recording.moves({**trade, "X": "INSURANCE_FUND"}) is None
    assert recording.moves({**trade, "s": "NOPE"}) is None


def test_captures_are_merged_and_snapshots_get_their_files_symbol(tmp_path: Path) -> None:
    for name, symbol, start in (("a.gz", "BTCUSDT", 1_000), ("b", "ETHUSDT", 5_000)):
        write(tmp_path / name, start, [(0, quote(symbol, "100.0")), (10, snapshot("100.0"))])
    found = list(read_captures((str(tmp_path / "a.gz"), str(tmp_path / "b"))))
    assert [at for at, _ in found] == [0, 0, 10, 10]
    assert [frame["s"] for _, frame in found[2:]] == ["BTCUSDT", "ETHUSDT"]


def test_a_snapshot_among_several_symbols_is_the_ones_whose_price_is_nearest_also_if_it_comes_first(
    tmp_path: Path,
) -> None:
    depth = {"data": {"e": "depthUpdate", "s": "ETHUSDT", "b": [["1.0", "5"], ["2999.0", "1"]], "a": []}}
    frames = [depth, quote("BTCUSDT", "64000.0"), snapshot("63500.0"), snapshot("3010.0")]
    write(tmp_path / "capture", 1_000, list(enumerate([snapshot("3001.0"), *frames])))
    found = list(read_captures((str(tmp_path / "capture"),)))
    assert [at for at, _ in found] == [0, 1, 2, 3, 4]
    assert [frame["s"] for _, frame in found if "lastUpdateId" in frame] == ["ETHUSDT", "BTCUSDT", "ETHUSDT"]


def quote(symbol: str, bid: str) -> dict[str, Any]:
    return {"data": {"e": "bookTicker", "s": symbol, "b": bid}}


def snapshot(bid: str) -> dict[str, Any]:
    return {"lastUpdateId": 1, "bids": [[bid, "1"]], "asks": []}


def write(path: Path, start: int, frames: list[tuple[int, dict[str, Any]]]) -> None:
    """A recording with an empty line in it, which some recorders leave."""
    lines = "\n".join(f"{start + at} {json.dumps(frame)}\n" for at, frame in frames).encode()
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
