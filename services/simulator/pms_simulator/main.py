"""Wiring of the simulator: settings, venue, market, server.

``start`` gives a running simulator inside the caller's loop (tests, benchmarks); ``wire`` runs it as a service.
"""

import asyncio
import gc
from collections.abc import Iterator, Mapping
from typing import Any

from pms_common.logging import get_logger
from pms_common.service import Lifecycle, run
from pms_simulator.adapters import exchange_info
from pms_simulator.adapters.capture import read_captures
from pms_simulator.adapters.control import Control
from pms_simulator.adapters.rest import Probe, RestServer
from pms_simulator.adapters.server import Server, listen
from pms_simulator.adapters.sockets import Sockets
from pms_simulator.app.market_driver import MarketDriver
from pms_simulator.app.venue import Venue
from pms_simulator.settings import SimConfig, from_settings

log = get_logger(__name__)


class Simulator:
    """A started simulator. ``url``, ``ws_url`` and ``ws_api_url`` are what a client sets as base URLs."""

    def __init__(self, venue: Venue, server: Server, tasks: list[asyncio.Task[None]]) -> None:
        self.venue = venue
        self.port = server.port
        self._server = server
        self._tasks = tasks

    @property
    def url(self) -> str:
        """Base of the REST routes."""
        return f"http://{self.venue.config.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Base of /public, /market and /private."""
        return f"ws://{self.venue.config.host}:{self.port}"

    @property
    def ws_api_url(self) -> str:
        """The WebSocket API."""
        return f"{self.ws_url}/ws-fapi/v1"

    async def watch(self) -> None:
        """Returns never, or with the error of the first loop that failed: the market stands still then."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Close the port and end the loops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.close()


async def start(config: SimConfig, probes: Mapping[str, Probe] | None = None) -> Simulator:
    """Start a simulator; ready when this returns. ``probes`` are routes of the process, by path."""
    venue = Venue(config, exchange_info.load(config.exchange_info))
    driver = MarketDriver(venue)
    frames: Iterator[tuple[int, dict[str, Any]]] | None = None
    if config.market == "replay":
        if not config.replay:
            raise ValueError("PMS_SIM_MARKET=replay needs PMS_SIM_REPLAY")
        frames = read_captures(config.replay)
    driver.open_markets()
    if frames is not None:
        driver.prime(frames)
    if config.market == "manual":
        driver.paused.update(driver.walks)
    sockets = Sockets(venue)
    control = Control(venue, driver, sockets)
    server = await listen(config.host, config.port, RestServer(venue, control, probes or {}), sockets)
    tasks = driver.timers()
    if frames is not None:
        tasks.append(asyncio.create_task(driver.run_replay(frames)))
    return Simulator(venue, server, tasks)


def calm_collector() -> None:
    """Orders and requests are kept and have no cycles: with the default thresholds, looking for some costs a fifth."""
    gc.set_threshold(20_000, 20, 50)


async def wire(life: Lifecycle) -> None:
    """Run the simulator as a service; its own port serves the probes."""
    probes = {route.path: route.handler for route in life.probe_routes()}
    simulator = await start(from_settings(life.settings), probes)
    life.on_stop(simulator.stop)
    life.spawn(simulator.watch(), "market")
    log.info("listening", rest=simulator.url, ws=simulator.ws_url, ws_api=simulator.ws_api_url)


def main() -> None:
    """Run the simulator in the foreground."""
    run("simulator", wire, probes=False)
