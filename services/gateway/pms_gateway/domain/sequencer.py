"""Numbers public events: `seq` by account, event ids that only rise, and no event twice.

Owns the numbers between two writes; what is durable lies in Redis beside the log and is handed in at the start.
Never talks to Redis and never sees a payload. Used by `app.event_log`.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_KEYS = 200_000
"""Repeats come from a producer's replay of what it had not acknowledged: 60 s of 3,000 events a second, and some more.
About 34 MB."""

EVENT_ID = r"^[0-9]{1,18}-[0-9]{1,18}$"
LogId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What only the gateway gives an event."""

    seq: int
    event_id: str
    epoch: int


def parse_id(text: str) -> LogId:
    """`ms-seq` as a pair that compares. Raises ValueError."""
    if not re.fullmatch(EVENT_ID, text):
        raise ValueError(text)
    ms, _, seq = text.partition("-")
    return int(ms), int(seq)


class Sequencer:
    """Continues from the last event id, the numbers by account and the log's newest keys, oldest first."""

    def __init__(
        self, epoch: int, last_id: LogId, seqs: Mapping[str, int], keys: Iterable[str] = (), max_keys: int = MAX_KEYS
    ) -> None:
        self.epoch = epoch
        self.last_id = last_id
        self._seqs = dict(seqs)
        self._max_keys = max_keys
        self._order = deque(keys)  # a dict alone searches its deleted front at every eviction
        self._keys = set(self._order)
        self.repeats = 0

    def take(self, key: str, account_id: str, now_ms: int) -> Stamp | None:
        """Number an event; None where its key was seen before."""
        if key in self._keys:
            self.repeats += 1
            return None
        self._keys.add(key)
        self._order.append(key)
        if len(self._order) > self._max_keys:
            self._keys.discard(self._order.popleft())
        seq = self._seqs.get(account_id, 0) + 1
        self._seqs[account_id] = seq
        last_ms, last_n = self.last_id
        self.last_id = (now_ms, 0) if now_ms > last_ms else (last_ms, last_n + 1)
        return Stamp(seq, f"{self.last_id[0]}-{self.last_id[1]}", self.epoch)
