"""Run fault schedules: `python -m tests.faults --schedules 10000 --seed 1 --workers 2`, or `--replay SEED`."""

import argparse
import asyncio
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.engine import make_url
from tests.faults import plan
from tests.faults.nursery import die_with_parent
from tests.faults.stage import Played
from tests.faults.tally import Tally
from tests.faults.worker import Place, work

from pms_cli import migrate
from pms_cli.embedded import start_postgres
from pms_cli.embedded.postgres import UNSAFE_FAST
from pms_common.db import connect

TEMPLATE = "faults_template"
TOLD_EVERY = 100


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--speed", type=float, default=10.0, help="seconds of the schedules in a real one")
    parser.add_argument("--replay", type=int, metavar="SEED", help="this schedule alone, with all that happened in it")
    parser.add_argument("--database-url", default="", help="a PostgreSQL server to use instead of one of our own")
    given = parser.parse_args()
    if given.replay is not None:
        given.seed, given.schedules, given.workers = given.replay, 1, 1
    _clear_settings()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="pms-faults-") as folder:
        server = None if given.database_url else start_postgres(Path(folder) / "postgres", options=UNSAFE_FAST)
        try:
            tally = _run(Path(folder), server.url if server else given.database_url, given)
        finally:
            if server:
                server.stop()
    return 1 if tally.failed else 0


def _clear_settings() -> None:
    for name in [name for name in os.environ if name.startswith("PMS_")]:
        del os.environ[name]


def _run(folder: Path, server: str, given: argparse.Namespace) -> Tally:
    databases = [f"faults_{os.getpid()}_{number}" for number in range(given.workers)]
    _prepare(server, databases)
    seeds = range(given.seed, given.seed + given.schedules)
    context = multiprocessing.get_context("fork")
    lines: list[Connection] = []
    workers = []
    started_s = time.monotonic()
    for number, database in enumerate(databases):
        ours, theirs = context.Pipe(duplex=False)
        place = Place(folder / str(number), _on(server, database), given.replay is not None)
        arguments = (place, seeds[number :: given.workers], given.speed, theirs)
        process = context.Process(target=_work, args=arguments)
        process.start()
        theirs.close()
        lines.append(ours)
        workers.append(process)
    tally = Tally()
    try:
        _hear(lines, tally, given.replay is not None, started_s)
    except KeyboardInterrupt:
        sys.stdout.write("interrupted; so far:\n")
        for process in workers:
            process.kill()
    for process in workers:
        process.join()
        if process.exitcode and process.exitcode != -signal.SIGKILL:
            sys.stdout.write(f"a worker ended with {process.exitcode}\n")
            tally.failed.append(-1)
    _execute(server, *(f"DROP DATABASE {name} WITH (FORCE)" for name in databases))
    sys.stdout.write("\n".join(tally.lines(time.monotonic() - started_s)) + "\n")
    return tally


def _work(place: Place, seeds: range, speed: float, line: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    die_with_parent()
    place.folder.mkdir()
    work(place, seeds, speed, line.send)


def _hear(lines: list[Connection], tally: Tally, replay: bool, started_s: float) -> None:
    while lines:
        for line in wait(lines):
            assert isinstance(line, Connection)
            try:
                played: Played = line.recv()
            except EOFError:
                lines.remove(line)
                continue
            tally.add(played)
            if played.violations or played.ends or replay:
                _show(played)
            elif tally.schedules % TOLD_EVERY == 0:
                so_far = f"{tally.schedules} schedules, {tally.counts['kills']} kills, {len(tally.failed)} failed"
                sys.stdout.write(f"{so_far}, {time.monotonic() - started_s:.0f} s\n")
            sys.stdout.flush()


def _show(played: Played) -> None:
    schedule = plan.make(played.seed)
    shown = [f"--- seed {played.seed}: {len(played.violations)} violations", *played.ends]
    shown += [f"{violation.kind}: {violation.text}" for violation in played.violations]
    shown += ["", "schedule:", msgspec.json.format(msgspec.json.encode(schedule), indent=0).decode()]
    shown += ["", "what happened:", *played.trace, f"--- end of seed {played.seed}; again: --replay {played.seed}", ""]
    sys.stdout.write("\n".join(shown))


# -- databases


def _prepare(server: str, databases: list[str]) -> None:
    template = f"{TEMPLATE}_{os.getpid()}"
    _execute(server, f"CREATE DATABASE {template}")
    migrate.upgrade(_on(server, template))
    for name in databases:
        _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    _execute(server, f"DROP DATABASE {template}")


def _on(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


def _execute(server: str, *statements: str) -> None:
    async def execute() -> Any:
        connection = await connect(server, "faults")
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute())
