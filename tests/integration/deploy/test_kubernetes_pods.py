"""The pods of deploy/k8s/overlays/simulator, run here: arguments, settings, secrets and probes as they are rendered.

Only what a cluster gives is given otherwise: names of services, addresses to listen on, ports, and where secrets lie.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deployed import ACL, PORTS, set_roles, set_users
from tests.unit.deploy.test_kubernetes import KUBECTL, SERVICES, environment, of, pods, rendered

from pms_cli import passwords
from pms_cli.embedded import free_port, start_postgres, start_valkey

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed: overlays are not rendered"),
]
PATIENCE_S = 120.0
MOUNT = "/run/secrets/pms"
HERE = {"0.0.0.0": "127.0.0.1", "pms-simulator": "127.0.0.1"}


class Pod:
    """A pod's container, as a process. `secrets` has the folders that `pms passwords` makes."""

    def __init__(self, name: str, secrets: Path, ports: dict[str, str]) -> None:
        template = pods(rendered("simulator"))[name]
        self.grace_s = template["spec"].get("terminationGracePeriodSeconds", 30)
        self.container = template["spec"]["containers"][0]
        self.ports = ports
        maps = of("ConfigMap", rendered("simulator"))
        given = environment(template)
        for source in self.container.get("envFrom", []):
            given = maps[source["configMapRef"]["name"]]["data"] | given
        folder = {"pms-migrate": "postgres"}.get(name, name.removeprefix("pms-"))
        given = {key: HERE.get(value, value).replace(MOUNT, str(secrets / folder)) for key, value in given.items()}
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PMS_")}
        self.env = clean | given | ports
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, log: Path) -> None:
        """The image's entry point is `pms`."""
        command = [sys.executable, "-m", "pms_cli", *self.container["args"]]
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, env=self.env, stdout=output, stderr=subprocess.STDOUT)

    def ready(self) -> bool:
        """Whether its readiness probe is content."""
        probe = self.container["readinessProbe"]
        if "httpGet" in probe:
            return self.answer("readinessProbe") == 200
        python, *words = probe["exec"]["command"]
        assert python == "python"
        done = subprocess.run([sys.executable, *words], env=self.env, capture_output=True, check=False)
        return done.returncode == 0

    def answer(self, probe: str) -> int:
        """The status that a probe over HTTP is answered; 0: none."""
        service = self.container["name"]
        name = {"gateway": "PMS_GATEWAY_PORT", "simulator": "PMS_SIM_PORT"}
        port = self.ports[name.get(service, f"PMS_{service.upper()}_METRICS_PORT")]
        path = self.container[probe]["httpGet"]["path"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def end(self) -> int | None:
        """Its exit code after SIGTERM, within the time that it is given."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(self.grace_s)


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[dict[str, Pod]]:
    """Redis and PostgreSQL with users and roles; the database migrated by its job; the pods, none of them started."""
    with contextlib.ExitStack() as stack:
        valkey, postgres = start_valkey(tmp_path / "valkey"), start_postgres(tmp_path / "postgres")
        stack.callback(postgres.stop)
        stack.callback(valkey.stop)
        made = tmp_path / "secrets"
        passwords.write(made, passwords.Servers(valkey.url, postgres.url.replace("postgres@", ""), (ACL,)))
        set_users(valkey.url, (made / "redis" / "users.acl").read_text())
        ports = {f"PMS_{name}": str(free_port()) for name in PORTS}
        migrate = Pod("pms-migrate", made, {})
        migrate.start(tmp_path / "migrate.log")
        assert migrate.process is not None
        assert migrate.process.wait(PATIENCE_S) == 0, (tmp_path / "migrate.log").read_text()
        asyncio.run(set_roles(postgres.url, (made / "postgres" / "passwords.sql").read_text()))
        cell = {name: Pod(f"pms-{name}", made, ports) for name in ("simulator", *SERVICES)}
        cell["standby"] = Pod("pms-risk", made, ports | {"PMS_RISK_METRICS_PORT": str(free_port())})
        yield cell
        for pod in cell.values():
            if pod.process is not None and pod.process.poll() is None:
                pod.process.kill()
                pod.process.wait()


def until_ready(cell: dict[str, Pod], names: set[str], logs: Path) -> None:
    """Start these pods and wait for their probes."""
    for name in names:
        cell[name].start(logs / f"{name}.log")
    deadline = time.monotonic() + PATIENCE_S
    while names := {name for name in names if not cell[name].ready()}:
        assert time.monotonic() < deadline, {name: (logs / f"{name}.log").read_text() for name in names}
        time.sleep(1)  # each look is a process, and they have work to do


def test_every_container_runs_and_its_probes_are_content(cell: dict[str, Pod], tmp_path: Path) -> None:
    until_ready(cell, set(cell) - {"standby"}, tmp_path)
    until_ready(cell, {"standby"}, tmp_path)
    for name, pod in cell.items():
        for probe in {"startupProbe", "livenessProbe"} & pod.container.keys():
            assert pod.answer(probe) == 200, name
    assert {name: pod.end() for name, pod in reversed(cell.items())} == dict.fromkeys(cell, 0)
