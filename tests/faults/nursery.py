"""Forks a process for each life of the order service: importing it costs seconds, forking it milliseconds.

Owns the forking process, which has imported everything and never runs a loop, and the line to it. Used by the stage.
"""

import asyncio
import contextlib
import ctypes
import os
import select
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

PR_SET_PDEATHSIG = 1


class Birth(msgspec.Struct, frozen=True):
    """What a new life is given: its environment, where it writes, and what it dies of."""

    environment: dict[str, str]
    log: str
    ports: dict[int, str]
    deaths: list[tuple[str, int]] = []


class _News(msgspec.Struct, frozen=True):
    pid: int
    status: int | None = None


_births = msgspec.json.Decoder(Birth)
_news = msgspec.json.Decoder(_News)


class Nursery:
    """The worker's end of the line. Start it before any loop or thread exists."""

    def __init__(self, live: Callable[[Birth], int]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            die_with_parent()
            _serve(theirs, live)
            os._exit(0)
        theirs.close()
        self._line = ours
        self._line.setblocking(False)
        self._born: asyncio.Queue[int] = asyncio.Queue()
        self._coming = 0
        self._ends: dict[int, asyncio.Future[int]] = {}

    def open(self) -> None:
        """Begin to listen, in the running loop."""
        asyncio.get_running_loop().add_reader(self._line, self._hear)

    async def bear(self, birth: Birth) -> tuple[int, "asyncio.Future[int]"]:
        """A new life: its process id, and its wait status to come."""
        self._coming += 1
        self._line.send(msgspec.json.encode(birth))
        pid = await self._born.get()
        return pid, self._ends[pid]

    async def end_all(self) -> None:
        """Kill every life, one that is just being born included."""
        while self._coming or self._ends:
            for pid in self._ends:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)
        while not self._born.empty():
            self._born.get_nowait()

    def close(self) -> None:
        """End the forking process."""
        asyncio.get_running_loop().remove_reader(self._line)
        self._line.close()
        os.waitpid(self.pid, 0)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while packet := self._line.recv(65536):
                news = _news.decode(packet)
                if news.status is None:
                    self._ends[news.pid] = asyncio.get_running_loop().create_future()
                    self._coming -= 1
                    self._born.put_nowait(news.pid)
                else:
                    end = self._ends.pop(news.pid)
                    if not end.done():  # nobody waits for it any more
                        end.set_result(news.status)


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _serve(line: socket.socket, live: Callable[[Birth], int]) -> None:
    """Fork on request and tell of ends, until the line is closed."""
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    while True:
        readable, _, _ = select.select([line.fileno(), ended], [], [])
        if ended in readable:
            os.read(ended, 4096)
        for pid, status in _reap():
            line.send(msgspec.json.encode(_News(pid, status)))
        if line.fileno() not in readable:
            continue
        packet = line.recv(65536)
        if not packet:
            return
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for fd in (line.fileno(), ended, wake):
                os.close(fd)
            _be_born(_births.decode(packet), live)
        line.send(msgspec.json.encode(_News(pid)))


def _reap() -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    with contextlib.suppress(ChildProcessError):
        while (one := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            found.append(one)
    return found


def _be_born(birth: Birth, live: Callable[[Birth], int]) -> Any:
    code = 70
    try:
        die_with_parent()
        out = os.open(Path(birth.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        code = live(birth)
    finally:
        os._exit(code)
