"""The nursery's own process: has imported what every service imports, and forks one when asked.

Run as a module by `nursery.py`, over a socket on descriptor 0. A request is a service's name, its environment and its
working directory (JSON), with two descriptors: where the service's output goes, and where its pid and, when it has
ended, its wait status are written. Imports no service, so no process has another's metrics, and holds no secret: its
own environment has no settings. Ends when the socket closes; the kernel then ends the services.
"""

import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import traceback

from pms_cli.embedded.launch import PR_SET_PDEATHSIG
from pms_cli.run_service import run_service

PRELOADED = (
    *("aiohttp.web", "asyncpg", "redis.asyncio", "sqlalchemy.dialects.postgresql.asyncpg", "sqlalchemy.ext.asyncio"),
    *("uvloop", "pms_common.bus", "pms_common.contracts.commands", "pms_common.contracts.events", "pms_common.db"),
    *("pms_common.inlet", "pms_common.service"),
)
"""Nearly all of what a service imports: `python -X importtime -c "import pms_orders.main"` shows it."""
MAX_REQUEST = 256 * 1024
INTEGER = struct.Struct("=i")
PR_SET_NAME = 15


def main() -> None:
    """Fork until the socket closes."""
    line = socket.socket(fileno=os.dup(0))
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    for module in PRELOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is shared with the services is never touched by their collectors
    waiting = selectors.DefaultSelector()
    for source in (line, woken):
        waiting.register(source, selectors.EVENT_READ)
    reports: dict[int, int] = {}
    while True:
        for key, _ in waiting.select():
            if key.fileobj is woken:
                woken.recv(4096)
                _reap(reports)
            elif not _serve(line, reports):
                return


def _reap(reports: dict[int, int]) -> None:
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        report = reports.pop(pid)
        try:
            os.write(report, INTEGER.pack(status))
        except BrokenPipeError:
            pass  # who asked has gone
        os.close(report)


def _serve(line: socket.socket, reports: dict[int, int]) -> bool:
    request, descriptors, _, _ = socket.recv_fds(line, MAX_REQUEST, 2)
    if not request:
        return False
    output, report = descriptors
    nursery = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(json.loads(request), output, nursery)
    os.close(output)
    os.write(report, INTEGER.pack(pid))
    reports[pid] = report
    return True


def _become(request: dict[str, object], output: int, nursery: int) -> None:
    """Be the service, and never return."""
    code = 1
    try:
        _detach(str(request["name"]), output, nursery)
        os.chdir(str(request["cwd"]))
        os.environ.clear()
        os.environ.update(request["env"])  # type: ignore[call-overload]
        run_service(str(request["name"]))
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 (told, and the process ends with it)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _detach(name: str, output: int, nursery: int) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NAME, f"pms-{name}".encode()[:15], 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != nursery:
        os._exit(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.closerange(3, 4096)


if __name__ == "__main__":
    main()
