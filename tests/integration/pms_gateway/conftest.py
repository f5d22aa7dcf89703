"""A real gateway process, and what the other services would tell it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
import redis.asyncio
from tests.services import PATIENCE_S, ServiceProcess

from pms_cli.embedded import free_port
from pms_common.contracts.bus.base import Update, encode
from pms_common.contracts.bus.common import (
    PublicEvent,
    RequestDone,
    SnapshotBegin,
    SnapshotEnd,
    snapshot_request,
)
from pms_common.names import Names


class GatewayProcess(ServiceProcess):
    """The gateway, and where its door is."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__("gateway", {**environment, "PMS_GATEWAY_PORT": str(self.port)}, log)

    async def healthy(self) -> None:
        async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    async with session.get(f"{self.url}/health"):
                        return
                except aiohttp.ClientConnectionError:
                    assert self.running, self.log
                    await asyncio.sleep(0.05)


class Service:
    """One of the services the gateway listens to: numbers its updates and answers snapshot requests."""

    def __init__(self, client: redis.asyncio.Redis, names: Names, name: str) -> None:
        self.client, self.names, self.name = client, names, name
        self.epoch, self.n = 1, 0
        self.stopping = False
        self.snapshot: list[Callable[[], Update]] = []

    async def tell(self, kind: type[Update], /, **fields: object) -> None:
        self.n += 1
        await self.client.xadd(
            self.names.updates(self.name), {"data": encode(kind(epoch=self.epoch, n=self.n, **fields))}
        )

    async def event(self, account_id: str, key: str, type_: str = "account_updated") -> None:
        payload = b'{"type":"%s","subAccountId":"%s","timestamp":1}' % (type_.encode(), account_id.encode())
        await self.tell(PublicEvent, key=key, account_id=account_id, type=type_, payload=msgspec.Raw(payload))

    async def done(self, request_id: str, account_id: str, command: str, body: bytes) -> None:
        await self.tell(
            RequestDone, account_id=account_id, request_id=request_id, command=command, body=msgspec.Raw(body)
        )

    async def answer_snapshots(self) -> None:
        last = "0"
        while not self.stopping:
            found = await self.client.xread({self.names.queries(self.name): last}, block=200)
            for _, entries in found or []:
                for entry_id, fields in entries:
                    last = entry_id
                    request = snapshot_request.decode(fields[b"data"])
                    await self.tell(SnapshotBegin, asker=request.asker, token=request.token)
                    for update in self.snapshot:
                        state = update()
                        await self.tell(
                            type(state),
                            **{f: getattr(state, f) for f in state.__struct_fields__ if f not in {"epoch", "n"}},
                        )
                    await self.tell(SnapshotEnd, asker=request.asker, token=request.token)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    made = redis.asyncio.Redis.from_url(redis_url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)
    yield made
    await made.aclose()


@pytest.fixture
async def services(client: redis.asyncio.Redis, names: Names) -> AsyncIterator[dict[str, Service]]:
    made = {name: Service(client, names, name) for name in ("orders", "risk", "algos")}
    tasks = [asyncio.create_task(service.answer_snapshots()) for service in made.values()]
    yield made
    for service in made.values():
        service.stopping = True
    await asyncio.gather(*tasks)


@pytest.fixture
def environment(redis_url: str, database: str, names: Names) -> dict[str, str]:
    return {
        "PMS_REDIS_URL": redis_url,
        "PMS_DATABASE_URL": database,
        "PMS_NAMESPACE": names.namespace,
    }


@pytest.fixture
def gateway(environment: dict[str, str], tmp_path: Path) -> Iterator[GatewayProcess]:
    process = GatewayProcess(environment, tmp_path / "gateway.log")
    yield process
    process.stop()
