"""Which streams are wanted and which control messages lead there.

Owns the leases on symbols, their places on connections and the pace of SUBSCRIBE and UNSUBSCRIBE. Never sends.
Used by `app.watching` and `app.session`.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

MAX_OWNERS = 1_000
MAX_SYMBOLS = 2_000
"""More than the venue lists; bounds what a broken owner can ask for."""
STREAMS_PER_CONNECTION = 1_024  # the venue's limit since 2025-07-02
STREAMS_PER_MESSAGE = 100
MESSAGES_PER_SECOND = 5
"""The venue allows 10 incoming messages a second and counts pings and pongs too."""
ANSWER_WITHIN_MS = 3_000
RETRY_REFUSED_MS = 5_000


class LeaseRefused(ValueError):
    """A lease that would break a bound; the text names the field."""


class Leases:
    """Symbols by owner, until when; and those that are always watched."""

    def __init__(self, always: Iterable[str]) -> None:
        self._always = frozenset(always)
        self._leases: dict[str, tuple[frozenset[str], int]] = {}

    def put(self, owner: str, symbols: Iterable[str], until_ms: int, now_ms: int) -> bool:
        """Replace the owner's lease; whether it now holds one (not if it is over or of no symbols)."""
        wanted = frozenset(symbols)
        others = {name: lease for name, lease in self._leases.items() if name != owner}
        if until_ms <= now_ms or not wanted:
            self._leases = others
            return False
        if len(others) >= MAX_OWNERS:
            raise LeaseRefused(f"owner: more than {MAX_OWNERS} owners hold leases")
        if len(wanted.union(self._always, *(held for held, _ in others.values()))) > MAX_SYMBOLS:
            raise LeaseRefused(f"symbols: more than {MAX_SYMBOLS} would be watched")
        self._leases = {**others, owner: (wanted, until_ms)}
        return True

    def end(self, now_ms: int) -> list[str]:
        """Forget the leases that are over; their owners."""
        over = [owner for owner, (_, until_ms) in self._leases.items() if until_ms <= now_ms]
        for owner in over:
            del self._leases[owner]
        return over

    def wanted(self) -> frozenset[str]:
        """All symbols wanted."""
        return self._always.union(*(symbols for symbols, _ in self._leases.values()))


class Places:
    """Which connection carries which symbol. A symbol stays where it is until it is no longer wanted."""

    def __init__(self, streams_per_symbol: int) -> None:
        self._room = STREAMS_PER_CONNECTION // streams_per_symbol
        self.connections: list[set[str]] = []

    def assign(self, wanted: Iterable[str]) -> None:
        """Give every wanted symbol a place, on the first connection with room, and free the others'."""
        missing = set(wanted)
        for symbols in self.connections:
            symbols &= missing
            missing -= symbols
        for symbol in sorted(missing):
            self._place(symbol)

    def _place(self, symbol: str) -> None:
        for symbols in self.connections:
            if len(symbols) < self._room:
                symbols.add(symbol)
                return
        self.connections.append({symbol})


@dataclass(frozen=True, slots=True)
class Request:
    """A control message: `id` is what its answer bears."""

    id: int
    method: Literal["SUBSCRIBE", "UNSUBSCRIBE"]
    streams: tuple[str, ...]
    sent_ms: int


class Control:
    """Desired against asked-for streams of one connection."""

    def __init__(self) -> None:
        self.wanted: frozenset[str] = frozenset()
        self.asked: set[str] = set()
        self._unanswered: dict[int, Request] = {}
        self._sent_ms: deque[int] = deque(maxlen=MESSAGES_PER_SECOND)
        self._refused_ms: dict[str, int] = {}
        self._id = 0

    def next(self, now_ms: int) -> Request | None:
        """The next message that may be sent now, or None."""
        if len(self._sent_ms) == MESSAGES_PER_SECOND and now_ms - self._sent_ms[0] < 1_000:
            return None
        if streams := self._first(self.wanted - self.asked, now_ms):
            self.asked.update(streams)
            return self._make("SUBSCRIBE", streams, now_ms)
        if streams := self._first(self.asked - self.wanted, now_ms):
            self.asked.difference_update(streams)
            return self._make("UNSUBSCRIBE", streams, now_ms)
        return None

    def _first(self, streams: Iterable[str], now_ms: int) -> tuple[str, ...]:
        ripe = [stream for stream in streams if now_ms - self._refused_ms.get(stream, 0) >= RETRY_REFUSED_MS]
        return tuple(sorted(ripe)[:STREAMS_PER_MESSAGE])

    def _make(self, method: Literal["SUBSCRIBE", "UNSUBSCRIBE"], streams: tuple[str, ...], now_ms: int) -> Request:
        self._id += 1
        self._sent_ms.append(now_ms)
        request = Request(self._id, method, streams, now_ms)
        self._unanswered[request.id] = request
        return request

    def answered(self, request_id: int, ok: bool, now_ms: int) -> Request | None:
        """Take the venue's answer; streams whose SUBSCRIBE was refused are asked for again later."""
        request = self._unanswered.pop(request_id, None)
        if request is None:
            return None
        if request.method == "SUBSCRIBE" and not ok:
            self.asked.difference_update(request.streams)
            self._refused_ms.update(dict.fromkeys(request.streams, now_ms))
            self._refused_ms = {stream: at for stream, at in self._refused_ms.items() if stream in self.wanted}
        if ok:
            for stream in request.streams:
                self._refused_ms.pop(stream, None)
        return request

    def renew(self, stream: str, now_ms: int) -> Request | None:
        """Ask for a stream to end that has gone silent; `next` asks for it anew. None if the pace forbids it now."""
        if len(self._sent_ms) == MESSAGES_PER_SECOND and now_ms - self._sent_ms[0] < 1_000:
            return None
        self.asked.discard(stream)
        return self._make("UNSUBSCRIBE", (stream,), now_ms)

    def overdue(self, now_ms: int) -> bool:
        """Whether an answer is late: the connection does not do its work."""
        return any(now_ms - request.sent_ms > ANSWER_WITHIN_MS for request in self._unanswered.values())

    def settled(self, wanted: frozenset[str]) -> bool:
        """Whether all that is wanted has been asked for and answered."""
        return wanted <= self.asked and not self._unanswered
