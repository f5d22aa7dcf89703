"""The users of Redis: `js`, `operator` and one for each service, with the commands and keys that it needs.

Owns what each may write beside what `topology` says it reads. Others' streams are only ever added to: nobody but their
reader may trim, delete or acknowledge there. Written to deploy/redis/users.acl.
"""

from collections.abc import Iterable, Sequence

from pms_common.names import Names
from pms_common.topology import kept_by, topology

SECRET = "#REPLACE_WITH_SHA256_OF_ITS_PASSWORD"
NAMES = Names()
ANY = "*"

PEOPLE = "-@all +@connection -@dangerous +info +cluster|slots"
PEOPLE_READING = "+get +hgetall +scan +keys +xread +xrange +xrevrange +subscribe +unsubscribe +psubscribe +punsubscribe"
PUBLIC = (
    *(NAMES.result(ANY), NAMES.price(ANY), NAMES.risk(ANY), NAMES.algos(ANY)),
    NAMES.events,
)
TOLD = f"&{NAMES.result(ANY)} &{NAMES.event_channel(ANY)}"

EXAMINED = (
    *(NAMES.cmd(ANY), NAMES.op(ANY), f"{NAMES.namespace}:bus:{ANY}", NAMES.dead),
    *(NAMES.lease(ANY), NAMES.heartbeats, NAMES.own("orders", ANY)),
)
"""What `pms doctor` looks at."""

CONNECTED = "-@all +@connection -@dangerous +client|unblock +cluster|slots +info +time +@transaction"
OWNING = (
    "+eval +eval_ro +xadd +xread +xrange +xrevrange +xinfo +xpending +xlen +xtrim +xdel +memory|usage"
    " +set +get +mget +del +pttl +pexpire +hset +hget +hmget +hgetall +hvals +hdel +hincrby"
)
READING_GROUP = "+memory|usage +xreadgroup +xread +xack +xgroup +xinfo +xpending +xrange +xrevrange +xlen +xsetid +xdel"
LOOKING = "+eval_ro +get +mget +hget +hmget +hgetall +xrange +xinfo +xpending +xlen"
RATES = NAMES.rate(ANY, ANY)
ANSWERS = NAMES.result(ANY)
OWN: dict[str, tuple[str, ...]] = {
    "feed": (NAMES.ticks, NAMES.price(ANY), NAMES.feeds, RATES),
    "orders": (NAMES.updates("orders"), NAMES.marks("orders"), ANSWERS, RATES),
    "risk": (NAMES.updates("risk"), NAMES.marks("risk"), ANSWERS, NAMES.risk(ANY)),
    "algos": (NAMES.updates("algos"), NAMES.marks("algos"), ANSWERS, NAMES.algos(ANY)),
    "gateway": (NAMES.events, NAMES.dead, NAMES.audit, NAMES.heartbeats),
}
"""Written by the service, beside its lease and its private keys."""
PUBLISHES = {"orders": ANSWERS, "risk": ANSWERS, "algos": ANSWERS, "gateway": NAMES.event_channel(ANY)}
ADDS: dict[str, tuple[str, ...]] = {
    "feed": (),
    "orders": (NAMES.watch, NAMES.requests("algos"), NAMES.queries("risk")),
    "risk": (
        *(NAMES.watch, NAMES.requests("orders"), NAMES.urgent("orders"), NAMES.requests("algos")),
        *(NAMES.queries("orders"), NAMES.queries("algos")),
    ),
    "algos": (
        *(NAMES.watch, NAMES.requests("risk"), NAMES.changes("orders")),
        *(NAMES.queries("orders"), NAMES.queries("risk")),
    ),
    "gateway": (
        *(NAMES.cmd(ANY), NAMES.op(ANY)),
        *(NAMES.queries("orders"), NAMES.queries("risk"), NAMES.queries("algos")),
    ),
}
"""Others' streams, which are only added to."""
READS: dict[str, tuple[str, ...]] = {
    "feed": (),
    "orders": (NAMES.lease("risk"),),
    "risk": (NAMES.requests("orders"), NAMES.urgent("orders")),
    "algos": (),
    "gateway": (NAMES.price(ANY),),
}
"""What is another's and is only looked at."""
TICKED = ("risk", "algos")
"""Services that read the ticks, each process in a group of its own."""


NOBODY = "user default off ~* &* +@all"
"""Nobody can be it. But all but the newest servers ask, when they read their AOF, what `default` may do before they
carry out a transaction (redis#14541, valkey#3983): without these rights every MULTI would be lost at a restart."""


def users() -> str:
    """The file."""
    return "\n".join((NOBODY, _js(), _operator(), *map(_service, OWN))) + "\n"


def _js() -> str:
    return _user("js", PEOPLE, "+xadd", _keys("", [NAMES.cmd(ANY)]), PEOPLE_READING, _keys("%R", PUBLIC), TOLD)


def _operator() -> str:
    commands = _keys("", [NAMES.cmd(ANY), NAMES.op(ANY)])
    seen = (*PUBLIC, NAMES.dead, NAMES.audit)
    doctor = _selector("+xinfo +xpending +xlen +xrange +hgetall", EXAMINED, "%R")
    return _user(
        "operator", PEOPLE, "+time +@transaction +xadd", commands, PEOPLE_READING, _keys("%R", seen), TOLD, doctor
    )


def _service(name: str) -> str:
    read = [stream.name for stream in topology(NAMES) if name in stream.groups]
    read += [NAMES.ticks] if name in TICKED else []
    publishing = f"+publish &{PUBLISHES[name]}" if name in PUBLISHES else ""
    own = (NAMES.lease(name), NAMES.own(name, ANY), *OWN[name])
    rules = (
        *(CONNECTED, publishing, OWNING, _keys("", own)),
        _selector(READING_GROUP, read),
        _selector("+xtrim", [stream.name for stream in kept_by(NAMES, name) if stream.name not in own]),
        _selector("+xadd", [NAMES.dead, *ADDS[name]]),
        _selector("+hset", [NAMES.heartbeats]),
        _selector(LOOKING, READS[name], "%R"),
    )
    return _user(name, *rules)


def _selector(commands: str, names: Sequence[str], access: str = "") -> str:
    return f"({commands} {_keys(access, names)})" if names else ""


def _user(name: str, *rules: str) -> str:
    return " ".join(("user", name, "on", SECRET, "resetkeys resetchannels", *filter(None, rules)))


def _keys(access: str, names: Iterable[str]) -> str:
    return " ".join(f"{access}~{name}" for name in names)
