"""Whoever follows the events misses nothing and hears nothing twice, whatever is killed: services, and the follower."""

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis
from tests.chaos.conftest import Broken
from tests.chaos.trading import Trading
from tests.e2e.conftest import node_folder  # noqa: F401 (a fixture)
from tests.e2e.test_js_client import FOLLOW, example

from pms_cli.system.place import Place

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
TRADING_S = 8.0
WITHIN_S = 60.0
EVENTS_A_SOCKET = 40
VICTIMS = ("gateway", "risk", "algos", "orders", "feed")


class Follower:
    """The docs' follower, which keeps where it is in a file; what it has printed over all its lives."""

    def __init__(self, script: Path, url: str, output: Path) -> None:
        self._script, self._output, self._place = script, output, script.parent / "after.txt"
        self._env = {**os.environ, "PMS_REDIS_URL": url}
        self._place.unlink(missing_ok=True)
        output.touch()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """One life, ended by kill -9."""
        with self._output.open("a", encoding="utf-8") as output:
            process = subprocess.Popen(
                ["node", self._script.name], cwd=self._script.parent, env=self._env, stdout=output
            )
            try:
                yield
            finally:
                process.kill()
                process.wait()
        if (
            self._place.exists() and not self._place.read_text()
        ):  # killed while it wrote: a database would have rolled back
            self._place.write_text(self.told()[-1])

    def told(self) -> list[str]:
        """Ids of the events that it has printed, of its last line only if it is whole."""
        lines = self._output.read_text(encoding="utf-8").split("\n")[:-1]
        return [line.split()[0] for line in lines if line[:1].isdigit()]


@asynccontextmanager
async def published(place: Place) -> AsyncIterator[list[str]]:
    """Ids of all events that pub/sub tells meanwhile."""
    heard: list[str] = []

    async def listen() -> None:
        async for message in listener.listen():
            if message["type"] == "pmessage":
                heard.append(json.loads(message["data"])["eventId"])

    async with Redis.from_url(place.redis) as client, client.pubsub() as listener:
        await listener.psubscribe(place.names.event_channel("*"))
        listening = asyncio.create_task(listen())
        yield heard
        listening.cancel()


@asynccontextmanager
async def socketed(place: Place) -> AsyncIterator[list[str]]:
    """Ids of all events that WebSockets tell meanwhile: each hangs up after a few, and the next one reads on later."""
    heard: list[str] = []

    async def listen() -> None:
        url = f"{place.gateway}/v1/events"
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.ws_connect(url, params={"after": heard[-1]} if heard else None) as socket:
                    listening.set()
                    async for message in socket:
                        heard.append(json.loads(message.data)["eventId"])
                        if len(heard) % EVENTS_A_SOCKET == 0:
                            break
            await asyncio.sleep(0.2)

    listening = asyncio.Event()
    async with aiohttp.ClientSession() as http:
        task = asyncio.create_task(listen())
        await listening.wait()
        yield heard
        task.cancel()


async def logged(place: Place, first: str = "-") -> list[str]:
    """Ids of the log's events from one on."""
    async with Redis.from_url(place.redis) as client:
        return [entry.decode() for entry, _ in await client.xrange(place.names.events, first)]


async def test_a_follower_pub_sub_and_a_websocket_hear_what_the_log_says(
    broken: Broken,
    node_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    place, trading = broken.place, Trading(broken.place)
    follower = Follower(example(FOLLOW, node_folder), place.redis, tmp_path / "seen")
    await trading.open_accounts()
    async with published(place) as heard, socketed(place) as seen:
        running = asyncio.create_task(trading.run(TRADING_S))
        for victim in VICTIMS:
            with follower.at_work():
                await asyncio.sleep(TRADING_S / len(VICTIMS) / 2)
                broken.kill(victim)
                await asyncio.sleep(TRADING_S / len(VICTIMS) / 2)
        await running
        await trading.settled()
        await trading.check()  # that `seq` rises by one in each account, among other things
        newest = (await logged(place))[-1]
        with follower.at_work():
            async with asyncio.timeout(WITHIN_S):
                while not all(newest in told for told in (follower.told(), heard, seen)):  # noqa: ASYNC110 (a process)
                    await asyncio.sleep(0.1)
    told = follower.told()
    repeats = len(told) - len(set(told))
    assert repeats <= len(VICTIMS), "printed again only where a kill came before its id was kept"
    log = await logged(place, told[0])
    assert list(dict.fromkeys(told)) == log
    assert heard == await logged(place, heard[0])
    assert seen == await logged(place, seen[0])
