"""The examples of docs/contract.md run as they stand there, and do what the page says."""

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from pms_cli.commands.send import request
from pms_cli.system.place import Place

PAGE = Path(__file__).parents[2] / "docs" / "contract.md"
_EXAMPLE = re.compile(r"<!-- run: (\S+) -->\n```js\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def folder(node_folder: Path) -> Path:
    """Where the page's examples are, beside ioredis."""
    examples = dict(_EXAMPLE.findall(PAGE.read_text(encoding="utf-8")))
    assert set(examples) == {"send.mjs", "follow.mjs"}
    for name, script in examples.items():
        (node_folder / name).write_text(script, encoding="utf-8")
    return node_folder


@pytest.fixture(scope="module")
def account(system: Place) -> str:
    """An account with the rules of a new one."""
    command = {"requestId": "page", "action": "create", "name": "page", "balance": 1000}
    created = asyncio.run(request(system, "account", command, 20))
    assert created is not None, "no result"
    return str(created["subAccountId"])


def _env(place: Place) -> dict[str, str]:
    return {**os.environ, "PMS_REDIS_URL": place.redis}


def _send(folder: Path, place: Place, account: str) -> dict[str, object]:
    command = ["node", "send.mjs", account]
    done = subprocess.run(command, cwd=folder, env=_env(place), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


@contextmanager
def _following(folder: Path, place: Place, seen: Path) -> Iterator[None]:
    """The second example at work, its lines in `seen`; killed at the end."""
    with seen.open("a", encoding="utf-8") as output:
        process = subprocess.Popen(["node", "follow.mjs"], cwd=folder, env=_env(place), stdout=output)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def _events(seen: Path) -> list[list[str]]:
    return [line.split() for line in seen.read_text(encoding="utf-8").splitlines() if line[:1].isdigit()]


def _until(done: Callable[[], bool], within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def test_the_first_example_sends_a_command_and_prints_its_result(folder: Path, system: Place, account: str) -> None:
    result = _send(folder, system, account)
    assert result["success"] is True, result
    assert result["state"] == "filled"
    assert result["filledQty"] == 0.002


def test_the_second_example_follows_the_log_and_resumes_after_a_kill(
    folder: Path, system: Place, account: str, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    seen.touch()

    def positions() -> int:
        return sum(event[1].startswith("position_") for event in _events(seen))

    with _following(folder, system, seen):
        _until(lambda: "account" in seen.read_text(encoding="utf-8"))
        assert _send(folder, system, account)["success"] is True
        _until(lambda: positions() == 1)
        _until((folder / "pms-position.json").exists)
    assert _send(folder, system, account)["success"] is True  # nobody follows
    with _following(folder, system, seen):
        _until(lambda: positions() == 2)
    ids = [event[0] for event in _events(seen)]
    with redis.Redis.from_url(system.redis, decode_responses=True) as client:
        logged = [entry[0] for entry in client.xrange("pms:events", ids[0], ids[-1])]
    assert list(dict.fromkeys(ids)) == logged
