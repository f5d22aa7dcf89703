"""Listen keys and who reads them: user events go to every socket of the account.

Owns keys and their expiry. Encodes each event once. Never decides what happens: the engine did.
"""

import secrets
from collections.abc import Iterable
from typing import Protocol

import msgspec

from pms_simulator.app.disturbance import Disturbance
from pms_simulator.app.frame_log import FrameLog
from pms_simulator.domain.account import Account
from pms_simulator.domain.errors import refuse
from pms_simulator.domain.events import Event
from pms_simulator.domain.faults import Faults

_encode = msgspec.json.Encoder().encode


class UserSocket(Protocol):
    """A connected reader of one listen key."""

    key: str
    events: frozenset[str]

    def send_event(self, payload: bytes) -> None:
        """Write one encoded event."""


class ListenKey:
    """One account's key, valid until ``expires_ms``."""

    __slots__ = ("account", "expires_ms", "key")

    def __init__(self, key: str, account: Account, expires_ms: int) -> None:
        self.key = key
        self.account = account
        self.expires_ms = expires_ms


class UserStreams:
    """All listen keys and user sockets. ``life_ms``: how long a key lives unless it is prolonged."""

    def __init__(self, log: FrameLog, faults: Faults, life_ms: int) -> None:
        self._log = log
        self._faults = faults
        self._life_ms = life_ms
        self._disturbance = Disturbance(faults)
        self.keys: dict[str, ListenKey] = {}
        self._by_account: dict[str, ListenKey] = {}
        self._sockets: dict[str, list[UserSocket]] = {}

    def open_key(self, account: Account, now_ms: int) -> str:
        """The account's key, prolonged; a new one where there is none."""
        listen = self._by_account.get(account.name)
        if listen is None:
            listen = ListenKey(secrets.token_urlsafe(48), account, 0)
            self.keys[listen.key] = self._by_account[account.name] = listen
        listen.expires_ms = now_ms + self._life_ms
        return listen.key

    def prolong(self, account: Account, now_ms: int) -> str:
        """Extend the account's key; -1125 where it has none."""
        if account.name not in self._by_account:
            raise refuse(-1125)
        return self.open_key(account, now_ms)

    def close_key(self, account: Account) -> None:
        """Drop the account's key; its sockets stay open and go silent."""
        listen = self._by_account.pop(account.name, None)
        if listen is not None:
            del self.keys[listen.key]
            account.watched = False

    def expire_key(self, account: Account, now_ms: int) -> str:
        """Tell the readers of the account's key that it has expired, then go silent; -1125 where it has none."""
        listen = self._by_account.get(account.name)
        if listen is None:
            raise refuse(-1125)
        self._send(listen, {"e": "listenKeyExpired", "E": now_ms, "listenKey": listen.key}, now_ms)
        self.close_key(account)
        return listen.key

    def expire(self, now_ms: int) -> None:
        """Expire keys whose time is over."""
        for listen in [listen for listen in self.keys.values() if listen.expires_ms <= now_ms]:
            self.expire_key(listen.account, now_ms)

    def join(self, socket: UserSocket) -> None:
        """Start sending to ``socket``. An unknown key is accepted and stays silent, as at the venue."""
        self._sockets.setdefault(socket.key, []).append(socket)
        listen = self.keys.get(socket.key)
        if listen is not None:
            listen.account.watched = True

    def leave(self, socket: UserSocket) -> None:
        """Stop sending to ``socket``."""
        readers = self._sockets.get(socket.key, [])
        if socket in readers:
            readers.remove(socket)
        if readers:
            return
        self._sockets.pop(socket.key, None)
        listen = self.keys.get(socket.key)
        if listen is not None:
            listen.account.watched = False

    def send(self, events: Iterable[tuple[Account, Event]], now_ms: int) -> None:
        """Deliver events in order."""
        for account, event in events:
            listen = self._by_account.get(account.name)
            if listen is not None:
                self._send(listen, event, now_ms)

    def _send(self, listen: ListenKey, event: Event, now_ms: int) -> None:
        kind = event["e"]
        if kind == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "TRADE":
            self._log.note("trade", event["o"]["s"], str(event["o"]["i"]))
        if self._faults.events:
            self._disturbance.send(listen.account.name, event, self._readers(listen, kind), _encode(event), now_ms)
            return
        payload: bytes | None = None
        for socket in self._sockets.get(listen.key, ()):
            if not socket.events or kind in socket.events:
                payload = payload or _encode(event)
                socket.send_event(payload)

    def _readers(self, listen: ListenKey, kind: str) -> list[UserSocket]:
        return [socket for socket in self._sockets.get(listen.key, ()) if not socket.events or kind in socket.events]
