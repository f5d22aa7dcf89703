"""The event log in Redis, for what is not hot: where it stands at a start, and reading on from an id.

Owns the private keys beside the log: `seq` (hash, by account) and `epoch`. The hot writes go through the outbox.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import msgspec
import redis.asyncio
from redis.exceptions import ResponseError

from pms_common.names import Names
from pms_gateway.domain.sequencer import MAX_KEYS, LogId, parse_id

PAGE = 1_000
Page = list[tuple[bytes, dict[bytes, bytes]]]


class _Numbered(msgspec.Struct, rename={"account_id": "subAccountId"}):
    seq: int
    account_id: str


_numbered = msgspec.json.Decoder(_Numbered)


def account_of(payload: bytes) -> str:
    """Whose event it is."""
    return _numbered.decode(payload).account_id


@dataclass(slots=True)
class LogPosition:
    """Where the log stands. `epoch` 0: Redis knows of none, so the log is new or was lost."""

    last_id: LogId = (0, 0)
    epoch: int = 0
    seqs: dict[str, int] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)


class LogStore:
    """Reads `pms:events`."""

    def __init__(self, client: redis.asyncio.Redis, names: Names) -> None:
        self._redis = client
        self._events = names.events
        self.seq_key = names.own("gateway", "seq")
        self.epoch_key = names.own("gateway", "epoch")

    async def position(self) -> LogPosition:
        """Where to go on after a start. The hash of numbers is a second behind the log; the log's newest are right."""
        raw_seqs = cast("dict[bytes, bytes]", await self._redis.hgetall(self.seq_key))
        seqs = {account.decode(): int(seq) for account, seq in raw_seqs.items()}
        position = LogPosition(await self.last_id(), await self.epoch(), seqs)
        async for key, data in self._newest():
            position.keys.append(key)
            event = _numbered.decode(data)
            position.seqs[event.account_id] = max(position.seqs.get(event.account_id, 0), event.seq)
        position.keys.reverse()
        return position

    async def life(self) -> str:
        """Which life of Redis this is, as the bus names it: run id and replication id."""
        server, replication = await self._redis.info("server"), await self._redis.info("replication")
        return f"{server['run_id']}/{replication['master_replid']}"

    async def epoch(self) -> int:
        """The epoch Redis knows; 0 where it knows none."""
        return int(await self._redis.get(self.epoch_key) or 0)

    async def set_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        await self._redis.set(self.epoch_key, epoch)

    async def last_id(self) -> LogId:
        """The highest id the log ever had, trimmed entries included."""
        try:
            info = await self._redis.xinfo_stream(self._events)
        except ResponseError as error:
            if "no such key" in str(error):
                return (0, 0)
            raise
        return parse_id(cast("bytes", info["last-generated-id"]).decode())

    async def after(self, event_id: LogId, count: int) -> list[tuple[LogId, bytes]]:
        """Up to `count` events after an id."""
        start = f"({event_id[0]}-{event_id[1]}"
        entries = cast("Page", await self._redis.xrange(self._events, min=start, count=count))
        return [(parse_id(entry_id.decode()), fields[b"data"]) for entry_id, fields in entries]

    async def _newest(self) -> AsyncIterator[tuple[str, bytes]]:
        """Keys and payloads of the newest events, newest first."""
        end, found = "+", 0
        while found < MAX_KEYS:
            page = cast("Page", await self._redis.xrevrange(self._events, max=end, count=PAGE))
            for _, fields in page:
                yield fields[b"key"].decode(), fields[b"data"]
            found += len(page)
            if len(page) < PAGE:
                break
            end = "(" + page[-1][0].decode()
