"""Recordings: capture files with lines ``<local ns> <json>``, packed with gzip or plain, and Binance Vision zips.

Owns the order of time among several files. What a line means, ``domain.market.replay`` knows.
"""

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pms_common.captures import read_lines
from pms_simulator.adapters.vision import open_vision, read_vision

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_captures(paths: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(nanoseconds since the start of its file, or day for a Vision zip, frame) of all files, in that order of time."""
    found = [(path, open_vision(path)) for path in paths]
    quoted = {file.symbol for _, file in found if file is not None and file.kind == "bookTicker"}
    only_vision = all(file is not None for _, file in found)
    frames = [
        _read(path) if file is None else read_vision(file, quoteless=only_vision and file.symbol not in quoted)
        for path, file in found
    ]
    return heapq.merge(*frames, key=lambda item: item[0])


def _read(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """One file's frames. A snapshot body names no symbol: it gets that of the frames before it."""
    first: int | None = None
    symbol: str | None = None
    for recorded_ns, payload in read_lines(Path(path)):
        first = recorded_ns if first is None else first
        frame = _decode(payload)
        if "lastUpdateId" in frame:
            frame["s"] = symbol
        else:
            symbol = frame.get("data", frame).get("s")
        yield recorded_ns - first, frame
