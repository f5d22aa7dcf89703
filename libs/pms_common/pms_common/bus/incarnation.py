"""Which life of Redis we talk to, and since when: what was written before may be incomplete or already handled.

Owns `suspect_before_ms`. Asked at every (re)connect of a reader; shared by all consumers of a process.
"""

from pms_common.bus.resp import Connection
from pms_common.logging import get_logger

log = get_logger(__name__)


class Incarnation:
    """The run id and replication id last seen.

    `suspect_before_ms`: entries with an older id are suspect. It is the time (by the clock of Redis) at which this
    process first connected or last found another incarnation, whichever is later.
    """

    def __init__(self) -> None:
        self.identity = ""
        self.suspect_before_ms = 0

    async def check(self, connection: Connection) -> None:
        """Look whether the server was restarted, replaced or promoted since the last check."""
        server, replication, now = await connection.pipeline(("INFO", "server"), ("INFO", "replication"), ("TIME",))
        for reply in (server, replication, now):
            if isinstance(reply, Exception):
                raise reply
        identity = f"{_field(server, b'run_id')}/{_field(replication, b'master_replid')}"
        if identity == self.identity:
            return
        if self.identity:
            log.warning("redis_incarnation_changed", before=self.identity, now=identity)
        self.identity = identity
        self.suspect_before_ms = int(now[0]) * 1000 + int(now[1]) // 1000 + 1


def _field(info: bytes, name: bytes) -> str:
    for line in info.splitlines():
        key, _, value = line.partition(b":")
        if key == name:
            return value.decode()
    raise ConnectionError(f"INFO lacks {name.decode()}")  # a server that still starts up
