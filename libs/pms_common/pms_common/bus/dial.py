"""Opens connections: finds the server (Sentinel, Cluster), authenticates, selects the database, waits between tries.

Owns the handshake and the back-off. Used by everything in the bus that holds a connection.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, TryAgainError
from redis.exceptions import ConnectionError as LostError

from pms_common.bus.errors import RespError
from pms_common.bus.resp import Connection, Word
from pms_common.bus.url import Endpoint, parse

CONNECT_TIMEOUT_S = 5.0
NODE_TIMEOUT_S = 1.0
"""Of a node that is only asked where another one is."""
BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 2.0

Dial = Callable[[], Awaitable[Connection]]


async def dial(endpoint: Endpoint, client_name: str = "", reply_timeout_s: float = 5.0) -> Connection:
    """A connection ready for commands. Raises OSError (unreachable, also by time) or `RespError` (refused)."""
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        host, port = await _address(endpoint)
        return await _open(endpoint, host, port, client_name, reply_timeout_s)


async def _open(endpoint: Endpoint, host: str, port: int, client_name: str, reply_timeout_s: float) -> Connection:
    loop = asyncio.get_running_loop()

    def protocol() -> Connection:
        return Connection(reply_timeout_s)

    if endpoint.path:
        _, connection = await loop.create_unix_connection(protocol, endpoint.path)
    else:
        _, connection = await loop.create_connection(protocol, host, port, ssl=endpoint.ssl_context())
    try:
        await _handshake(connection, endpoint, client_name)
    except BaseException:
        connection.abort("handshake failed")
        raise
    return connection


async def _handshake(connection: Connection, endpoint: Endpoint, client_name: str) -> None:
    commands: list[tuple[Word, ...]] = []
    if endpoint.password:
        user = (endpoint.username,) if endpoint.username else ()
        commands.append(("AUTH", *user, endpoint.password))
    if endpoint.db:
        commands.append(("SELECT", endpoint.db))
    commands.append(("PING",))  # a server that loads or lacks our rights says so now
    if client_name:
        commands.append(("CLIENT", "SETNAME", client_name))
    replies = await connection.pipeline(*commands)
    required = replies[:-1] if client_name else replies  # a name is a courtesy that an ACL may forbid
    for reply in required:
        if isinstance(reply, RespError):
            raise reply


async def _address(endpoint: Endpoint) -> tuple[str, int]:
    if endpoint.nodes:
        return await _node(endpoint)
    if not endpoint.sentinels:
        return endpoint.host, endpoint.port
    sentinel = _sentinel(endpoint)
    try:
        host, port = await sentinel.discover_master(endpoint.master)
    except (RedisError, OSError) as error:
        raise ConnectionError(f"no master {endpoint.master!r} from the sentinels: {error}") from error
    finally:
        for client in sentinel.sentinels:
            await client.aclose()
    return str(host), int(port)


async def _node(endpoint: Endpoint) -> tuple[str, int]:
    """Which node of a cluster has the slot. Those known are asked in any order: one may be cut off from the others."""
    why: Exception = ConnectionError("no node")
    for host, port in random.sample(endpoint.nodes, len(endpoint.nodes)):
        try:
            async with asyncio.timeout(NODE_TIMEOUT_S):
                known = await _open(endpoint, host, port, "", NODE_TIMEOUT_S)
                try:
                    shares = await known.call("CLUSTER", "SLOTS")
                finally:
                    known.abort("asked")
        except OSError as error:
            why = error
            continue
        for first, last, (name, port_there, *_), *_ in shares:
            if first <= endpoint.slot <= last:
                return (name or host.encode()).decode(), port_there  # without a name: the one that was asked
        why = ConnectionError(f"{host}:{port} knows no node with slot {endpoint.slot}")
    raise ConnectionError(f"no node of the cluster: {why}") from why


def _sentinel(endpoint: Endpoint) -> Sentinel:
    auth = {"username": endpoint.sentinel_username or None, "password": endpoint.sentinel_password or None}
    kwargs = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, **auth}
    return Sentinel(endpoint.sentinels, sentinel_kwargs=kwargs)  # type: ignore[no-untyped-call]


def library_client(endpoint: Endpoint, **options: Any) -> "redis.asyncio.Redis":
    """A redis-py client for everything that is not hot, with the same address and rights, and redis-py's `options`."""
    who: dict[str, Any] = {
        **options,
        "username": endpoint.username or None,
        "password": endpoint.password or None,
        "db": endpoint.db,
    }
    if endpoint.sentinels:
        client: redis.asyncio.Redis = _sentinel(endpoint).master_for(endpoint.master, **who)
        return client
    if endpoint.path:
        return redis.asyncio.Redis(unix_socket_path=endpoint.path, **who)
    if endpoint.nodes:
        pool = redis.asyncio.ConnectionPool(connection_class=_NodeConnection, endpoint=endpoint, **who)
        return redis.asyncio.Redis.from_pool(pool)
    tls: dict[str, Any] = dict(endpoint.tls_options)
    if endpoint.tls:
        checked = tls.get("ssl_check_hostname") != "false" and tls.get("ssl_cert_reqs") != "none"
        tls.update(ssl=True, ssl_check_hostname=checked)
    return redis.asyncio.Redis(host=endpoint.host, port=endpoint.port, **who, **tls)


class _NodeConnection(redis.asyncio.Connection):
    """A connection of redis-py to the node of a cluster that has the slot now."""

    def __init__(self, *, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(**options)
        self._endpoint = endpoint
        self._context = endpoint.ssl_context()

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {"host": self.host, "port": self.port, "ssl": self._context}

    async def _connect(self) -> None:
        self.host, self.port = await _node(self._endpoint)
        await super()._connect()  # type: ignore[no-untyped-call]

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """The reply; one that the keys are elsewhere ends the connection, and redis-py tries again on another."""
        try:
            return await super().read_response(*args, **options)
        except (MovedError, AskError, ClusterDownError, TryAgainError) as error:
            await self.disconnect()
            raise LostError(str(error)) from error


async def close_client(client: "redis.asyncio.Redis") -> None:
    """Close a client made by `library_client`, and those it asks for the master."""
    await client.aclose()
    if isinstance(client.connection_pool, SentinelConnectionPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose()


@asynccontextmanager
async def connected(url: str, namespace: str = "", **options: Any) -> "AsyncIterator[redis.asyncio.Redis]":
    """A redis-py client of any URL that services take, for the keys of a namespace, for as long as it is used."""
    client = library_client(parse(url, namespace), **options)
    try:
        yield client
    finally:
        await close_client(client)


class Backoff:
    """Growing, jittered waits between connections; starts over when a connection has lasted."""

    def __init__(self) -> None:
        self._attempt = 0
        self._connected_at: float | None = None

    def connected(self) -> None:
        """A connection was made."""
        self._connected_at = asyncio.get_running_loop().time()

    async def wait(self) -> None:
        """Wait before the next try. A server that accepts and refuses at once is not asked in a hot loop."""
        now = asyncio.get_running_loop().time()
        if self._connected_at is not None and now - self._connected_at > BACKOFF_MAX_S:
            self._attempt = 0
        self._connected_at = None
        limit = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(self._attempt, 10))
        self._attempt += 1
        await asyncio.sleep(limit * random.uniform(0.5, 1.0))
