"""The processes of the benchmark `hop`, each on a bus of its own.

echo                     answers every message on the way back
rtt SECONDS              sends one message at a time and waits for its echo
source RATE SECONDS      sends RATE messages a second; 0: as many as go, in batches of 100
sink SECONDS             receives, until nothing came for a while
"""

import asyncio
import json
import sys
import time

import uvloop

from pms_cli.bench.result import percentile
from pms_common.bus import Bus, Entry
from pms_common.names import Names

PAYLOAD = 300
MAXLEN = 100_000
BATCH = 100
WARM_UP = 200


def ready(part: str, ok: bool, _why: str) -> None:
    if ok and part.startswith("consumer:"):
        print("ready", flush=True)


class Samples:
    """Latencies by the clock that all processes of a machine share."""

    def __init__(self) -> None:
        self.ns: list[int] = []
        self.first = self.last = 0

    def add(self, data: bytes) -> None:
        self.last = time.monotonic_ns()
        if not self.first:
            self.first = self.last
        self.ns.append(self.last - int(data[: data.index(b"|")]))

    def print(self) -> None:
        warm = self.ns[WARM_UP:] if len(self.ns) > 2 * WARM_UP else self.ns
        ns = sorted(warm)
        shares = {f"p{share}": percentile(ns, share / 100) / 1000 for share in (50, 95, 99)}
        lasted = max(1, self.last - self.first) / 1e9
        print(json.dumps({**shares, "n": len(ns), "rate": (len(self.ns) - 1) / lasted}))


def payload() -> bytes:
    """300 bytes that begin with the time."""
    return (b"%d|" % time.monotonic_ns()).ljust(PAYLOAD, b"x")


async def echo(bus: Bus, there: str, back: str) -> None:
    outbox = bus.outbox

    def answer(entry: Entry) -> None:
        outbox.add(back, entry.data, maxlen=MAXLEN)
        outbox.ack(entry)

    await bus.consumer("echo", {there: answer}).run()


async def rtt(bus: Bus, there: str, back: str, seconds: float) -> None:
    """Like the reference, acknowledges one answer before it sends the next message."""
    outbox, samples = bus.outbox, Samples()
    answers: asyncio.Queue[Entry] = asyncio.Queue()

    def answered(entry: Entry) -> None:
        samples.add(entry.data)
        answers.put_nowait(entry)

    reading = asyncio.create_task(bus.consumer("rtt", {back: answered}).run())
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(samples.ns) < 2 * WARM_UP:
        outbox.add(there, payload(), maxlen=MAXLEN)
        outbox.end_stretch()
        outbox.ack(await answers.get())
        await outbox.flush()
    reading.cancel()
    samples.print()


async def source(bus: Bus, there: str, rate: float, seconds: float) -> None:
    outbox, begin, sent = bus.outbox, time.monotonic(), 0
    while (now := time.monotonic()) < begin + seconds:
        due = BATCH if not rate else int((now - begin) * rate) + 1 - sent
        for _ in range(due):
            outbox.add(there, payload(), maxlen=MAXLEN)
        sent += due
        if rate:
            await asyncio.sleep(max(0.0, begin + sent / rate - time.monotonic()))
        else:
            await outbox.flush()
    outbox.add(there, b"")
    await outbox.flush()


async def sink(bus: Bus, there: str) -> None:
    outbox, samples, ended = bus.outbox, Samples(), asyncio.Event()

    def received(entry: Entry) -> None:
        if entry.data:
            samples.add(entry.data)
        else:
            ended.set()
        outbox.ack(entry)

    consumer = bus.consumer("sink", {there: received})
    reading = asyncio.create_task(consumer.run())
    await ended.wait()
    await consumer.stop()
    await reading
    samples.print()


async def main(words: list[str]) -> None:
    """URL NAMESPACE ROLE [NUMBER …]"""
    url, namespace, role, *numbers = words
    bus = await Bus.connect(url, role, Names(namespace), ready)
    there, back = f"{namespace}:bench:there", f"{namespace}:bench:back"
    await bus.outbox.flush()
    match role:
        case "echo":
            await echo(bus, there, back)
        case "rtt":
            await rtt(bus, there, back, *map(float, numbers))
        case "source":
            await source(bus, there, *map(float, numbers))
        case "sink":
            await sink(bus, there)
    await bus.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
