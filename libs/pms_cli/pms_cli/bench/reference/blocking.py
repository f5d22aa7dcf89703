"""`hop_chain.c` in Python, on blocking sockets with hiredis: the reference where there is no C compiler.

Same commands, same arguments, same output. Measured at 1.2 times the C one.
"""

import json
import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import hiredis

from pms_cli.bench.result import percentile
from pms_common.bus.resp import Word, pack

PAYLOAD = 300
BATCH = 20
WARM_UP = 200


class Line:
    """A blocking connection."""

    def __init__(self, address: str) -> None:
        self._reader = hiredis.Reader()
        if "/" in address:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(address)
        else:
            host, _, port = address.rpartition(":")
            self._socket = socket.create_connection((host, int(port)))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *commands: tuple[Word, ...]) -> None:
        """Write the commands in one go."""
        self._socket.sendall(b"".join(map(pack, commands)))

    def reply(self) -> Any:
        """The next reply."""
        while (reply := self._reader.gets()) is False:
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionError("closed by the server")
            self._reader.feed(received)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def ask(self, *commands: tuple[Word, ...]) -> None:
        """Write the commands and wait for all replies."""
        self.send(*commands)
        for _ in commands:
            self.reply()


def _read(stream: str, count: int) -> tuple[Word, ...]:
    return ("XREADGROUP", "GROUP", "g", "c", "COUNT", count, "BLOCK", 2000, "STREAMS", stream, ">")


def _xadd(stream: str, maxlen: int, payload: bytes) -> tuple[Word, ...]:
    return ("XADD", stream, "MAXLEN", "~", maxlen, "*", "data", payload)


def _payload() -> bytes:
    return (b"%d|" % time.monotonic_ns()).ljust(PAYLOAD, b"x")


def _create(line: Line, *streams: str) -> None:
    for stream in streams:
        line.ask(("DEL", stream), ("XGROUP", "CREATE", stream, "g", 0, "MKSTREAM"))


def _spawn(target: Callable[..., None], *arguments: object) -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def _hop(address: str, source: str, target: str, samples: Any) -> None:
    reading, writing = Line(address), Line(address)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        reading.send(_read(source, 200))
        reply = reading.reply()
        now = time.monotonic_ns()
        commands: list[tuple[Word, ...]] = []
        for entry_id, (_, payload) in reply[0][1] if reply else ():
            if samples is None:
                commands.append(_xadd(target, 100_000, payload))
            else:
                samples[1 + int(samples[0])] = now - int(payload[: payload.index(b"|")])
                samples[0] += 1
            commands.append(("XACK", source, "g", entry_id))
        if commands:
            writing.ask(*commands)


def chain(hops: int, rate: float, seconds: float, address: str, prefix: str) -> dict[str, float]:
    """One way through `hops`, paced, or saturated where `rate` is negative."""
    samples = multiprocessing.get_context("spawn").Array("q", 500_000, lock=False)
    source = Line(address)
    streams = [f"{prefix}:{i}" for i in range(hops + 1)]
    _create(source, *streams[:-1])
    last = hops - 1
    running = [_spawn(_hop, address, streams[i], streams[i + 1], samples if i == last else None) for i in range(hops)]
    _warm_up(source, streams[0], samples)
    warm, sent, begin = int(samples[0]), 0, time.monotonic()
    while (now := time.monotonic()) < begin + seconds and sent < len(samples) - 1000:
        if rate < 0 and sent - (samples[0] - warm) >= -rate:
            time.sleep(0.00005)
            continue
        batch = BATCH if rate < 0 else 1
        source.ask(*(_xadd(streams[0], 100_000, _payload()) for _ in range(batch)))
        sent += batch
        if rate > 0:
            time.sleep(max(0.0, begin + sent / rate - now))
    count = int(samples[0])
    lasted = time.monotonic() - begin
    for process in running:
        process.terminate()
        process.join()
    source.ask(("DEL", *streams))
    return _result([samples[1 + i] for i in range(warm, count)], (count - warm) / lasted)


def _warm_up(source: Line, stream: str, samples: Any) -> None:
    source.ask(_xadd(stream, 100_000, _payload()))
    while not samples[0]:
        time.sleep(0.01)


def _echo(address: str, source: str, target: str) -> None:
    reading, writing = Line(address), Line(address)
    while True:
        reading.send(_read(source, 1))
        if reply := reading.reply():
            entry_id, (_, payload) = reply[0][1][0]
            writing.ask(_xadd(target, 10_000, payload), ("XACK", source, "g", entry_id))


def round_trip(seconds: float, address: str, prefix: str) -> dict[str, float]:
    """There and back, one message under way."""
    there, back = f"{prefix}:there", f"{prefix}:back"
    reading, writing = Line(address), Line(address)
    _create(writing, there, back)
    echo = _spawn(_echo, address, there, back)
    samples: list[int] = []
    warm, begin = 0, time.monotonic()
    while time.monotonic() < begin + seconds or not samples:
        reading.send(_read(back, 1))
        sent = time.monotonic_ns()
        writing.ask(_xadd(there, 10_000, _payload()))
        while (reply := reading.reply()) is None:  # the echo still starts
            reading.send(_read(back, 1))
        warm += 1
        if warm == WARM_UP:
            begin = time.monotonic()
        if warm > WARM_UP:
            samples.append(time.monotonic_ns() - sent)
        writing.ask(("XACK", back, "g", reply[0][1][0][0]))
    echo.terminate()
    echo.join()
    writing.ask(("DEL", there, back))
    return _result(samples, len(samples) / (time.monotonic() - begin))


def _result(samples: list[int], rate: float) -> dict[str, float]:
    samples.sort()
    shares = {f"p{share}_us": round(percentile(samples, share / 100) / 1000, 1) for share in (50, 95, 99)}
    return {"n": len(samples), **shares, "rate": round(rate)}


def main(words: list[str]) -> None:
    """The command line of `hop_chain.c`."""
    if words[0] == "chain":
        print(json.dumps(chain(int(words[1]), float(words[2]), float(words[3]), words[4], words[5])))
    else:
        print(json.dumps(round_trip(float(words[1]), words[2], words[3])))


if __name__ == "__main__":
    main(sys.argv[1:])
