"""`pms record`: what the venue sends, written down as it came, one file a symbol.

Owns the files and when a new one begins: after a given time and after each lost connection, each with a snapshot of its
own, so that every file stands for itself. Never decodes a price. The files are those that the simulator replays.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pms_common.captures import CaptureWriter
from pms_common.clock import now_ms
from pms_common.logging import get_logger
from pms_feed.app.frames import HEAD, Answer
from pms_feed.app.session import Connect, Session
from pms_feed.app.wire import RestError, decode_frame

log = get_logger(__name__)

KINDS = ("bookTicker", "depth@100ms", "trade")
"""All on the public route."""
TURN_S = 0.05
FLUSH_EVERY_S = 1.0
"""What a crash may cost."""
SNAPSHOT_AFTER_S = 0.5
"""The first diffs must be older than the snapshot."""
AGAIN_S = 5.0
RECONNECT_S = 1.0

Depth = Callable[[str], Awaitable[bytes]]
"""Fetches a symbol's snapshot as the venue sends it. Raises `RestError`."""


class Recorder:
    """Records until `run` is cancelled or `close` is called."""

    def __init__(
        self, connect: Connect, depth: Depth, symbols: Sequence[str], directory: Path, rotate_s: float
    ) -> None:
        self._connect = connect
        self._depth = depth
        self._symbols = {symbol.lower(): symbol for symbol in symbols}
        self._directory = directory
        self._rotate_s = rotate_s
        self._files: dict[bytes, CaptureWriter] = {}
        self._snapshots: set[asyncio.Task[None]] = set()
        self.lines = 0
        self.paths: list[Path] = []

    async def run(self) -> None:
        """Record until cancelled, through lost connections."""
        while True:
            try:
                why = await self._record()
            except (OSError, TimeoutError) as error:
                why = f"{type(error).__name__}: {error}"
            finally:
                self.close()
            log.warning("recording_interrupted", why=why)
            await asyncio.sleep(RECONNECT_S)

    async def _record(self) -> str:
        """Over one connection; why it ended."""
        session = Session(self._on_text, lambda _session, _streams: None)
        await session.open(self._connect)
        wanted = frozenset(f"{symbol}@{kind}" for symbol in self._symbols for kind in KINDS)
        began = flushed = time.monotonic()
        self._begin()
        try:
            while not (fault := session.turn(wanted, now_ms(), 0)):
                await asyncio.wait((session.closed,), timeout=TURN_S)
                now = time.monotonic()
                if now - began >= self._rotate_s:
                    began = now
                    self._begin()
                elif now - flushed >= FLUSH_EVERY_S:
                    flushed = now
                    self._flush()
            return fault
        finally:
            session.close("recorded")

    def _begin(self) -> None:
        """New files, and snapshots for them."""
        self.close()
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
        for symbol in self._symbols:
            file = CaptureWriter(self._directory / f"usdm_{symbol}_{stamp}Z.gz")
            self._files[symbol.encode()] = file
            self.paths.append(file.path)
            task = asyncio.create_task(self._snapshot(symbol, file))
            self._snapshots.add(task)
            task.add_done_callback(self._snapshots.discard)

    async def _snapshot(self, symbol: str, file: CaptureWriter) -> None:
        await asyncio.sleep(SNAPSHOT_AFTER_S)
        while self._files.get(symbol.encode()) is file:
            try:
                body = await self._depth(self._symbols[symbol])
            except RestError as error:
                log.warning("snapshot_failed", symbol=self._symbols[symbol], error=str(error))
                await asyncio.sleep(AGAIN_S)
                continue
            if self._files.get(symbol.encode()) is file:
                file.add(time.time_ns(), body)
            return

    def _on_text(self, answer: Answer, payload: bytes) -> None:
        at_ns = time.time_ns()
        file = self._files.get(payload[HEAD : payload.find(b"@", HEAD)])
        if file is not None:
            file.add(at_ns, payload)
            self.lines += 1
            return
        try:
            frame = decode_frame(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            log.warning("not_recorded", message=payload[:200].decode(errors="replace"))
            return
        if frame.id is not None:
            answer(frame.id, frame.error is None and frame.code is None)

    def _flush(self) -> None:
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Finish the files."""
        for task in self._snapshots:
            task.cancel()
        files, self._files = list(self._files.values()), {}
        for file in files:
            file.close()
