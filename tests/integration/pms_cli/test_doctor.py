"""`pms doctor` on real servers and the simulated exchange: it finds what is wrong, and only that."""

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis.asyncio as aioredis
from pydantic import SecretStr

from pms_cli import migrate
from pms_cli.embedded import free_port, start_valkey
from pms_cli.health import Finding, examine, exchange
from pms_cli.health.door import examine_door, examine_tokens
from pms_cli.health.exchange import examine_exchange
from pms_cli.health.leases import examine_leases
from pms_cli.health.orders import examine_orders
from pms_cli.health.processes import SERVICES, examine_processes
from pms_cli.health.servers import _clock, examine_redis
from pms_cli.health.streams import examine_streams
from pms_cli.system.place import Place
from pms_common.clock import now_ms
from pms_common.contracts.base import encode
from pms_common.contracts.bus.heartbeat import Heartbeat
from pms_common.heartbeat import FIGURES
from pms_common.lease import Lease
from pms_common.names import Names
from pms_common.settings import Settings
from pms_common.topology import topology
from pms_orders.app.missing import alarms


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
    log = tmp_path_factory.mktemp("simulator") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pms_cli.run_service", "simulator"],
            env={**env, "PMS_SIM_PORT": str(port)},
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(20)


def _wrong(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings if finding.state == "wrong"}


def beat(service: str, **changes: Any) -> Heartbeat:
    values: dict[str, Any] = {"service": service, "process": "p", "told_ms": now_ms(), "started_ms": 1, "ready": True}
    values |= {"leads": None, "why": "", "resident_bytes": 1, "loop_lag_s": 0.0, "latencies": {}, "backlogs": ()}
    return Heartbeat(**{**values, "figures": {}, **changes})


async def test_a_system_that_is_well_has_nothing_wrong(
    simulator: str, redis_url: str, database: str, names: Names
) -> None:
    async with aioredis.Redis.from_url(redis_url) as client:
        for stream in topology(names):
            for group in stream.groups:
                await client.xgroup_create(stream.name, group, "0", mkstream=True)
        for service in SERVICES:
            await client.hset(names.heartbeats, service, encode(beat(service)))
    findings = await examine(Settings(), Place(names, redis_url, database, "", simulator))
    assert _wrong(findings) == {}
    said = {finding.what: finding.detail for finding in findings}
    assert {"settings", "redis", "database", "database schema", "clock", "symbols", "keys", "streams"} <= set(said)
    assert said["keys"] == "accepted; position mode oneway"
    assert said["market data"].startswith("first quote of ")


async def test_it_finds_a_stream_that_is_silent(
    simulator: str, redis_url: str, database: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "FIRST_QUOTE_S", 0.5)
    place = Place(names, redis_url, database, "", simulator)
    said = {finding.what: finding for finding in await examine(Settings(feed_symbols=("NOSUCH",)), place)}
    assert said["market data"].state == "warn"
    assert "no quote of NOSUCH" in said["market data"].detail


async def test_it_names_what_is_wrong_with_theSettings(simulator: str, database: str, names: Names) -> None:
    settings = Settings(
        feed_symbols=("BTCUSDT", "NOSUCH"),
        position_mode="hedge",
        binance_api_key=SecretStr("other"),
        binance_api_secret=SecretStr("x"),
    )
    place = Place(names, "redis://127.0.0.1:1/0", "postgresql+asyncpg://127.0.0.1:1/x", "", simulator)
    wrong = _wrong(await examine(settings, place))
    assert set(wrong) == {"redis", "database", "symbols", "keys"}
    assert wrong["symbols"].detail == "NOSUCH (not listed)"
    hedge = _wrong(await examine(Settings(position_mode="hedge"), place))
    assert hedge["position mode"].detail == "the exchange has oneway, the settings hedge"


async def test_it_finds_an_old_schema_and_says_how_to_cure_it(redis_url: str, database: str, names: Names) -> None:
    await asyncio.to_thread(migrate.downgrade, database)
    try:
        wrong = _wrong(
            await examine(Settings(binance_rest_url="http://127.0.0.1:1"), Place(names, redis_url, database))
        )
    finally:
        await asyncio.to_thread(migrate.upgrade, database)
    assert wrong["database schema"].advice == "pms migrate"
    assert wrong["exchange"].detail.startswith("http://127.0.0.1:1: ")


