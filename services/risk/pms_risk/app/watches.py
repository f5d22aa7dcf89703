"""What is remembered of accounts between two looks at their margin, over restarts too.

Owns the watches by name, and that who was warned is not warned again by a successor, nor who was just reduced reduced
again: both are kept in a Redis hash, in the MULTI of what is told. What asks for a step has to ask a successor anew.
Used by the sentinel.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from pms_common.bus import Outbox
from pms_risk.domain.liquidation.watch import Watch


class Kept(msgspec.Struct):
    """Of one watch."""

    warned: bool
    cool_until_ms: int


_decode = msgspec.json.Decoder(Kept).decode
_encode = msgspec.json.Encoder().encode
_NOTHING = Kept(warned=False, cool_until_ms=0)


class Watches:
    """By what they are about: an account's cross positions, or one isolated position."""

    def __init__(self, outbox: Outbox, key: str) -> None:
        self._outbox = outbox
        self.key = key
        self._watches: dict[str, Watch] = {}
        self._kept: dict[str, Kept] = {}

    def restore(self, stored: Mapping[Any, Any]) -> None:
        """Know what a predecessor knew, before anybody is looked at."""
        for field, value in stored.items():
            name, kept = field.decode(), _decode(value)
            self._kept[name] = kept
            self._watches[name] = Watch(warned=kept.warned, cool_until_ms=kept.cool_until_ms)

    def __contains__(self, name: str) -> bool:
        return name in self._watches

    def names(self) -> list[str]:
        """All there are."""
        return list(self._watches)

    def get(self, name: str) -> Watch | None:
        """The watch, if anything was ever asked for."""
        return self._watches.get(name)

    def of(self, name: str) -> Watch:
        """The watch, from now on."""
        return self._watches.setdefault(name, Watch())

    def keep(self, name: str) -> None:
        """What is to be remembered has changed."""
        watch = self._watches[name]
        kept = Kept(warned=watch.warned, cool_until_ms=watch.cool_until_ms)
        if kept == self._kept.get(name, _NOTHING):
            return
        if kept == _NOTHING:
            self._forget(name)
        else:
            self._kept[name] = kept
            self._outbox.command("HSET", self.key, name, _encode(kept))

    def drop(self, name: str) -> None:
        """What it is about is gone."""
        self._watches.pop(name, None)
        self._forget(name)

    def _forget(self, name: str) -> None:
        if self._kept.pop(name, None) is not None:
            self._outbox.command("HDEL", self.key, name)
