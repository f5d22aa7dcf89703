"""Capture files: lines ``<local ns> <json>``, packed with gzip or plain, read one at a time.

Owns file reading; several files are merged by time. What a line means is ``domain.market.replay``'s.
"""

import gzip
import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

GZIP_MAGIC = b"\x1f\x8b"
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_captures(paths: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(nanoseconds since the start of its file, frame) of all files, in that order of time."""
    return heapq.merge(*(_read(path) for path in paths), key=lambda item: item[0])


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
