"""Large pages for what a service keeps: a small one's address is looked up anew after each time it had to wait.

On a machine whose processes take turns, most of what a message costs is memory that is no longer at hand; in a virtual
machine a lost page address costs two walks. Owns one request to the kernel, once, after wiring; Linux 6.1 or newer,
where large pages are allowed. Anywhere else, and where it is refused, nothing changes.
"""

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

LARGE = 2 << 20
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
"""Of madvise(2): large pages from now on, and of what is there already."""


def use_large_pages(maps: Path = Path("/proc/self/maps")) -> int:
    """Have the kernel lay the heap out in large pages; how many it has made."""
    if sys.platform != "linux" or not maps.exists():
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    made = 0
    for begin, size in _stretches(maps.read_text(encoding="utf-8")):
        madvise(begin, size, MADV_HUGEPAGE)
        made += size // LARGE if madvise(begin, size, MADV_COLLAPSE) == 0 else 0
    return made


def _stretches(maps: str) -> Iterator[tuple[int, int]]:
    """Address and size of what lies on whole large pages of private, writable memory of no file."""
    for line in maps.splitlines():
        span, access, _, _, inode, *name = line.split(maxsplit=5)
        if access != "rw-p" or inode != "0" or (name and name[0] != "[heap]"):
            continue
        begin, end = (int(address, 16) for address in span.split("-"))
        begin, end = -(-begin // LARGE) * LARGE, end // LARGE * LARGE
        if begin < end:
            yield begin, end - begin
