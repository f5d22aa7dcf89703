"""The containers of deploy/compose, driven by a Node backend while containers are killed and networks are cut.

Once alone, once with a second process of each writer and Redis with Sentinel (ha.env). The backend has what
docs/operations.md gives one: the network, and its URL of Redis. Builds the image and needs a Docker engine and minutes:
`make compose-test`, which sets PMS_TEST_COMPOSE. Prints how long what it broke was away (`ARGS=-s`).
"""

import asyncio
import json
import os
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.chaos.trading import Trading
from tests.e2e.compose import PORTS, Compose, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(
        not os.environ.get("PMS_TEST_COMPOSE"), reason="make compose-test: minutes, and a Docker engine"
    ),
]
QUIET_S = 2.0
CUT_S = 3.0
WRITERS = ("orders", "risk", "algos", "gateway")


@contextmanager
def up(name: str, env_file: str = ".env") -> Iterator[Compose]:
    """A project, up and healthy; gone afterwards with its volumes."""
    project = Compose(f"pms-test-{name}-{os.getpid()}", env_file)
    try:
        project.up()
        yield project
    finally:
        project("down", "--volumes", "--timeout", "20")


async def test_killed_containers_and_cut_networks_lose_and_repeat_nothing(node_folder: Path, tmp_path: Path) -> None:
    with up("core") as compose:
        trading = await _traded(compose, node_folder, tmp_path, lambda: _break(compose))
        trading.place = compose.place()
        await _check(trading)


def _break(compose: Compose) -> None:
    """Every service and server is killed in turn and started again; then risk, orders and the exchange are cut off."""
    for service in (*PORTS, "redis", "postgres"):
        compose("restart", "--timeout", "0", service)
        time.sleep(QUIET_S)
    for service in ("risk", "orders", "simulator"):
        with compose.cut(service):
            time.sleep(CUT_S)
        time.sleep(QUIET_S)
    for service in PORTS:
        compose.until_healthy(service)


async def test_standbys_and_sentinels_take_over_and_nothing_is_lost_or_repeated(
    node_folder: Path, tmp_path: Path
) -> None:
    with up("ha", "ha.env") as compose:
        trading = await _traded(compose, node_folder, tmp_path, lambda: _break_leaders(compose))
        trading.place = compose.place(_master(compose))
        await _check(trading)


def _break_leaders(compose: Compose) -> None:
    """Leaders, the master of Redis and a Sentinel are killed in turn; then leaders and the master are cut off."""
    for service in WRITERS:
        leader, standby = _pair(compose, service)
        compose("kill", leader)
        print(f"{leader} killed: {standby} is ready after {wait_until(partial(compose.ready, standby)):.1f} s")
        compose("start", leader)
        time.sleep(QUIET_S)
    master = _master(compose)
    compose("kill", master)
    print(f"{master} killed: another leads after {_until_another_leads(compose, master):.1f} s")
    _until_all_ready(compose)
    compose("start", master)
    time.sleep(QUIET_S)
    compose("restart", "--timeout", "0", "sentinel-1")
    for service in ("risk", "orders"):
        leader, standby = _pair(compose, service)
        with compose.cut(leader):
            print(f"{leader} cut off: {standby} is ready after {wait_until(partial(compose.ready, standby)):.1f} s")
        time.sleep(QUIET_S)
    with compose.cut("simulator"):
        time.sleep(CUT_S)
    master = _master(compose)
    with compose.cut(master):
        print(f"{master} cut off: another leads after {_until_another_leads(compose, master):.1f} s")
        _until_all_ready(compose)
    time.sleep(QUIET_S)
    _until_all_ready(compose)


def _pair(compose: Compose, service: str) -> tuple[str, str]:
    """Who leads, and who stands by."""
    both = (service, f"{service}-b")
    wait_until(lambda: any(map(compose.ready, both)))
    return both if compose.ready(both[0]) else (both[1], both[0])


def _until_all_ready(compose: Compose) -> None:
    for service in WRITERS:
        _pair(compose, service)


def _master(compose: Compose) -> str:
    """The Redis that leads, as a Sentinel says."""
    words = ("--no-auth-warning", "-p", "26379", "sentinel", "get-master-addr-by-name", "pms")
    ask = f'redis-cli -a "$(sed -n "s/^requirepass //p" /run/secrets/sentinel.conf)" {" ".join(words)}'
    return compose("exec", "-T", "sentinel-2", "sh", "-c", ask).splitlines()[0]


def _until_another_leads(compose: Compose, master: str) -> float:
    return wait_until(lambda: _master(compose) != master)


async def _traded(compose: Compose, node_folder: Path, shared: Path, breaking: Callable[[], None]) -> Trading:
    """What a backend asked for and was told while things broke. Fails where it missed an event."""
    trading = Trading(compose.place())
    trading.accounts = [_account(compose) for _ in range(3)]
    enough = shared / "enough"
    env = {"PMS_ACCOUNTS": ",".join(trading.accounts), "PMS_UNTIL": str(enough)}
    env["PMS_REDIS_URL"] = compose.secret("js/redis_url")
    backend = asyncio.to_thread(compose.node, "backend.mjs", node_folder, shared, **env)
    printed, _ = await asyncio.gather(backend, asyncio.to_thread(_until_broken, breaking, enough))
    report: dict[str, Any] = json.loads(printed)
    trading.sent = {request_id: (account, command) for request_id, (account, command) in report["sent"].items()}
    trading.results = {request_id: result for request_id, result in report["results"].items() if result is not None}
    told = defaultdict[tuple[str, int], list[int]](list)
    for event in report["events"]:
        told[event["subAccountId"], event["epoch"]].append(event["seq"])
    for account, numbers in told.items():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"the backend missed events of {account}"
    assert {account for account, _ in told} >= set(trading.accounts)
    return trading


def _until_broken(breaking: Callable[[], None], enough: Path) -> None:
    try:
        breaking()
    finally:
        enough.touch()


def _account(compose: Compose) -> str:
    created = compose.operator("account", "action=create", f"name=compose-{uuid.uuid4().hex[:8]}", "balance=20000")
    account = str(json.loads(created)["subAccountId"])
    rules = ("maxNotionalPerTrade=1000000", "maxTotalExposure=1000000", "maxOpenOrders=1000")
    compose.operator("account", "action=set_rules", f"subAccountId={account}", *rules)
    return account


async def _check(trading: Trading) -> None:
    """Nothing lost, nothing repeated, the books equal the exchange."""
    await trading.cancel_all_resting()
    books = await trading.settled()
    assert books.equal, books
    await trading.check()
    refused = [result["errorCode"] for result in trading.results.values() if not result["success"]]
    print(f"{len(trading.sent)} commands, refused: {dict(Counter(refused))}")
    assert len(refused) < len(trading.results) * 3 / 4, refused  # a busy machine takes long to take over