async def test_it_finds_streams_that_nobody_reads(simulator: str, redis_url: str, database: str, names: Names) -> None:
    async with aioredis.Redis.from_url(redis_url) as client:
        await client.xadd(names.cmd("trade"), {"data": "{}"})  # no group
        await client.xadd(names.cmd("limit"), {"data": "{}"}, id=f"{(int(time.time()) - 60) * 1000}-0")
        await client.xgroup_create(names.cmd("limit"), "risk", "0")
        await client.xadd(names.dead, {"reason": "x"})
    findings = await examine(Settings(), Place(names, redis_url, database, "", simulator))
    wrong = _wrong(findings)
    assert wrong[names.cmd("trade")].detail == "group risk is missing, 1 entries"
    assert "group risk: 0 pending, 1 unread, the oldest 6" in wrong[names.cmd("limit")].detail
    assert wrong["services"].detail == f"none runs in the namespace {names.namespace}"
    assert [finding.what for finding in findings if finding.state == "warn"] == ["dead letters", "leases"]


async def test_it_finds_a_redis_that_would_evict(tmp_path: Path) -> None:
    server = start_valkey(tmp_path)
    try:
        assert _wrong(await examine_redis(server.url)) == {}
        async with aioredis.Redis.from_url(server.url) as client:
            await client.config_set("maxmemory-policy", "allkeys-lru")
            await client.config_set("appendonly", "no")
        findings = await examine_redis(server.url)
        assert _wrong(findings)["redis eviction"].detail == "allkeys-lru"
        assert [finding.what for finding in findings if finding.state == "warn"] == ["redis durability"]
    finally:
        server.stop()


async def test_it_finds_a_redis_that_is_full(tmp_path: Path) -> None:
    server = start_valkey(tmp_path)
    try:
        async with aioredis.Redis.from_url(server.url) as client:
            await client.config_set("maxmemory", (await client.info("memory"))["used_memory"])
        assert "of maxmemory is used" in _wrong(await examine_redis(server.url))["redis memory"].detail
    finally:
        server.stop()


def test_it_finds_a_redis_whose_clock_is_off() -> None:
    assert _clock(1_000_000, 1_001_999) == []
    (finding,) = _clock(1_005_000, 1_000_000)
    assert (finding.state, finding.detail) == ("wrong", "+5000 ms against this machine's")


async def test_it_finds_a_clock_that_the_exchange_would_refuse(simulator: str) -> None:
    async def shift(offset_ms: int) -> None:
        async with aiohttp.ClientSession(simulator) as http:
            (await http.post("/sim/clock", json={"offsetMs": offset_ms})).raise_for_status()

    await shift(3_000)
    try:
        findings = await examine_exchange(Settings(), simulator)
    finally:
        await shift(0)
    (clock,) = [finding for finding in findings if finding.what == "clock"]
    assert clock.state == "warn" and "NTP" in clock.advice


async def test_it_finds_the_user_of_redis_that_may_too_little(tmp_path: Path, names: Names) -> None:
    server = start_valkey(tmp_path)
    try:
        async with aioredis.Redis.from_url(server.url) as client:
            await client.execute_command("ACL", "SETUSER", "ann", "on", ">x", "+info", "+time", "+@connection")
        (finding,) = await examine_streams(server.url.replace("redis://", "redis://ann:x@"), names)
        assert (finding.state, finding.what) == ("wrong", "redis user")
    finally:
        server.stop()


async def test_it_names_services_that_do_not_run_or_are_not_ready(redis_url: str, names: Names) -> None:
    async with aioredis.Redis.from_url(redis_url) as client:
        beats = [beat("feed"), beat("orders", ready=False, why="the exchange account is in multi-assets mode")]
        for told in [*beats, beat("risk"), beat("algos"), beat("gateway", told_ms=now_ms() - 60_000)]:
            await client.hset(names.heartbeats, told.service, encode(told))
    wrong = _wrong(await examine_processes(redis_url, names))
    assert {what: finding.detail for what, finding in wrong.items()} == {
        "orders": "not ready: the exchange account is in multi-assets mode",
        "gateway": "does not run",
    }


