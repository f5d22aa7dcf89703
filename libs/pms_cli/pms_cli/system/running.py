"""A whole system of one's own in a child process: `pms up`, awaited until it is ready, stopped at the end.

Owns that process and its state directory's log. Used by the demo, the benchmarks and the tests that run end to end.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from pms_cli.embedded.process import Child, spawn
from pms_cli.system.place import READY_FILE, Place, find_place
from pms_common.settings import load_settings

PORTS = ("GATEWAY_PORT", "SIM_PORT", *(f"{name}_METRICS_PORT" for name in ("FEED", "ORDERS", "ALGOS", "RISK")))
FREE_PORTS = {f"PMS_{name}": "0" for name in PORTS}
READY_WITHIN_S = 180.0
STOP_WITHIN_S = 30.0


@contextlib.contextmanager
def running_system(state: Path, env: Mapping[str, str] | None = None) -> Iterator[tuple[Place, Child]]:
    """Run everything against the simulated exchange, with data in `state`, on free ports; where it answers.

    Raises `ServerError` with the end of its log if it does not get ready.
    """
    state.mkdir(parents=True, exist_ok=True)
    ready_file = state / READY_FILE
    ready_file.unlink(missing_ok=True)
    command = (sys.executable, "-m", "pms_cli", "up", "--sim", "--state-dir", state, "--ready-file", ready_file)
    child = spawn("pms up", command, state / "log", env={**os.environ, **FREE_PORTS, **(env or {})})
    try:
        child.wait_until(ready_file.exists, READY_WITHIN_S)
        yield find_place(load_settings(), ready_file), child
    finally:
        child.stop(STOP_WITHIN_S)
