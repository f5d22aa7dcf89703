"""What the bus tests share: buses, consumers, a server of a test's own to kill and flush, a proxy that cuts lines."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest
import redis.asyncio
import uvloop

from pms_cli.embedded import start_valkey
from pms_cli.embedded.process import Child
from pms_common.bus import Bus, Consumer
from pms_common.names import Names

MakeBus = Callable[..., Awaitable[Bus]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the services run on."""
    return {"uvloop": uvloop.new_event_loop}


class Server:
    """A server that tests kill and start again on its data, on the same port."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.child: Child = start_valkey(state)

    @property
    def url(self) -> str:
        return self.child.url

    @property
    def port(self) -> int:
        return self.child.port

    def kill(self) -> None:
        self.child.process.kill()
        self.child.process.wait()

    def start(self) -> None:
        self.child = start_valkey(self._state, self.child.port)

    def lose_data(self) -> None:
        for path in self._state.glob("appendonlydir/*"):
            path.unlink()

    def client(self) -> "redis.asyncio.Redis":
        return redis.asyncio.Redis.from_url(self.url)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    own = Server(tmp_path / "valkey")
    yield own
    own.child.stop()


@pytest.fixture
async def js(redis_url: str) -> AsyncIterator["redis.asyncio.Redis"]:
    """A plain client of the shared server, in the place of JS."""
    client = redis.asyncio.Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def make_bus(redis_url: str, names: Names) -> AsyncIterator[MakeBus]:
    """Makes a bus, on the shared server unless told otherwise; closed after the test."""
    made: list[Bus] = []

    async def make(role: str = "risk", url: str = "", ready: Callable[[str, bool, str], None] | None = None) -> Bus:
        bus = await Bus.connect(url or redis_url, role, names, *([ready] if ready else []))
        made.append(bus)
        return bus

    yield make
    for bus in made:
        try:
            async with asyncio.timeout(1):
                await bus.close()
        except TimeoutError:  # its server is gone; what was not written is the test's business
            pass


@pytest.fixture
async def start() -> AsyncIterator[Callable[[Consumer], asyncio.Task[None]]]:
    """Runs a consumer in a task; ended after the test."""
    tasks: list[asyncio.Task[None]] = []

    def start(consumer: Consumer) -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(consumer.run()))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


Until = Callable[..., Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Waits until a condition holds."""

    async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 (conditions are of all kinds)
                await asyncio.sleep(0.005)

    return until


class Proxy:
    """A TCP proxy that cuts: `cut()` ends all lines; `cut_when` looks at what passes and says where to cut.

    `cut_when(direction, chunk)` with direction "up" (to Redis) or "down" gives how many bytes of the chunk still pass
    before the cut, or None to let it pass.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.cut_when: Callable[[str, bytes], int | None] = lambda _direction, _chunk: None
        self.port = 0
        self.cuts = 0
        self.refusing = False
        self._cutting = False

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        self.cuts += 1
        self._cutting = False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        pair = (writer, up_writer)
        self._writers.update(pair)
        await asyncio.gather(self._pump("up", reader, up_writer, pair), self._pump("down", up_reader, writer, pair))

    async def _pump(
        self,
        direction: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: Sequence[asyncio.StreamWriter],
    ) -> None:
        try:
            while chunk := await reader.read(65536):
                passing = 0 if self._cutting else self.cut_when(direction, chunk)
                writer.write(chunk if passing is None else chunk[:passing])
                await writer.drain()
                if passing is not None:
                    self._cutting = True  # nothing more passes, in either direction
                    await asyncio.sleep(0.02)  # what passed arrives before the cut
                    if self._cutting:
                        self.cut()
                    return
        except OSError:
            pass  # cut
        finally:
            for end in pair:
                end.transport.abort()


@pytest.fixture
def proxy_class() -> type[Proxy]:
    """For proxies of another kind."""
    return Proxy


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    """A proxy in front of the test's own server."""
    proxy = Proxy(server.port)
    await proxy.start()
    yield proxy
    await proxy.stop()
