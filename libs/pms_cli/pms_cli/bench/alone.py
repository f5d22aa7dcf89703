"""One benchmark run by itself, `python -m pms_cli.bench.hop`: on a Redis of its own, one line of JSON a figure.

Owns what the command lines of benchmarks share. Used by those that are useful without `pms bench`.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

from pms_cli.bench.result import Context, Result
from pms_cli.embedded import start_valkey


def options(prog: str, rounds: int, seconds: float) -> argparse.ArgumentParser:
    """The options that all have."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds)
    return parser


def measure(run: Callable[[Context], Awaitable[list[Result]]], asked: argparse.Namespace) -> None:
    """Measure on an embedded server and print the results."""

    async def measured(url: str) -> list[Result]:
        return await run(Context(url, asked.rounds, asked.seconds))

    with tempfile.TemporaryDirectory() as state:
        server = start_valkey(Path(state))
        try:
            results = asyncio.run(measured(server.unix_url))
        finally:
            server.stop()
    for result in results:
        sys.stdout.write(f"{json.dumps(asdict(result))}\n")
