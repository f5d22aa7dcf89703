"""The users of deploy/redis/users.acl on a real server: each can do its work, and is refused what it must not do."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from pms_cli.embedded import start_valkey
from pms_common.bus import Bus, Entry, LagSampler, Trimmer
from pms_common.lease import Lease
from pms_common.names import Names
from pms_common.rate.shared import SharedRate
from pms_common.rate.window import Window
from pms_common.topology import topology
from pms_orders.domain.rate import Budget

USERS = Path(__file__).parents[3] / "deploy" / "redis" / "users.acl"
PASSWORD = "secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with these users (its default user stays on, for the test to set them)."""
    valkey = start_valkey(tmp_path_factory.mktemp("acl"))
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    with Redis.from_url(valkey.url) as admin:
        for line in USERS.read_text().replace("REPLACE_WITH_SHA256_OF_ITS_PASSWORD", digest).splitlines():
            _, name, *rules = line.split()
            if name != "default":
                admin.execute_command("ACL", "SETUSER", name, *rules)
        admin.set("pms:result:r1", "{}")
        admin.xadd("pms:events", {"type": "x", "data": "{}"})
    yield valkey.url
    valkey.stop()


def as_user(server: str, name: str) -> Redis:
    return Redis.from_url(server, username=name, password=PASSWORD, decode_responses=True)


def test_js_can_command_and_read(server: str) -> None:
    with as_user(server, "js") as js:
        assert js.xadd("pms:cmd:trade", {"data": "{}"})
        assert js.get("pms:result:r1") == "{}"
        assert js.xrange("pms:events")
        with js.pubsub() as listener:
            listener.psubscribe("pms:events:*")
            listener.subscribe("pms:result:r1")
            assert listener.get_message(timeout=2) is not None


FORBIDDEN = {
    "a deposit": ("XADD", "pms:op:account", "*", "data", "{}"),
    "a trading state": ("XADD", "pms:op:trading_state", "*", "data", "{}"),
    "an approval of its own": ("XADD", "pms:bus:orders:requests", "*", "data", "{}"),
    "a fill of its own": ("XADD", "pms:bus:orders:updates", "*", "data", "{}"),
    "an event of its own": ("XADD", "pms:events", "*", "data", "{}"),
    "a result of its own": ("SET", "pms:result:r1", "{}"),
    "a price of its own": ("SET", "pms:price:BTCUSDT", "{}"),
    "what operators have done": ("XRANGE", "pms:audit", "-", "+"),
    "another's namespace": ("XADD", "other:cmd:trade", "*", "data", "{}"),
    "deleting": ("DEL", "pms:cmd:trade"),
    "trimming": ("XTRIM", "pms:cmd:trade", "MAXLEN", "0"),
    "a group": ("XGROUP", "CREATE", "pms:cmd:trade", "js", "0"),
    "flushing": ("FLUSHALL",),
    "configuration": ("CONFIG", "GET", "*"),
    "other users": ("ACL", "LIST"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_js_is_refused(server: str, what: str) -> None:
    with as_user(server, "js") as js, pytest.raises(NoPermissionError):
        js.execute_command(*FORBIDDEN[what])


def test_operator_may_operate_and_not_touch_the_bus(server: str) -> None:
    with as_user(server, "operator") as operator:
        assert operator.xadd("pms:op:account", {"data": "{}"})
        assert operator.xadd("pms:op:trading_state", {"data": "{}"})
        assert operator.xrange("pms:audit") == []
        for stream in ("pms:bus:orders:requests", "pms:bus:risk:updates", "pms:events", "pms:audit"):
            with pytest.raises(NoPermissionError):
                operator.xadd(stream, {"data": "{}"})


async def test_the_services_user_can_run_the_whole_bus(server: str) -> None:
    names = Names()
    bus = await Bus.connect(server.replace("redis://", f"redis://pms:{PASSWORD}@"), "risk", names)
    seen = asyncio.Event()

    def handle(entry: Entry) -> None:
        bus.outbox.ack(entry)
        seen.set()

    consumer = bus.consumer("risk", {names.requests("risk"): handle})
    running = asyncio.create_task(consumer.run())
    bus.outbox.add(names.requests("risk"), b"{}")
    bus.outbox.set(names.result("r"), b"{}", 30)
    bus.outbox.publish(names.result("r"), b"{}")
    await asyncio.wait_for(seen.wait(), 5)
    streams = [stream for stream in topology(names) if stream.name == names.requests("risk")]
    await LagSampler(bus.redis, streams).sample()
    await Trimmer(bus.redis, streams, aged={names.dead: 1000}).trim()
    lease = Lease(bus.redis, names.lease("risk"), "risk")
    await asyncio.wait_for(lease.acquire(lambda why: None), 5)
    assert lease.held()
    budget = Budget((), Window(60_000, 2_400, shared=True))
    budget.weight.take(0)
    windows = {names.rate("x", "weight"): budget.weight}
    assert await SharedRate(bus.redis, names.rate("x", "ban"), windows, budget, 0.4).sync()
    await consumer.stop()
    await running
    await bus.close()
