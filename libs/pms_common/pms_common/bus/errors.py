"""Errors of the bus, and which of Redis' error replies pass by themselves.

Owns the distinction between what is retried (the server loads, fails over, is out of memory) and what stops the
service (no permission, wrong type, a command the server does not know). Used by every module of the bus.
"""

TRANSIENT = frozenset(
    {
        *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"),
        *("OOM", "MISCONF", "BUSY", "UNBLOCKED", "NOMASTER", "MOVED", "ASK"),
    }
)
"""First words of error replies whose cause goes away without us: wait, connect anew, try again.

MOVED and ASK: our keys are, or go, to another node of a cluster; who connects anew asks which one.
"""


class RespError(Exception):
    """An error reply of Redis to one command."""

    @property
    def code(self) -> str:
        """The reply's first word: `NOGROUP`, `WRONGTYPE`, `ERR` …"""
        text = str(self)
        return text.split(" ", 1)[0] if text else "ERR"

    @property
    def transient(self) -> bool:
        """Whether waiting and connecting anew may help."""
        return self.code in TRANSIENT


class BusError(Exception):
    """The bus cannot go on; the service must stop."""


class OutboxError(BusError):
    """Redis refused something written, for a reason that does not pass: nothing is written any more."""


class OutboxFull(BusError):
    """A producer went on adding far beyond `Outbox.full`."""


class Malformed(Exception):
    """Raised by a handler whose entry cannot be understood: the entry goes to `pms:dead`."""


def is_infrastructure(error: BaseException) -> bool:
    """Whether `error` is about the connection or a passing state of the server, not about what was said."""
    return isinstance(error, OSError | TimeoutError | EOFError) or (isinstance(error, RespError) and error.transient)
