"""Idempotency marks: which requests an owner has taken, and how they ended, for 24 hours.

Owns the marks of one service: in memory as digests, and in the stream `names.marks(service)`, written in the same MULTI
as a request's outputs and acknowledgement. Never executes or answers anything. Used by the command inlet and `Answers`.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import msgspec

from pms_common import metrics
from pms_common.bus import Bus
from pms_common.names import Names

KEEP_MS = 24 * 3_600_000
MAX_MARKS = 200_000
"""A bound on memory. Past it the oldest requests are forgotten before their 24 h, which is counted."""
_PAGE = 5_000


class _Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    account: str
    request: str
    body_hash: str
    result: msgspec.Raw = msgspec.Raw()


_forgotten = metrics.counter("marks_forgotten", "Requests forgotten before their 24 hours")
_decode = msgspec.json.Decoder(_Mark).decode
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Known:
    """A request that was taken before; `result` is its answer once it has ended."""

    body_hash: str
    result: bytes | None = None


class Marks:
    """The marks of one owner. `load` before the first command is read."""

    def __init__(self, bus: Bus, names: Names, service: str) -> None:
        self._bus = bus
        self._stream = names.marks(service)
        self._known: OrderedDict[bytes, Known] = OrderedDict()

    async def load(self, now_ms: int) -> None:
        """Read the last 24 hours back."""
        start = str(now_ms - KEEP_MS)
        while True:
            reply = await self._bus.redis.xrange(self._stream, min=start, count=_PAGE)
            page = cast("list[tuple[bytes, dict[bytes, bytes]]]", reply)
            for _, fields in page:
                self._restore(_decode(fields[b"data"]))
            if len(page) < _PAGE:
                return
            start = "(" + page[-1][0].decode()

    def _restore(self, mark: _Mark) -> None:
        known = self.find(mark.account, mark.request)
        if known is None:
            known = Known(mark.body_hash)
            self._remember(mark.account, mark.request, known)
        if mark.result:
            known.result = bytes(mark.result)

    def find(self, account_id: str, request_id: str) -> Known | None:
        """What is known of a request of this account."""
        return self._known.get(_digest(account_id, request_id))

    def hold(self, account_id: str, request_id: str, body_hash: str) -> None:
        """Remember a request that is being decided; a crash before `take` forgets it, as it does its outputs."""
        self._remember(account_id, request_id, Known(body_hash))

    def forget(self, account_id: str, request_id: str) -> None:
        """Take `hold` back."""
        del self._known[_digest(account_id, request_id)]

    def take(self, account_id: str, request_id: str, body_hash: str) -> None:
        """Mark a request as taken, with the outputs and the acknowledgement of the same stretch."""
        self._write(_Mark(account=account_id, request=request_id, body_hash=body_hash))

    def end(self, account_id: str, request_id: str, result: bytes) -> None:
        """Keep the first result of a request that was taken here; others are not this owner's.

        A request whose sender gave no account is marked under none, though its result names one.
        """
        for account in (account_id, ""):
            known = self.find(account, request_id)
            if known is not None:
                if known.result is None:
                    known.result = result
                    self._write(
                        _Mark(
                            account=account, request=request_id, body_hash=known.body_hash, result=msgspec.Raw(result)
                        )
                    )
                return

    def _remember(self, account_id: str, request_id: str, known: Known) -> None:
        self._known[_digest(account_id, request_id)] = known
        if len(self._known) > MAX_MARKS:
            self._known.popitem(last=False)
            _forgotten.inc()

    def _write(self, mark: _Mark) -> None:
        self._bus.outbox.add(self._stream, _encode(mark), maxlen=MAX_MARKS * 2, late=True)


@lru_cache(maxsize=1_024)
def _digest(account_id: str, request_id: str) -> bytes:
    return hashlib.blake2b(f"{account_id}\x1f{request_id}".encode(), digest_size=16).digest()
