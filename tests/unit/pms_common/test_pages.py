"""Which memory is asked for in large pages."""

import subprocess
import sys
from pathlib import Path

import pytest

from pms_common.pages import LARGE, _stretches, use_large_pages

MAPS = """\
00400000-00c00000 r-xp 00000000 fe:00 1234 /usr/bin/python3
00c00000-01500000 rw-p 00000000 00:00 0                                  [heap]
10000000-10100000 rw-p 00000000 00:00 0
20100000-20700000 rw-p 00000000 00:00 0
30000000-30400000 rw-p 00000000 fe:00 99 /a file with spaces
40000000-40400000 rw-s 00000000 00:00 0
7ff000000000-7ff000800000 rw-p 00000000 00:00 0                          [stack]
"""


def test_whole_large_pages_of_the_heap_and_of_nothing_else() -> None:
    assert list(_stretches(MAPS)) == [(0xC00000, 4 * LARGE), (0x20200000, 2 * LARGE)]


def test_where_the_kernel_does_not_tell_nothing_is_done(tmp_path: Path) -> None:
    assert use_large_pages(tmp_path / "none") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_what_is_kept_survives_it() -> None:
    script = (
        "from pms_common.pages import use_large_pages\n"
        "kept = [str(n) * 20 for n in range(200_000)]\n"
        "made = use_large_pages()\n"
        "assert kept == [str(n) * 20 for n in range(200_000)] and made >= 0\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
