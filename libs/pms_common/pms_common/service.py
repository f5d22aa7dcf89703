"""The life of a service process: settings, logging, event loop, probes, readiness, signals, a clean and bounded stop.

Owns when a process is ready and with which code it ends. Knows nothing of what a service does. Used by the `main.py`
of every service: `def main() -> None: run("risk", wire)`.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop
from aiohttp import web

from pms_common import logging as pms_logging
from pms_common import metrics, tracing
from pms_common.pages import use_large_pages
from pms_common.settings import Settings, SettingsError, load_settings

log = pms_logging.get_logger(__name__)

STOP_WITHIN_S = 10.0
WIRING = "wiring"
"""The part that is not ready until the service's `wire` has returned."""

Close = Callable[[], Awaitable[None]]
Wire = Callable[["Lifecycle"], Awaitable[None]]

_ready = metrics.gauge("ready", "1 where a part of the service is ready", ["part"])


@dataclass(slots=True)
class Part:
    """One part's readiness, with the reason where it is not ready."""

    ok: bool
    why: str


class Lifecycle:
    """What a service is handed to live by: settings, readiness, tasks, closing.

    A service is ready when all its parts are. It stops when a signal comes, when `stop` is called, or when a spawned
    task fails; then the closers run in reverse order, the tasks are cancelled, all within `STOP_WITHIN_S`.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.stopping = asyncio.Event()
        self.exit_code = 0
        self.parts: dict[str, Part] = {}
        self.probe_url = ""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closers: list[Close] = []
        self.ready(WIRING, False, "starting")

    def ready(self, part: str, ok: bool, why: str = "") -> None:
        """Tell whether a part is ready, and why not. The first call makes the part known."""
        now = self.parts.get(part)
        if now is not None and now.ok == ok and now.why == why:
            return
        if now is None or now.ok != ok:
            log.info("part_ready", part=part) if ok else log.warning("part_not_ready", part=part, why=why)
        self.parts[part] = Part(ok, why)
        _ready.labels(part).set(ok)

    @property
    def is_ready(self) -> bool:
        """Whether all parts are ready and the service is not stopping."""
        return not self.stopping.is_set() and all(part.ok for part in self.parts.values())

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a task beside the others; if it fails, the service stops with exit code 1. Returning is no failure."""
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def on_stop(self, close: Close) -> None:
        """Have `close` awaited when the service stops, before what was registered earlier."""
        self._closers.append(close)

    def stop(self, exit_code: int = 0) -> None:
        """Begin to stop. The highest exit code given counts."""
        self.exit_code = max(self.exit_code, exit_code)
        self.stopping.set()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, SettingsError):  # the sentence says what to do; where it was found does not matter
            log.error("cannot_start", error=str(error))
        else:
            log.error("task_failed", task=task.get_name(), error=str(error), exc_info=error)
        if not self.stopping.is_set():
            self.stop(exit_code=1)

    def probe_routes(self) -> list[web.RouteDef]:
        """/health, /ready and /metrics, for a service that has an HTTP door of its own."""
        return [
            web.get("/health", self._answer_health),
            web.get("/ready", self._answer_ready),
            web.get("/metrics", self._answer_metrics),
        ]

    async def _answer_health(self, _request: web.Request) -> web.Response:
        return web.json_response({"service": self.name, "alive": True})

    async def _answer_ready(self, _request: web.Request) -> web.Response:
        parts = {name: {"ok": part.ok, "why": part.why} for name, part in self.parts.items()}
        if self.stopping.is_set():
            parts["stopping"] = {"ok": False, "why": "the service is stopping"}
        body = {"service": self.name, "ready": self.is_ready, "parts": parts}
        return web.json_response(body, status=200 if self.is_ready else 503)

    async def _answer_metrics(self, _request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=metrics.exposition(), headers=headers)

    async def live(self, wire: Wire, probes: bool = True) -> int:
        """Wire the service, wait until it is to stop, close it; the exit code."""
        self.spawn(metrics.watch_loop_lag(), "loop_lag")
        if probes:
            await self._serve_probes()
        wiring = self.spawn(self._wire(wire), WIRING)
        await self.stopping.wait()
        log.info("stopping", exit_code=self.exit_code)
        wiring.cancel()
        await self._close()
        return self.exit_code

    async def _wire(self, wire: Wire) -> None:
        await wire(self)
        # What wiring built lives as long as the process: the collector need not look at it again. Messages and what is
        # kept of them have no cycles: with the default thresholds, looking for some costs up to a fifth of the time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        use_large_pages()
        self.ready(WIRING, True)

    async def _serve_probes(self) -> None:
        app = web.Application()
        app.add_routes(self.probe_routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self.on_stop(runner.cleanup)
        host, port = self.settings.metrics_host, self.settings.metrics_port(self.name)
        site = web.TCPSite(runner, host, port, reuse_address=True)
        await site.start()
        self.probe_url = f"http://{host}:{runner.addresses[0][1]}"
        log.info("probes", url=self.probe_url)

    async def _close(self) -> None:
        deadline = asyncio.get_running_loop().time() + STOP_WITHIN_S
        for close in reversed(self._closers):
            try:
                async with asyncio.timeout_at(deadline):
                    await close()
            except TimeoutError:
                log.error("close_timed_out", closer=getattr(close, "__qualname__", repr(close)))
                self.exit_code = 1
            except Exception:  # the remaining closers must still run; the exit code tells
                log.exception("close_failed", closer=getattr(close, "__qualname__", repr(close)))
                self.exit_code = 1
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)


def run(name: str, wire: Wire, *, probes: bool = True) -> None:
    """Run a service in the foreground until it stops, and exit with its code.

    `probes=False` is for a service whose own HTTP door serves `Lifecycle.probe_routes()`.
    """
    try:
        settings = load_settings(name)
        tracing.start(name, settings)
    except SettingsError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(2)
    pms_logging.configure(name, settings.log_level, settings.log_format)
    keys = (settings.binance_api_key, settings.binance_api_secret)
    pms_logging.hide(key.get_secret_value() for key in keys if key is not None)
    exit_code = uvloop.run(_main(name, settings, wire, probes))
    tracing.stop()
    sys.exit(exit_code)


async def _main(name: str, settings: Settings, wire: Wire, probes: bool) -> int:
    loop = asyncio.get_running_loop()
    life = Lifecycle(name, settings)
    loop.set_exception_handler(partial(_unhandled, life))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, life.stop)
    try:
        return await life.live(wire, probes)
    except OSError as error:  # the probes' port is taken or not ours
        log.error("cannot_start", error=str(error))
        return 1


def _unhandled(life: Lifecycle, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a callback (`handle`) has left half done nobody will finish: the service stops and begins anew."""
    log.error("unhandled", message=context.get("message"), exc_info=context.get("exception"))
    if "handle" in context:
        life.stop(exit_code=1)
