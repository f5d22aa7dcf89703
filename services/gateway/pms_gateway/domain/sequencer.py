"""Numbers public events: `seq` by account, event ids that only rise, and no event twice.

Owns the numbers between two writes; what is durable lies in Redis beside the log and is handed in at the start.
Never talks to Redis and never sees a payload. Used by `app.event_log`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_KEYS = 50_000
"""Repeats come from a producer's replay of what it had not acknowledged, which its bus bounds to 10,000 entries."""

LogId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What only the gateway gives an event."""

    seq: int
    event_id: str
    epoch: int


def parse_id(text: str) -> LogId:
    """`ms-seq` as a pair that compares."""
    ms, _, seq = text.partition("-")
    return int(ms), int(seq or 0)


class Sequencer:
    """Continues from the last event id, the numbers by account and the log's newest keys, oldest first."""

    def __init__(
        self, epoch: int, last_id: LogId, seqs: Mapping[str, int], keys: Iterable[str] = (), max_keys: int = MAX_KEYS
    ) -> None:
        self.epoch = epoch
        self.last_id = last_id
        self._seqs = dict(seqs)
        self._max_keys = max_keys
        self._keys: dict[str, None] = dict.fromkeys(keys)
        self.repeats = 0

    def take(self, key: str, account_id: str, now_ms: int) -> Stamp | None:
        """Number an event; None where its key was seen before."""
        if key in self._keys:
            self.repeats += 1
            return None
        self._keys[key] = None
        if len(self._keys) > self._max_keys:
            del self._keys[next(iter(self._keys))]
        seq = self._seqs.get(account_id, 0) + 1
        self._seqs[account_id] = seq
        last_ms, last_n = self.last_id
        self.last_id = (now_ms, 0) if now_ms > last_ms else (last_ms, last_n + 1)
        return Stamp(seq, f"{self.last_id[0]}-{self.last_id[1]}", self.epoch)
