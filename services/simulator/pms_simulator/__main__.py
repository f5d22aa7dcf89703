"""``python -m pms_simulator``: one simulator in the foreground; prints one JSON line when it listens."""

import argparse
import asyncio
import dataclasses
import json
import signal
import sys
from pathlib import Path

import uvloop

from pms_common.settings import load_settings
from pms_simulator.main import calm_collector, start
from pms_simulator.settings import SimConfig, from_settings


def parse_arguments(arguments: list[str]) -> SimConfig:
    """The settings of the environment with the command line on top."""
    parser = argparse.ArgumentParser(prog="pms_simulator", description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--market", choices=("synthetic", "replay", "manual"))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--replay", action="append")
    parser.add_argument("--speed", type=float)
    parser.add_argument("--exchange-info", type=Path)
    chosen = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    if "replay" in chosen:
        chosen["replay"] = tuple(chosen["replay"])
        chosen.setdefault("market", "replay")
    return dataclasses.replace(from_settings(load_settings("simulator")), **chosen)


async def serve(config: SimConfig) -> None:
    """Run until SIGTERM or SIGINT, or until one of the market's loops fails."""
    calm_collector()
    simulator = await start(config)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    address = {"rest": simulator.url, "ws": simulator.ws_url, "wsApi": simulator.ws_api_url}
    sys.stdout.write(json.dumps(address) + "\n")
    sys.stdout.flush()
    watch = asyncio.create_task(simulator.watch())
    ended = asyncio.create_task(stopping.wait())
    await asyncio.wait([ended, watch], return_when=asyncio.FIRST_COMPLETED)
    failure = watch.exception() if watch.done() else None
    await simulator.stop()
    await asyncio.gather(watch, return_exceptions=True)
    if failure is not None:
        raise SystemExit(f"the market stopped: {failure!r}")


if __name__ == "__main__":
    uvloop.run(serve(parse_arguments(sys.argv[1:])))
