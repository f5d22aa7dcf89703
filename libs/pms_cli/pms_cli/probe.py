"""A container's health check: `python -m pms_cli.probe [SERVICE]`; without a name, the service that process 1 runs.

Healthy is a service that is ready, and one that stands by for another. Imports no settings: it runs every few seconds,
and reading them would cost half a second of processor time.
"""

import http.client
import json
import os
import sys
from pathlib import Path
from typing import Any

PORTS = {"feed": 9101, "orders": 9102, "algos": 9103, "risk": 9104, "gateway": 8888, "simulator": 9900}
NAMES = {"gateway": "PMS_GATEWAY_PORT", "simulator": "PMS_SIM_PORT"}
TIMEOUT_S = 4.0


def main() -> None:
    """Exit with 0 where the service is healthy, else with 1 and the reasons."""
    service = sys.argv[1] if len(sys.argv) > 1 else first_process()
    try:
        why = unhealthy(ready(service))
    except (OSError, http.client.HTTPException) as error:
        why = f"no answer: {error}"
    sys.exit(f"{service}: {why}" if why else 0)


def first_process(command_line: Path = Path("/proc/1/cmdline")) -> str:
    """The service that a container runs: the last word of its command."""
    words = command_line.read_text(encoding="utf-8").rstrip("\0").split("\0")
    if words[-1] not in PORTS:
        sys.exit(f"{words[-1]} is no service: name one of {', '.join(PORTS)}")
    return words[-1]


def ready(service: str) -> dict[str, Any]:
    """What the service's /ready answers. Raises OSError or HTTPException where it does not."""
    port = os.environ.get(NAMES.get(service, f"PMS_{service.upper()}_METRICS_PORT")) or PORTS[service]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/ready")
        told: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return told


def unhealthy(told: dict[str, Any]) -> str:
    """Why a service is neither ready nor a standby; empty where it is one of them."""
    parts = told["parts"]
    if told["ready"] or parts.get("lease", {}).get("why", "").startswith("standby"):
        return ""
    return "; ".join(f"{name}: {part['why']}" for name, part in parts.items() if not part["ok"])


if __name__ == "__main__":
    main()
