"""Redis (Valkey) and PostgreSQL from Python packages, for a machine that has neither.

Owns their processes, ports and data under one state directory. Never used when URLs are given. Used by `pms up`,
`pms demo`, the benchmarks and the tests.

- `launch.py`: the script that every child is started through: it ties the child's life to its parent and, for
  PostgreSQL started by root, gives up root
- `process`: a child process: start, alive, stop; what is left of a dead predecessor
- `watchdog`: ends the children of a parent that died, where the kernel does not
- `valkey`, `postgres`: the two servers
- `state`: the state directory and its lock
"""

from pms_cli.embedded.postgres import start_postgres
from pms_cli.embedded.process import Child, ServerError, free_port
from pms_cli.embedded.state import StateDirectory, StateInUseError
from pms_cli.embedded.valkey import start_valkey

__all__ = [
    "Child",
    "ServerError",
    "StateDirectory",
    "StateInUseError",
    "free_port",
    "start_postgres",
    "start_valkey",
]
