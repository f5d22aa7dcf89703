"""Listen keys and who reads them: user events go to every socket of the account.

Owns keys and their expiry. Encodes each event once. Never decides what happens: the engine did.
"""

import secrets
from collections.abc import Iterable
from typing import Protocol

import msgspec

from pms_simulator.app.frame_log import FrameLog
from pms_simulator.domain.account import Account
from pms_simulator.domain.errors import refuse
from pms_simulator.domain.events import Event

KEY_LIFE_MS = 3_600_000
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
    """All listen keys and user sockets."""

    def __init__(self, log: FrameLog) -> None:
        self._log = log
        self.keys: dict[str, ListenKey] = {}
        self._sockets: dict[str, list[UserSocket]] = {}

    def open_key(self, account: Account, now_ms: int) -> str:
        """The account's key, prolonged; a new one where there is none."""
        for listen in self.keys.values():
            if listen.account is account:
                listen.expires_ms = now_ms + KEY_LIFE_MS
                return listen.key
        key = secrets.token_urlsafe(48)
        self.keys[key] = ListenKey(key, account, now_ms + KEY_LIFE_MS)
        return key

    def prolong(self, account: Account, now_ms: int) -> str:
        """Extend the account's key; -1125 where it has none."""
        if not any(listen.account is account for listen in self.keys.values()):
            raise refuse(-1125)
        return self.open_key(account, now_ms)

    def close_key(self, account: Account) -> None:
        """Drop the account's key; its sockets stay open and go silent."""
        for key in [key for key, listen in self.keys.items() if listen.account is account]:
            del self.keys[key]
        self._watch(account)

    def expire(self, now_ms: int) -> None:
        """Tell readers of keys whose time is over, then go silent."""
        for listen in [listen for listen in self.keys.values() if listen.expires_ms <= now_ms]:
            self._send(listen, {"e": "listenKeyExpired", "E": now_ms, "listenKey": listen.key})
            del self.keys[listen.key]
            self._watch(listen.account)

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
        if not readers:
            self._sockets.pop(socket.key, None)
        listen = self.keys.get(socket.key)
        if listen is not None:
            self._watch(listen.account)

    def send(self, events: Iterable[tuple[Account, Event]]) -> None:
        """Deliver events in order."""
        for account, event in events:
            for listen in self.keys.values():
                if listen.account is account:
                    self._send(listen, event)

    def _send(self, listen: ListenKey, event: Event) -> None:
        payload: bytes | None = None
        if event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "TRADE":
            self._log.note("trade", event["o"]["s"], str(event["o"]["i"]))
        for socket in self._sockets.get(listen.key, ()):
            if not socket.events or event["e"] in socket.events:
                payload = payload or _encode(event)
                socket.send_event(payload)

    def _watch(self, account: Account) -> None:
        account.watched = any(
            listen.account is account and self._sockets.get(listen.key) for listen in self.keys.values()
        )
