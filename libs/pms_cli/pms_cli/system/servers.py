"""The embedded Redis and PostgreSQL of a system: started where no URL is given, started again where they died."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pms_cli import migrate
from pms_cli.embedded import Child, ServerError, start_postgres, start_valkey
from pms_common.settings import Settings


@dataclass(slots=True)
class Servers:
    """Where Redis and PostgreSQL are. `env` tells it to the services; it is empty for what was given."""

    redis_url: str = ""
    database_url: str = ""
    env: dict[str, str] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)
    _restart: dict[str, Callable[[], Child]] = field(default_factory=dict)

    def restart_dead(self) -> list[str]:
        """Start what has died again, on its port and data; the names of those. Raises `ServerError`."""
        dead = [name for name, child in self.children.items() if not child.alive()]
        for name in dead:
            self.children[name] = self._restart[name]()
        return dead

    def stop(self) -> None:
        """Stop what was started here, the database first: it was written last."""
        for child in reversed(self.children.values()):
            child.stop()
        for child in self.children.values():
            if child.unix_url:
                socket = Path(child.unix_url.removeprefix("unix://").partition("?")[0])
                socket.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # the state directory stays; a short stand-in for it is empty
                    socket.parent.rmdir()


def start_servers(settings: Settings, state: Path) -> Servers:
    """Servers for `settings`, with embedded ones in `state`, and the database at its newest schema."""
    servers = Servers(settings.redis_url, settings.database_url)
    try:
        if not settings.redis_url:
            _start_valkey(servers, state / "valkey")
        if not settings.database_url:
            _start_postgres(servers, state / "postgres")
        migrate.upgrade(servers.database_url)
    except BaseException:
        servers.stop()
        raise
    return servers


def _start_valkey(servers: Servers, state: Path) -> None:
    child = servers.children["valkey"] = start_valkey(state)
    servers._restart["valkey"] = lambda: start_valkey(state, child.port)
    servers.redis_url = child.url
    servers.env["PMS_REDIS_URL"] = child.unix_url


def _start_postgres(servers: Servers, state: Path) -> None:
    child = servers.children["postgres"] = start_postgres(state)
    servers._restart["postgres"] = lambda: start_postgres(state, child.port)
    servers.database_url = servers.env["PMS_DATABASE_URL"] = child.url


__all__ = ["ServerError", "Servers", "start_servers"]
