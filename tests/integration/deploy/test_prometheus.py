"""R-34: every query of the alerts and dashboards, asked of a live Prometheus that scrapes a live system."""

import asyncio
import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.deploy.test_observability import ALERTS, PROMETHEUS, QUERIES

from pms_cli.commands.send import request
from pms_cli.embedded.process import free_port, spawn
from pms_cli.system.place import Place
from pms_cli.system.running import running_system

SERVER = shutil.which("prometheus")
PATIENCE_S = 120
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SERVER is None, reason="prometheus is not installed (Debian: prometheus)"),
]
MAY_BE_EMPTY = {f"alert {name}" for name in ALERTS}
"""An alert whose query finds something would fire: nothing is wrong here."""


class Watched:
    """A system, and the Prometheus that scrapes it."""

    def __init__(self, place: Place, port: int) -> None:
        self.place = place
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **words: str) -> Any:
        """What its API answers; an error of the query fails the test with its text."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(words)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it is just starting
                raise
            pytest.fail(f"{words}: {error.read().decode()}")

    def up(self) -> set[str]:
        """The services that are scraped."""
        return {found["metric"]["service"] for found in self.ask("query", query='up{job="pms"} == 1')["result"]}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Both, with the committed rules, scraping each second."""
    folder = tmp_path_factory.mktemp("watched")
    with running_system(folder) as (place, _):
        targets = place.services | {"gateway": f"{place.gateway}/metrics"}
        targets.pop("simulator", None)
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(PROMETHEUS / "alerts.yml")]
        config["scrape_configs"] = [
            {
                "job_name": "pms",
                "static_configs": [
                    {"targets": [urllib.parse.urlsplit(url).netloc], "labels": {"service": name}}
                    for name, url in targets.items()
                ],
            }
        ]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        yield from _scraping(place, folder)


def _scraping(place: Place, folder: Path) -> Iterator[Watched]:
    port = free_port()
    words = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    child = spawn(
        "prometheus", (str(SERVER), *words, f"--web.listen-address=127.0.0.1:{port}"), folder / "prometheus.log"
    )
    watched = Watched(place, port)
    try:
        child.wait_until(lambda: _answers(watched), PATIENCE_S)
        yield watched
    finally:
        child.stop(30)


def _answers(watched: Watched) -> bool:
    try:
        return len(watched.up()) == 5
    except OSError:
        return False


async def _trade(place: Place) -> None:
    """A little of everything that is shown."""
    created = await _done(place, "account", action="create", name=f"watched-{uuid.uuid4().hex[:8]}", balance=10_000)
    order = {"subAccountId": created["subAccountId"], "symbol": "BTCUSDT", "quantity": 0.002, "leverage": 10}
    for n in range(12):
        await _done(place, "trade", side="SELL" if n % 2 else "BUY", **order)


async def _done(place: Place, command: str, **body: Any) -> dict[str, Any]:
    result = await request(place, command, {"requestId": uuid.uuid4().hex, **body}, PATIENCE_S)
    assert result is not None and result["success"], result
    return result


async def test_r34_every_query_is_answered_by_a_live_prometheus(watched: Watched) -> None:
    await _trade(watched.place)
    empty = dict(QUERIES)
    deadline = time.monotonic() + PATIENCE_S
    while set(empty) - MAY_BE_EMPTY and time.monotonic() < deadline:
        await asyncio.sleep(2)
        await _trade(watched.place)
        empty = {where: query for where, query in QUERIES.items() if not watched.ask("query", query=query)["result"]}
    assert {where: query for where, query in empty.items() if where not in MAY_BE_EMPTY} == {}


def test_r34_prometheus_has_loaded_every_alert(watched: Watched) -> None:
    groups = watched.ask("rules", type="alert")["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert rules.keys() == ALERTS.keys()
    assert {name: rule["lastError"] for name, rule in rules.items() if rule.get("lastError")} == {}
