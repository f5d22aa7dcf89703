"""Wiring of the simulator: settings, venue, market, server.

``start`` gives a running simulator inside the caller's loop (tests, benchmarks); ``wire`` runs it as a service.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from pms_simulator.adapters import exchange_info
from pms_simulator.adapters.capture import read_captures
from pms_simulator.adapters.control import Control
from pms_simulator.adapters.rest import RestServer
from pms_simulator.adapters.server import Server, listen
from pms_simulator.adapters.sockets import Sockets
from pms_simulator.app.market_driver import MarketDriver
from pms_simulator.app.venue import Venue
from pms_simulator.settings import SimConfig


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

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The market's loops; one that ends with an error has stopped the market."""
        return self._tasks

    async def stop(self) -> None:
        """Close the port and end the loops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.close()


async def start(config: SimConfig) -> Simulator:
    """Start a simulator; ready when this returns."""
    venue = Venue(config, exchange_info.load(config.exchange_info))
    driver = MarketDriver(venue)
    frames: Iterator[tuple[int, dict[str, Any]]] | None = None
    if config.market == "replay":
        if not config.replay:
            raise ValueError("PMS_SIM_MARKET=replay needs PMS_SIM_REPLAY")
        frames = read_captures(config.replay)
    driver.open_markets()
    if config.market == "manual":
        driver.paused.update(driver.walks)
    control = Control(venue, driver)
    sockets = Sockets(venue)
    control.close_sockets = sockets.close_route
    control.socket_counts = lambda: sockets.counts
    server = await listen(config.host, config.port, RestServer(venue, control), sockets)
    tasks = driver.timers()
    if frames is not None:
        tasks.append(asyncio.create_task(driver.run_replay(frames)))
    return Simulator(venue, server, tasks)
