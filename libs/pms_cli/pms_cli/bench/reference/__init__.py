"""The floor of a path of Redis Streams hops, at a given pace or saturated, and of one round trip.

Owns the reference programs: `hop_chain.c`, built on the fly into a temporary directory, and `blocking.py`, which does
the same where there is no C compiler (its `kind` says so; ratios to it are not comparable with ratios to C).
"""

import asyncio
import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pms_common.bus.url import parse

_HERE = Path(__file__).parent


class ProgramError(RuntimeError):
    """The reference program failed; the text is what it wrote."""


@dataclass(frozen=True, slots=True)
class ChainResult:
    """Microseconds one way through the chain (or there and back), messages a second, and what ran: `c` or `python`."""

    p50_us: float
    p95_us: float
    p99_us: float
    rate: float
    n: int
    kind: str


async def run_chain(hops: int, rate: float, seconds: float, address: str) -> ChainResult:
    """A chain of `hops` at `rate` messages a second; a negative rate saturates it with that many under way.

    `address` is a unix socket's path, `host:port`, or a Redis URL of one of these.
    """
    return await _run("chain", str(hops), str(rate), str(seconds), address)


async def run_round_trip(seconds: float, address: str) -> ChainResult:
    """Round trips of one message between two processes."""
    return await _run("rtt", str(seconds), address)


def address_of(url: str) -> str:
    """The plain address in a Redis URL."""
    if "://" not in url:
        return url
    endpoint = parse(url)
    return endpoint.path or f"{endpoint.host.replace('localhost', '127.0.0.1')}:{endpoint.port}"


async def _run(*words: str) -> ChainResult:
    *how, address = words
    program, kind = _program()
    command = (*program, *how, address_of(address), f"bench:{os.getpid()}")
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = await process.communicate()
    if process.returncode:
        raise ProgramError(f"{' '.join(command)}: {errors.decode(errors='replace')}")
    return ChainResult(**json.loads(output), kind=kind)


@functools.cache
def _program() -> tuple[tuple[str, ...], str]:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return (sys.executable, "-m", "pms_cli.bench.reference.blocking"), "python"
    directory = tempfile.mkdtemp(prefix="pms-bench-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    binary = Path(directory) / "hop_chain"
    subprocess.run([compiler, "-O2", "-o", binary, _HERE / "hop_chain.c"], check=True, capture_output=True)
    return (str(binary),), "c"
