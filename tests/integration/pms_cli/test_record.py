"""`pms record` against the running simulator: what it writes is whole, replayable, and plays as it was."""

import asyncio
import gzip
import json
import os
import sys
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from pms_cli.recorder import Recorder
from pms_common.captures import CaptureWriter, read_lines
from pms_common.rate.window import Window
from pms_feed.adapters.rest import PublicRest
from pms_feed.adapters.socket import STREAMS_ROUTE, connect
from pms_feed.domain.budget import WeightBudget

WAIT_S = 240


@asynccontextmanager
async def simulator(*options):
    """A running simulator; its addresses."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pms_simulator", "--port", "0", *options),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PMS_SIM_TICK_INTERVAL_MS": "20"},
    )
    try:
        async with asyncio.timeout(WAIT_S):
            yield json.loads(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def record(address, folder: Path, *options: str) -> list[Path]:
    """`pms record BTCUSDT`; the files in their order."""
    recording = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pms_cli", "record", "BTCUSDT", "--dir", str(folder), *options),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PMS_BINANCE_REST_URL": address["rest"], "PMS_BINANCE_WS_URL": address["ws"]},
    )
    async with asyncio.timeout(WAIT_S):
        await recording.communicate()
    assert recording.returncode == 0
    return files(folder)


async def record_here(address, folder: Path, lasts_s: float) -> Path:
    """The same without a process that has to start first: the recording that is played has an end."""
    rest = PublicRest(address["rest"], WeightBudget(Window(60_000, 2_400)))
    socket = partial(connect, address["ws"] + STREAMS_ROUTE)
    recorder = Recorder(socket, rest.depth, ["BTCUSDT"], folder, rotate_s=600)
    with suppress(TimeoutError):
        await asyncio.wait_for(recorder.run(), lasts_s)
    await rest.close()
    return recorder.paths[0]


def events(path: Path):
    return [json.loads(body) for _, body in read_lines(path)]


def quotes(path: Path):
    """Best quotes after the snapshot."""
    told = events(path)
    start = next(at for at, event in enumerate(told) if "lastUpdateId" in event)
    data = (event["data"] for event in told[start:] if event.get("stream") == "btcusdt@bookTicker")
    return [(quote["b"], quote["B"], quote["a"], quote["A"]) for quote in data]


async def test_a_recording_is_played_again_quote_for_quote(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    async with simulator("--market", "synthetic") as address:
        recorded, *others = await record(address, first, "--seconds", "8", "--minutes", "0.1")
    assert others, "a new file was to begin after six seconds"
    for path in (recorded, others[0]):
        kinds = {event.get("stream", "snapshot").partition("@")[2] for event in events(path)}
        assert kinds >= {"bookTicker", "depth@100ms", ""}
    second.mkdir()
    async with simulator("--replay", str(recorded), "--speed", "0.5") as address:
        again = await record_here(address, second, lasts_s=6)
    was, played = quotes(recorded), quotes(again)
    assert len(was) > 20
    # Between them are those that the replayed trades themselves bring about.
    recorded_too = [quote for quote in played if quote in was]
    begins = was.index(recorded_too[0])
    assert len(recorded_too) > 5
    assert recorded_too[: len(was) - begins] == was[begins : begins + len(recorded_too)]


def test_what_was_flushed_can_be_read_after_a_kill(tmp_path):
    whole = CaptureWriter(tmp_path / "whole.gz")
    killed = CaptureWriter(tmp_path / "killed.gz")
    for writer in (whole, killed):
        for at in range(1_000):
            writer.add(at, b'{"n":%d}' % at)
        writer.flush()
        writer.add(1_000, b'{"n":1000}')
    whole.close()
    content = killed.path.read_bytes()
    killed.close()
    assert [at for at, _ in read_lines(whole.path)] == list(range(1_001))
    assert len(gzip.decompress(whole.path.read_bytes()).splitlines()) == 1_001
    killed.path.write_bytes(content)
    assert [at for at, _ in read_lines(killed.path)] == list(range(1_000))
    killed.path.write_bytes(content[: len(content) // 2])
    told = list(read_lines(killed.path))
    assert 100 < len(told) < 1_000
    assert told == [(at, b'{"n":%d}' % at) for at in range(len(told))]


def test_a_line_without_a_time_is_named(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b'1 {}\n{"no":"time"}\n')
    with pytest.raises(ValueError, match="line 2"):
        list(read_lines(path))


def test_a_last_line_without_its_end_counts_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b'1 {}\n2 {"a":{}}')
    assert [at for at, _ in read_lines(path)] == [1, 2]
    path.write_bytes(b'1 {}\n2 {"a":{}')
    assert [at for at, _ in read_lines(path)] == [1]
