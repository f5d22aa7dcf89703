"""The passwords of a deployment, made once, each in a file for the one who needs it (`pms passwords`).

    DIR/made/NAME                 the passwords themselves; nobody mounts this folder, and what is there stays
    DIR/SERVICE/redis_url         for PMS_REDIS_URL_FILE; beside it database_url, and the gateway's tokens
    DIR/{js,operator}/redis_url   for the JS backend and for people; beside it the token of their role
    DIR/redis/                    users.acl, replication.conf, sentinel.conf
    DIR/postgres/                 password and URL of the owner, passwords.sql for the roles of the services
    DIR/grafana/password          of its administrator

Owns where each goes and in which form: Redis and the gateway get hashes. Never prints one.
"""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

PLACEHOLDER = "REPLACE_WITH_SHA256_OF_ITS_PASSWORD"
SERVICES = ("feed", "orders", "risk", "algos", "gateway")
WITH_DATABASE = SERVICES[1:]
TOKENS = {"js": "trade", "operator": "operator", "reader": "read"}
"""Whose token has which role at the gateway."""
OWNER = "postgres"
SENTINELS = "redis+sentinel://"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are, as URLs without users, and the lists of Redis users."""

    redis: str
    database: str
    acls: tuple[Path, ...]


class Passwords:
    """Makes each password once, and keeps it in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, name: str) -> str:
        """The password with this name."""
        path = self._folder / name
        if not path.is_file():
            path.write_text(secrets.token_urlsafe(32), encoding="ascii")
        return path.read_text(encoding="ascii")

    def digest(self, name: str) -> str:
        """Its SHA-256 in hexadecimal digits."""
        return hashlib.sha256(self.of(name).encode()).hexdigest()


def write(folder: Path, servers: Servers) -> None:
    """Write all files below `folder`. Run again, it keeps the passwords and follows the addresses and users."""
    made = Passwords(folder / "made")
    for name, text in _files(made, servers):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")


def _files(made: Passwords, servers: Servers) -> Iterator[tuple[str, str]]:
    acl = [line for path in servers.acls for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    yield "redis/users.acl", "\n".join(_user(made, line) for line in acl)
    yield "redis/replication.conf", f"masteruser replica\nmasterauth {made.of(_redis('replica'))}"
    yield "redis/sentinel.conf", _sentinel(made)
    for service in SERVICES:
        yield f"{service}/redis_url", _redis_url(made, servers.redis, service)
    for person in ("js", "operator"):
        yield f"{person}/redis_url", _redis_url(made, servers.redis, person)
        yield f"{person}/token", made.of(f"token-{person}")
    yield "reader/token", made.of("token-reader")
    yield (
        "gateway/tokens",
        "\n".join(f"{who} {role} sha256:{made.digest(f'token-{who}')}" for who, role in TOKENS.items()),
    )
    yield "grafana/password", made.of("grafana")
    yield "postgres/password", made.of(f"postgres-{OWNER}")
    yield "postgres/database_url", _with_user(servers.database, OWNER, made.of(f"postgres-{OWNER}"))
    roles = {service: made.of(f"postgres-pms_{service}") for service in WITH_DATABASE}
    for service, password in roles.items():
        yield f"{service}/database_url", _with_user(servers.database, f"pms_{service}", password)
    yield "postgres/passwords.sql", "\n".join(f"ALTER ROLE pms_{who} PASSWORD '{what}';" for who, what in roles.items())


def _user(made: Passwords, line: str) -> str:
    return line.replace(PLACEHOLDER, made.digest(_redis(line.split()[1]))) if PLACEHOLDER in line else line


def _redis(user: str) -> str:
    return f"redis-{user}"


def _redis_url(made: Passwords, url: str, user: str) -> str:
    address = _with_user(url, user, made.of(_redis(user)))
    if not url.startswith(SENTINELS):
        return address
    return f"{address}{'&' if '?' in url else '?'}sentinel_password={made.of('sentinels')}"


def _with_user(url: str, user: str, password: str) -> str:
    scheme, _, place = url.partition("://")
    return f"{scheme}://{quote(user)}:{quote(password)}@{place}"


def _sentinel(made: Passwords) -> str:
    return "\n".join(
        (
            f"requirepass {made.of('sentinels')}",
            "sentinel auth-user pms sentinel",
            f"sentinel auth-pass pms {made.of(_redis('sentinel'))}",
        )
    )
