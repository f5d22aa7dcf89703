"""What all tests share: real servers, names and databases of their own, recorded data.

Servers: `PMS_TEST_REDIS_URL`/`PMS_TEST_DATABASE_URL` (or the product's own settings of those names) where given,
otherwise testcontainers where a Docker engine answers, otherwise the embedded ones.
Data: a test that takes `capture_file`, `sequence_file`, `legacy_vector`, `signing_vector` or `bracket_file` runs once
for each that lies in `PMS_TEST_DATA`.
"""

import asyncio
import functools
import json
import os
import socket
import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
import redis
from sqlalchemy.engine import make_url

from pms_cli import migrate
from pms_cli.embedded import start_postgres, start_valkey
from pms_cli.embedded.postgres import UNSAFE_FAST
from pms_common.db import connect
from pms_common.names import Names

ROOT = Path(__file__).parent.parent
TEMPLATE = "pms_test_template"

hypothesis.settings.register_profile("busy", deadline=None)  # a busy machine is no reason to fail
hypothesis.settings.load_profile("busy")


def _run(coro: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # leaves the tests' loop alone
        runner.run(coro)


@functools.cache
def _docker_answers() -> bool:
    """Whether a Docker engine answers. Asked without the docker package, whose client leaves its socket open."""
    where = urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    unix = where.scheme == "unix"
    address: Any = where.path if unix else (where.hostname, where.port or 2375)
    try:
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as line:
            line.settimeout(2)
            line.connect(address)
            line.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in line.recv(256)
    except OSError:
        return False


def _given(name: str) -> str:
    return os.environ.get(f"PMS_TEST_{name}") or os.environ.get(f"PMS_{name}") or ""


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis or Valkey server for the whole run."""
    if given := _given("REDIS_URL"):
        yield given
    elif container := _container("redis:7", 6379, {}):
        yield _address(container, 6379, "redis://{host}:{port}/0")
        container.stop()
    else:
        server = start_valkey(tmp_path_factory.mktemp("valkey"))
        yield server.url
        server.stop()


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server for the whole run, by the URL of a database from which others can be made."""
    if given := _given("DATABASE_URL"):
        yield given
    elif container := _container("postgres:16", 5432, {"POSTGRES_HOST_AUTH_METHOD": "trust"}):
        yield _address(container, 5432, "postgresql+asyncpg://postgres@{host}:{port}/postgres")
        container.stop()
    else:
        server = start_postgres(tmp_path_factory.mktemp("postgres"), options=UNSAFE_FAST)
        yield server.url
        server.stop()


def _container(image: str, port: int, env: dict[str, str]) -> Any:
    """A running container; None where no Docker engine answers or it cannot have the image."""
    if not _docker_answers():
        return None
    from docker.errors import DockerException
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(image).with_exposed_ports(port)
    for name, value in env.items():
        container = container.with_env(name, value)
    try:
        return container.start()
    except DockerException as error:
        warn = f"Docker answers but does not run {image} ({type(error).__name__}): using an embedded server"
        sys.stderr.write(f"{warn}\n")
        return None


def _address(container: Any, port: int, url: str) -> str:
    address = url.format(host=container.get_container_host_ip(), port=container.get_exposed_port(port))
    _wait_for(address)
    return address


def _wait_for(url: str) -> None:
    async def answers() -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    if url.startswith("redis"):
                        await asyncio.to_thread(lambda: redis.Redis.from_url(url).ping())
                    else:
                        await (await connect(url)).close()
                except (OSError, redis.ConnectionError, ConnectionError):
                    await asyncio.sleep(0.2)
                else:
                    return

    _run(answers())


@pytest.fixture(autouse=True)
def _settings_stay() -> Iterator[None]:
    """What a test or the code under it sets among `PMS_*` ends with it."""
    before = {name: value for name, value in os.environ.items() if name.startswith("PMS_")}
    yield
    for name in [name for name in os.environ if name.startswith("PMS_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def names(redis_url: str) -> Iterator[Names]:
    """A namespace nobody else uses; its keys are deleted after the test."""
    namespace = f"t{uuid.uuid4().hex[:12]}"
    yield Names(namespace)
    with redis.Redis.from_url(redis_url) as client:
        keys = list(client.scan_iter(match=f"{namespace}:*", count=1000))
        for start in range(0, len(keys), 1000):
            client.unlink(*keys[start : start + 1000])


@pytest.fixture(scope="session")
def _template(database_url: str) -> Iterator[str]:
    """A migrated database to copy; its name carries the process so that two runs may share a server."""
    name = f"{TEMPLATE}_{os.getpid()}"
    _run(_execute(database_url, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}"))
    migrate.upgrade(_on_server(database_url, name))
    yield name
    _run(_execute(database_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module")
def database(database_url: str, _template: str) -> Iterator[str]:
    """The URL of a freshly migrated database of the module's own."""
    name = f"t{uuid.uuid4().hex[:12]}"
    _run(_execute(database_url, f"CREATE DATABASE {name} TEMPLATE {_template}"))
    yield _on_server(database_url, name)
    _run(_execute(database_url, f"DROP DATABASE {name} WITH (FORCE)"))


def _on_server(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


async def _execute(url: str, *statements: str) -> None:
    connection = await connect(url, "tests")
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


# --- recorded data -----------------------------------------------------------------------------------------------


def _data_directory() -> Path:
    return Path(os.environ.get("PMS_TEST_DATA") or ROOT.parent / "shared" / "data")


def _files(folder: str) -> list[tuple[str, Path, Any]]:
    base = _data_directory() / folder
    files = sorted(path for path in base.rglob("*") if path.is_file())
    return [(str(path.relative_to(base)), path, path) for path in files]


def _legacy_vectors() -> list[tuple[str, Path, Any]]:
    path = _data_directory() / "legacy-vectors.json"
    if not path.is_file():
        return []
    vectors = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    return [(str(vector.get("id", at)), path, vector) for at, vector in enumerate(vectors)]


def _signing_vectors() -> list[tuple[str, Path, Any]]:
    found = []
    for name, path, _ in _files("signing"):
        content = json.loads(path.read_text(encoding="utf-8"))
        vectors = content if isinstance(content, list) else [content]
        found += [(f"{name}-{at}", path, vector) for at, vector in enumerate(vectors)]
    return found


KINDS: dict[str, tuple[str, Callable[[], list[tuple[str, Path, Any]]]]] = {
    "capture_file": ("captures", lambda: _files("captures")),
    "sequence_file": ("user-stream", lambda: _files("user-stream")),
    "legacy_vector": ("legacy-vectors", _legacy_vectors),
    "signing_vector": ("signing", _signing_vectors),
    "bracket_file": ("brackets", lambda: _files("brackets")),
}
_tally: dict[str, dict[str, Any]] = defaultdict(lambda: {"files": set(), "cases": 0, "passed": 0, "failed": 0})


@pytest.fixture(scope="session")
def data_directory() -> Path:
    """The recorded data's folder; the test is skipped where there is none."""
    directory = _data_directory()
    if not directory.is_dir():
        pytest.skip(f"no recorded data: {directory} does not exist (PMS_TEST_DATA)")
    return directory


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture, (kind, find) in KINDS.items():
        if fixture not in metafunc.fixturenames:
            continue
        params = [
            pytest.param(value, id=name, marks=[pytest.mark.data, pytest.mark.data_kind(kind, str(path))])
            for name, path, value in find()
        ]
        why = f"no recorded data of this kind in {_data_directory()} (PMS_TEST_DATA)"
        none = pytest.param(None, id="none", marks=[pytest.mark.data, pytest.mark.skip(reason=why)])
        metafunc.parametrize(fixture, params or [none])


def pytest_configure(config: pytest.Config) -> None:
    if _docker_answers() and not (_given("REDIS_URL") and _given("DATABASE_URL")):
        config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")  # sockets of the docker package
    config.addinivalue_line("markers", "data_kind(kind, file): the recorded data a case reads")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if marker := item.get_closest_marker("data_kind"):
        item.user_properties += [("data_kind", marker.args[0]), ("data_file", marker.args[1])]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what ran on data: a case is a test on one file, or as many as it tells by `record_property("cases", n)`."""
    properties = dict(report.user_properties)
    kind = properties.get("data_kind")
    if kind is None or report.skipped or not (report.when == "call" or report.failed):
        return
    tally = _tally[str(kind)]
    tally["files"].add(properties["data_file"])
    cases = int(str(properties.get("cases", 1)))
    tally["cases"] += cases
    tally["passed" if report.passed else "failed"] += cases


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for kind, tally in sorted(_tally.items()):
        line = (
            f"{len(tally['files'])} files, {tally['cases']} cases, {tally['passed']} passed, {tally['failed']} failed"
        )
        terminalreporter.write_line(f"data {kind}: {line}")
