"""Recordings of market data: lines `<local ns> <json>` as the venue sent them, plain or packed with gzip.

Owns the form. What a line means, its reader knows. Written by `pms record`; read by the simulator and the soak of
the feed.
"""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

GZIP_MAGIC = b"\x1f\x8b"
GZIP = 31
"""`wbits` of zlib for the gzip form."""
CHUNK = 1 << 20


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(local nanoseconds, JSON) of a recording. What a writer that was killed left half-written at the end is left out.

    Raises ValueError for a line without a time, naming file and line.
    """
    rest, number = b"", 0
    for chunk in unpacked(path):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            if not line.strip():
                continue
            stamp, _, body = line.partition(b" ")
            if not stamp.isdigit():
                raise ValueError(f"{path}: line {number} does not begin with a time in nanoseconds")
            yield int(stamp), body
    stamp, _, body = rest.partition(b" ")
    if stamp.isdigit() and _whole(body):  # the last line of a file that ends without a line end
        yield int(stamp), body


def _whole(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


class CaptureWriter:
    """One recording being written, packed. What was added before a `flush` can be read whatever happens later."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self._file = path.open("xb")
        self._pack = zlib.compressobj(wbits=GZIP)
        self._added: list[bytes] = []

    def add(self, at_ns: int, body: bytes) -> None:
        """A message as it came, on one line."""
        self._added.append(b"%d %b\n" % (at_ns, body))
        self.lines += 1

    def flush(self) -> None:
        """Write what was added, up to a point from which it can be unpacked."""
        if self._added:
            packed = self._pack.compress(b"".join(self._added)) + self._pack.flush(zlib.Z_SYNC_FLUSH)
            self._added.clear()
            self._file.write(packed)
            self._file.flush()

    def close(self) -> None:
        """Write the rest and the end; a recording of nothing is removed."""
        self.flush()
        self._file.write(self._pack.flush())
        self._file.close()
        if not self.lines:
            self.path.unlink()


def unpacked(path: Path) -> Iterator[bytes]:
    """A file's content, unpacked where it is packed with gzip, as far as it goes."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        yield from _gunzipped(file) if packed else iter(lambda: file.read(CHUNK), b"")


def _gunzipped(file: BinaryIO) -> Iterator[bytes]:
    """Like the gzip module, but a missing end is the end and no error: all that was flushed is given."""
    unpack = zlib.decompressobj(GZIP)
    while chunk := file.read(CHUNK):
        while chunk:
            yield unpack.decompress(chunk)
            chunk = unpack.unused_data
            if unpack.eof:
                unpack = zlib.decompressobj(GZIP)
