"""Capture files: gzip lines ``<local ns> <json>``, read one at a time.

Owns file reading; several files are merged by time. What a line means is ``domain.market.replay``'s.
"""

import gzip
import heapq
from collections.abc import Iterator
from typing import Any

import msgspec

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_captures(paths: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(nanoseconds since the start of its file, frame) of all files, in that order of time."""
    return heapq.merge(*(_read(path) for path in paths), key=lambda item: item[0])


def _read(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    first: int | None = None
    with gzip.open(path, "rb") as lines:
        for line in lines:
            stamp, _, payload = line.partition(b" ")
            recorded_ns = int(stamp)
            first = recorded_ns if first is None else first
            yield recorded_ns - first, _decode(payload)
