"""The embedded servers: they start, keep their data, die with their parent, and mind no dead predecessor."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from pms_cli.embedded import ServerError, StateDirectory, StateInUseError, start_postgres, start_valkey
from pms_cli.embedded.process import running
from pms_cli.embedded.state import MAX_SOCKET_PATH, socket_path
from pms_cli.embedded.watchdog import Watchdog
from pms_common.db import connect

PARENT = """
import sys, time
from pathlib import Path
from pms_cli.embedded import start_postgres, start_valkey
state = Path(sys.argv[1])
valkey, postgres = start_valkey(state / "valkey"), start_postgres(state / "postgres")
print(valkey.pid, postgres.pid, valkey.port, postgres.port, flush=True)
time.sleep(60)
"""


def _gone(pids: list[int], within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while any(running(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


async def _value(url: str, sql: str) -> Any:
    connection = await connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_both_keep_their_data_over_a_restart_on_the_same_ports(tmp_path: Path) -> None:
    valkey, postgres = start_valkey(tmp_path / "valkey"), start_postgres(tmp_path / "postgres")
    try:
        with redis.Redis.from_url(valkey.unix_url, decode_responses=True) as client:
            client.xadd("stream", {"data": "x"})
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("appendonly") == {"appendonly": "yes"}
        await _value(postgres.url, "CREATE TABLE kept AS SELECT 7 AS n")
        assert await _value(postgres.url, "SHOW timezone") == "UTC"
        valkey.process.kill()
        valkey.process.wait()
        postgres.process.kill()  # leaves its pid file, and backends that still end
        postgres.process.wait()
        valkey = start_valkey(tmp_path / "valkey", valkey.port)
        postgres = start_postgres(tmp_path / "postgres", postgres.port)
        with redis.Redis.from_url(valkey.url) as client:
            assert client.xlen("stream") == 1
        assert await _value(postgres.url, "SELECT n FROM kept") == 7
    finally:
        postgres.stop()
        valkey.stop()
    assert _gone([valkey.pid, postgres.pid])


def test_a_parent_killed_takes_both_servers_with_it_and_a_successor_starts_at_once(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        valkey_pid, postgres_pid, *ports = (int(word) for word in parent.stdout.readline().split())
        parent.kill()
        parent.wait()
    valkey, postgres = start_valkey(tmp_path / "valkey", ports[0]), start_postgres(tmp_path / "postgres", ports[1])
    try:
        assert _gone([valkey_pid, postgres_pid])
        assert valkey.alive()
        assert postgres.alive()
    finally:
        postgres.stop()
        valkey.stop()


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(tmp_path: Path) -> None:
    server = start_postgres(tmp_path)
    server.process.kill()
    server.process.wait()
    pid_file = tmp_path / "data" / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(server.pid), str(os.getpid()), 1))
    start_postgres(tmp_path).stop()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    first = start_valkey(tmp_path / "a")
    try:
        with pytest.raises(ServerError, match=r"postgres ended:(.|\n)*already in use"):
            start_postgres(tmp_path / "b", port=first.port)
    finally:
        first.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up being root")
def test_root_without_user_namespaces_runs_postgres_as_nobody_under_a_closed_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    server = start_postgres(tmp_path / "postgres", who="nobody")
    try:
        owner = Path(f"/proc/{server.pid}").stat().st_uid
        assert owner != 0
        assert tmp_path.stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()
    as_before = start_postgres(tmp_path / "postgres")  # and back: the data is given to whom the server runs as
    as_before.stop()


def test_the_watchdog_ends_what_a_dead_parent_has_left() -> None:
    code = (
        "import subprocess, os, signal, sys\n"
        "from pms_cli.embedded.watchdog import Watchdog\n"
        "dog = Watchdog()\n"
        "kids = [subprocess.Popen(['sleep', '60'], start_new_session=True) for _ in range(2)]\n"
        "[dog.add(kid.pid, signal.SIGTERM) for kid in kids]\n"
        "kids[1].kill(); kids[1].wait(); dog.remove(kids[1].pid)\n"
        "print(kids[0].pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert _gone([int(done.stdout)])


def test_the_watchdog_leaves_alone_what_was_taken_back() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        dog = Watchdog()
        dog.add(child.pid, signal.SIGTERM)
        dog.remove(child.pid)
        dog.close()
        assert child.poll() is None
        child.kill()


def test_a_state_directory_has_one_holder_and_no_stale_lock(tmp_path: Path) -> None:
    with StateDirectory(tmp_path), pytest.raises(StateInUseError, match=f"{tmp_path} is in use by pid {os.getpid()}"):
        StateDirectory(tmp_path)
    (tmp_path / "lock").write_text("12345")  # of a dead process
    with StateDirectory(tmp_path):
        pass


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 120)
    directory.mkdir()
    path = socket_path(directory, "s")
    assert len(str(path)) <= MAX_SOCKET_PATH
    assert path == socket_path(directory, "s")
    assert socket_path(Path("/run/pms"), "s") == Path("/run/pms/s")
    path.parent.rmdir()
