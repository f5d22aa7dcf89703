"""Recordings: capture files with lines ``<local ns> <json>``, packed with gzip or plain, and Binance Vision zips.

Owns file reading, one line at a time; several files are merged by time. What a line means, ``domain.market.replay``
knows.
"""

import gzip
import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from pms_simulator.adapters.vision import open_vision, read_vision

GZIP_MAGIC = b"\x1f\x8b"
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
    with _open(path) as lines:
        for line in lines:
            stamp, _, payload = line.partition(b" ")
            recorded_ns = int(stamp)
            first = recorded_ns if first is None else first
            frame = _decode(payload)
            if "lastUpdateId" in frame:
                frame["s"] = symbol
            else:
                symbol = frame.get("data", frame).get("s")
            yield recorded_ns - first, frame


def _open(path: str) -> BinaryIO:
    with Path(path).open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path, "rb")) if packed else Path(path).open("rb")