async def test_it_says_that_books_and_exchange_differ(redis_url: str, names: Names) -> None:
    assert "risk_drifts" in FIGURES
    leader = beat("risk", leads=True, figures={"risk_drifts": 2.0})
    former = beat("risk", leads=False, figures={"risk_drifts": 3.0})
    async with aioredis.Redis.from_url(redis_url) as client:
        await client.hset(names.heartbeats, "former", encode(former))
        assert "books" not in _wrong(await examine_processes(redis_url, names))
        await client.hset(names.heartbeats, "leader", encode(leader))
    books = _wrong(await examine_processes(redis_url, names))["books"]
    assert "in 2 places" in books.detail
    assert "PmsBooksDiffer" in books.advice


async def test_it_examines_the_gateways_tokens(tmp_path: Path) -> None:
    file = tmp_path / "tokens"

    def found(**settings: Any) -> tuple[str, str]:
        (finding,) = examine_tokens(Settings(**settings))
        return finding.state, finding.detail

    assert examine_tokens(Settings()) == []
    assert found(gateway_host="0.0.0.0") == ("wrong", "none, and it listens on 0.0.0.0")
    assert found(gateway_token_file=file)[0] == "wrong"
    file.write_text("ann read secret\n")
    assert found(gateway_token_file=file) == ("warn", f"{file} has ann in plain text")
    file.write_text("ann read\n")
    assert "line 1" in found(gateway_token_file=file)[1]
    file.write_text(f"ann read sha256:{'0' * 64}\n")
    file.chmod(0o644)
    assert found(gateway_token_file=file)[0] == "warn"
    file.chmod(0o600)
    assert found(gateway_token_file=file) == ("ok", str(file))
    (gone,) = await examine_door(Settings(), "http://127.0.0.1:1")
    assert (gone.state, gone.what) == ("wrong", "gateway")


async def test_it_finds_a_master_that_would_write_without_its_replicas(tmp_path: Path) -> None:
    """A master that is cut off from its replicas must not confirm a leader who has a successor."""
    master, replica = start_valkey(tmp_path / "master"), start_valkey(tmp_path / "replica")
    try:
        async with aioredis.Redis.from_url(master.url) as client, aioredis.Redis.from_url(replica.url) as follower:
            await follower.execute_command("REPLICAOF", "127.0.0.1", str(master.port))
            async with asyncio.timeout(30):
                while not (await client.info("replication"))["connected_slaves"]:  # noqa: ASYNC110 (Redis is asked)
                    await asyncio.sleep(0.05)
            (found,) = [finding for finding in await examine_redis(master.url) if finding.what == "redis replicas"]
            assert found.state == "warn" and "min-replicas-to-write 1" in found.advice
            await client.config_set("min-replicas-to-write", 1)
            await client.config_set("min-replicas-max-lag", 1)
            (found,) = [finding for finding in await examine_redis(master.url) if finding.what == "redis replicas"]
            assert found.state == "ok"
    finally:
        replica.stop()
        master.stop()


async def test_it_shows_an_order_whose_executions_are_missing(redis_url: str, names: Names) -> None:
    async with aioredis.Redis.from_url(redis_url) as client:
        await client.hset(alarms(names), "PMS_a_LMT_1", "BTCUSDT order 7: filled, 2 of 5 executed without a trade")
    (finding,) = await examine_orders(redis_url, names)
    assert (finding.state, finding.what) == ("wrong", "order PMS_a_LMT_1")
    assert "docs/operations.md" in finding.advice


async def test_it_names_who_leads_and_which_role_nobody_does(redis_url: str, names: Names) -> None:
    async with aioredis.Redis.from_url(redis_url) as client:
        lease = Lease(client, names.lease("risk"), "risk")
        await lease.acquire(lambda why: None)
        (finding,) = await examine_leases(redis_url, names)
    assert finding.state == "warn" and "nobody leads orders, algos, gateway" in finding.detail
    assert f"risk: process {os.getpid()} on " in finding.detail
