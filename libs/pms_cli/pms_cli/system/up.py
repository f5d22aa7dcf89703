"""`pms up`: embedded servers where needed, migrations, the services, until a signal comes; then everything stops."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pms_cli.embedded import StateDirectory
from pms_cli.system.logs import LogSink
from pms_cli.system.nursery import Nursery
from pms_cli.system.place import READY_FILE, default_state
from pms_cli.system.plan import Plan, choose_environment, make_plan
from pms_cli.system.servers import Servers, start_servers
from pms_cli.system.supervisor import Supervisor
from pms_common import logging as pms_logging
from pms_common.logging import get_logger
from pms_common.settings import load_settings

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `pms up`."""

    mode: str | None = None
    only: Sequence[str] = ()
    state_dir: Path | None = None
    ready_file: Path | None = None


def up(options: Options) -> int:
    """Run the system until SIGTERM or SIGINT; the exit code.

    Raises `SettingsError`, `StateInUseError` or `ServerError` where it cannot start.
    """
    settings = load_settings()
    os.environ["PMS_BINANCE_ENV"] = choose_environment(settings, options.mode)
    settings = load_settings()
    if settings.binance_env != "sim":
        settings.require_keys()
    pms_logging.configure("up", settings.log_level, settings.log_format)
    plan = make_plan(settings, options.only)
    state_path = options.state_dir or default_state(settings)
    ready_file = options.ready_file or state_path / READY_FILE
    with contextlib.ExitStack() as stack:
        stack.enter_context(StateDirectory(state_path))
        ready_file.unlink(missing_ok=True)
        if settings.binance_env == "sim" and (state_path / "postgres").exists():
            fix = f"to begin anew, stop and delete {state_path}: what its books still hold, this exchange never had"
            log.warning("simulated_exchange_starts_empty", fix=fix)
        nursery = Nursery()  # its imports and the servers' start take about as long
        stack.callback(nursery.close)
        servers = start_servers(settings, state_path.absolute())
        stack.callback(servers.stop)
        return asyncio.run(_supervise(plan.with_env(servers.env), servers, nursery, ready_file))


async def _supervise(plan: Plan, servers: Servers, nursery: Nursery, ready_file: Path) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    sink = LogSink(sys.stderr.buffer)
    supervisor = Supervisor(plan, servers, nursery, sink, ready_file)
    told = asyncio.create_task(_tell_ready(supervisor, servers))
    work = asyncio.create_task(_work(supervisor))
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()  # it only ends by raising
    finally:
        for task in (work, told, stopped):
            task.cancel()
        await supervisor.stop()
        sink.close()
    return 0


async def _work(supervisor: Supervisor) -> None:
    await supervisor.start()
    await supervisor.watch()


async def _tell_ready(supervisor: Supervisor, servers: Servers) -> None:
    await supervisor.all_ready.wait()
    where: Mapping[str, object] = supervisor.description()
    log.info("all_ready", gateway=where["gateway"], simulator=where["simulator"], redis=servers.redis_url)
