"""``python -m pms_simulator``: one simulator in the foreground; prints one JSON line when it listens."""

import argparse
import asyncio
import dataclasses
import json
import signal
import sys

import uvloop

from pms_simulator.main import start
from pms_simulator.settings import SimConfig, read_environment


def parse_arguments(arguments: list[str]) -> SimConfig:
    """The settings of the environment with the command line on top."""
    parser = argparse.ArgumentParser(prog="pms_simulator", description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--market", choices=("synthetic", "replay", "manual"))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--replay", action="append")
    parser.add_argument("--speed", type=float)
    parser.add_argument("--exchange-info")
    chosen = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    if "replay" in chosen:
        chosen["replay"] = tuple(chosen["replay"])
        chosen.setdefault("market", "replay")
    return dataclasses.replace(read_environment(), **chosen)


async def serve(config: SimConfig) -> None:
    """Run until SIGTERM or SIGINT, or until one of the market's loops fails."""
    simulator = await start(config)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    address = {"rest": simulator.url, "ws": simulator.ws_url, "wsApi": simulator.ws_api_url}
    sys.stdout.write(json.dumps(address) + "\n")
    sys.stdout.flush()
    ended = asyncio.create_task(stopping.wait())
    await asyncio.wait([ended, *simulator.tasks], return_when=asyncio.FIRST_EXCEPTION)
    while not stopping.is_set():
        failed = [task for task in simulator.tasks if task.done() and not task.cancelled() and task.exception()]
        if failed:
            await simulator.stop()
            raise SystemExit(str(failed[0].exception()))
        await asyncio.wait([ended], timeout=1)
    await simulator.stop()


if __name__ == "__main__":
    uvloop.run(serve(parse_arguments(sys.argv[1:])))
