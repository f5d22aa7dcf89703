"""Which of several feeds carries which symbol: pure, times are milliseconds of one monotonic clock.

Each symbol belongs to the living feed with the highest hash of (feed, symbol), so that one that comes or goes moves
only its own symbols (rendezvous hashing). A feed that joins beside others counts from a moment on that lies a whole
life of a record ahead: by then each of the others has seen it or is over. Until then it only prepares its symbols, and
whoever had them goes on; so no symbol is told by two and none is left alone. Used by `app.sharing`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

LIFE_MS = 1_500
"""Of a record that is not renewed. With a look each 300 ms and a subscription a takeover is well inside 3 s."""
DRIFT_MS = 50
"""A feed believes in its own record this much shorter than others do."""
LATE_MS = 200
"""A feed that gains a symbol begins this much after the one that loses it has ended: their beats differ."""
KEEPER = ""
"""Stands among the symbols for what one of the feeds does for all: keeping the stream of leases."""


@dataclass(frozen=True, slots=True)
class Member:
    """A feed as Redis has it."""

    name: str
    from_ms: int
    """When it begins to count."""
    until_ms: int
    """The end of its record, by the clock of Redis: changes whenever it is renewed."""


class Split(NamedTuple):
    """A feed's part of the symbols: those whose streams it is to have, and those of them whose price it tells now."""

    carried: frozenset[str]
    told: frozenset[str]


class Shares:
    """What one feed knows of all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._living: list[Member] = []
        self._records: dict[str, tuple[int, int]] = {}  # name -> the end it had, and when it was first seen to have it
        self._believed_until_ms = 0
        self._split_ms = 0
        self._lapsed = False
        self._key: object = None
        self._last = Split(frozenset(), frozenset())

    def renewed(self, asked_ms: int, members: Iterable[Member], now_ms: int) -> None:
        """Our record was renewed, asked for at that time; and these are all whose records are not over."""
        self._lapsed = self._lapsed or now_ms >= self._believed_until_ms  # others may have had our part since
        self._believed_until_ms = asked_ms + LIFE_MS - DRIFT_MS
        known = {member.name: member for member in members}
        before, self._records = self._records, {}
        for name, member in known.items():
            until_ms, since_ms = before.get(name, (0, 0))
            self._records[name] = member.until_ms, since_ms if until_ms == member.until_ms else now_ms
        self._living = [known[name] for name in sorted(known) if self._renews(name, now_ms)]

    def _renews(self, name: str, now_ms: int) -> bool:
        """Whether a record, looked at now, is kept up. A clock of Redis that was set back would keep it for ever."""
        return name == self.name or now_ms - self._records[name][1] <= LIFE_MS

    def resign(self) -> None:
        """Tell nothing from now on: the record is given back."""
        self._believed_until_ms = 0

    def believes(self, now_ms: int) -> bool:
        """Whether this feed may tell at this moment what the last split gave it: no other can have been given it."""
        return (
            now_ms < self._believed_until_ms
            and not self._lapsed
            and not any(self._split_ms < member.from_ms <= now_ms for member in self._living)
        )

    def split(self, symbols: frozenset[str], now_ms: int) -> "Split":
        """What of these is this feed's."""
        self._split_ms, self._lapsed = now_ms, False
        if not self.believes(now_ms):  # nobody is heard of: what there is stays, untold
            return Split(self._last.carried & symbols, frozenset())
        before, now, later = (self._counted(at_ms) for at_ms in (now_ms - LATE_MS, now_ms, now_ms + 2 * LIFE_MS))
        key = (symbols, before, now, later)
        if key != self._key:
            ours = self._ours(symbols, now)
            self._key = key
            self._last = Split(ours | self._ours(symbols, later), ours & self._ours(symbols, before))
        return self._last

    def _counted(self, at_ms: int) -> tuple[str, ...]:
        return tuple(member.name for member in self._living if member.from_ms <= at_ms)

    def _ours(self, symbols: frozenset[str], counted: tuple[str, ...]) -> frozenset[str]:
        if self.name not in counted:
            return frozenset()
        others = [name for name in counted if name != self.name]
        return frozenset(
            symbol for symbol in symbols if all(_rank(self.name, symbol) > _rank(name, symbol) for name in others)
        )


def _rank(name: str, symbol: str) -> bytes:
    return blake2b(f"{name} {symbol}".encode(), digest_size=8).digest()
