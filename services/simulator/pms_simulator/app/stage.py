"""The running venue as the actions of ``domain.faults`` see it.

Owns nothing: it hands on to engine, user streams and sockets.
"""

from typing import Protocol

from pms_simulator.app.venue import Venue
from pms_simulator.domain.account import Account
from pms_simulator.domain.engine import Engine
from pms_simulator.domain.faults.base import Target


class SocketControl(Protocol):
    """The open sockets."""

    @property
    def counts(self) -> dict[str, int]:
        """Open sockets by route."""

    def close(self, target: Target) -> int:
        """Drop sockets; how many."""

    def silence(self, target: Target, seconds: float | None, *, pongs: bool) -> int:
        """Let sockets fall silent; how many."""


class LiveStage:
    """See ``domain.faults.base.Stage``."""

    def __init__(self, venue: Venue, sockets: SocketControl) -> None:
        self._venue = venue
        self._sockets = sockets
        self.now_ms = venue.now_ms()

    @property
    def engine(self) -> Engine:
        """Markets and accounts."""
        return self._venue.engine

    def account(self, name: str | None) -> Account:
        """The named account, or the first one."""
        return self._venue.account(name)

    def client_id(self) -> str:
        """A generated client order id."""
        return self._venue.client_id()

    def close_sockets(self, target: Target) -> int:
        """Drop sockets."""
        return self._sockets.close(target)

    def silence_sockets(self, target: Target, seconds: float | None, *, pongs: bool) -> int:
        """Let sockets fall silent."""
        return self._sockets.silence(target, seconds, pongs=pongs)

    def expire_listen_key(self, account: Account) -> str:
        """End the account's listen key."""
        return self._venue.users.expire_key(account, self.now_ms)
