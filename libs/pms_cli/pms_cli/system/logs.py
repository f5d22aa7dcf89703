"""What the children write, line by line with the writer's name in front, to one stream.

Writing happens in a thread behind a bounded queue: a terminal that stands still stops neither a service nor us.
"""

import asyncio
import queue
import threading
from typing import BinaryIO

MAX_LINES = 10_000
MAX_LINE = 64 * 1024


class LogSink:
    """Writes lines to `out`; what does not fit into the queue is dropped and counted."""

    def __init__(self, out: BinaryIO) -> None:
        self.dropped = 0
        self._out = out
        self._lines: queue.Queue[bytes | None] = queue.Queue(MAX_LINES)
        self._thread = threading.Thread(target=self._write, name="log-sink", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Write a line soon."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def close(self, within_s: float = 1.0) -> None:
        """Write what waits, as far as the stream takes it in time."""
        self.write(b"")
        try:
            self._lines.put(None, timeout=within_s)
        except queue.Full:
            return
        self._thread.join(within_s)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._out.write(line)
                if self._lines.empty():
                    self._out.flush()
            except (OSError, ValueError):  # nobody reads any more
                return


class Prefixer(asyncio.Protocol):
    """Cuts one child's output into lines and puts its name in front."""

    def __init__(self, name: str, sink: LogSink) -> None:
        self._prefix = f"{name:<9} | ".encode()
        self._sink = sink
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Pass on the whole lines."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._sink.write(self._prefix + line + b"\n")
        if len(self._rest) > MAX_LINE:
            self._flush_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on an unfinished last line."""
        if self._rest:
            self._flush_rest()

    def _flush_rest(self) -> None:
        self._sink.write(self._prefix + self._rest + b"\n")
        self._rest = b""
