"""Alerts and dashboards: of metrics that exist, each alert tried by promtool and explained to who is on call."""

import json
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from pms_cli.reference.metrics import metrics_of
from pms_cli.run_service import SERVICES

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "observability"
PROMETHEUS = FOLDER / "prometheus"
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES}
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in (FOLDER / "grafana" / "dashboards").glob("*.json")}
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")


def queries() -> dict[str, str]:
    """Every PromQL expression of the repository, by where it stands."""
    found = {f"alert {name}": rule["expr"] for name, rule in ALERTS.items()}
    for name, dashboard in DASHBOARDS.items():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                found[f"{name}: {panel['title']} {target['refId']}"] = target["expr"]
    return found


QUERIES = queries()


@pytest.fixture(scope="module")
def metrics() -> dict[str, tuple[str, ...]]:
    """The series that services serve, with their labels."""
    found: dict[str, tuple[str, ...]] = {"up": (), "process_cpu_seconds_total": ()}
    for service in SERVICES:
        for metric in metrics_of(service):
            ends = ("_bucket", "_sum", "_count") if metric.type == "histogram" else ("",)
            found |= {metric.name + end: metric.labels for end in ends}
    return found


@pytest.mark.parametrize("where", QUERIES)
def test_r34_a_query_speaks_of_metrics_and_labels_that_exist(where: str, metrics: dict[str, tuple[str, ...]]) -> None:
    names = set(re.findall(r"\b(?:pms|process)_[a-z0-9_]+|\bup\b", QUERIES[where]))
    assert names
    assert names <= metrics.keys()
    labels = {label for names in re.findall(r"(?:by|on) \(([^)]*)\)", QUERIES[where]) for label in names.split(", ")}
    labels |= set(re.findall(r"[{,]\s*([a-z_]+)\s*[=!]", QUERIES[where]))
    known = {"service", "job", "instance", "le"} | {label for name in names for label in metrics[name]}
    assert labels <= known


def test_r34_what_the_issue_of_watching_asks_for_is_on_a_dashboard() -> None:
    shown = " ".join(QUERIES.values())
    for name in (
        *("stream_delay_seconds", "exchange_answer_seconds", "user_stream_delay_seconds", "feed_lag_seconds"),
        *("journal_commit_seconds", "stream_lag", "stream_pending", "rate_room", "orders_live", "risk_drifts"),
        *("risk_equity_at_risk", "user_stream_gaps_total", "clock_offset_seconds", "loop_lag_max_seconds"),
        "resident_memory_bytes",
    ):
        assert f"pms_{name}" in shown


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_its_paragraph_in_the_runbook(name: str) -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.search(rf"^\*\*{name}\*\* \(\*(\w+)\*\)\. (.+?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/operations.md says nothing of {name}"
    assert found[1] == ALERTS[name]["labels"]["severity"]


def test_the_runbook_explains_no_alert_that_is_gone() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\*\*(Pms\w+)\*\*", text, re.MULTILINE)) == ALERTS.keys()


def test_each_alert_is_tried_both_ways() -> None:
    tried: defaultdict[str, set[bool]] = defaultdict(set)
    for case in yaml.safe_load((PROMETHEUS / "tests" / "alerts.yml").read_text())["tests"]:
        for expected in case["alert_rule_test"]:
            tried[expected["alertname"]].add(bool(expected["exp_alerts"]))
    assert tried == {name: {True, False} for name in ALERTS}


def promtool(*words: str) -> None:
    """Run it; fails with what it says."""
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_its_configuration() -> None:
    promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))


@needs_promtool
def test_each_alert_fires_when_it_should_and_not_before() -> None:
    promtool("test", "rules", str(PROMETHEUS / "tests" / "alerts.yml"))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_can_be_provisioned(name: str) -> None:
    dashboard: dict[str, Any] = DASHBOARDS[name]
    source = yaml.safe_load((FOLDER / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text())
    (uid,) = {found["uid"] for found in source["datasources"]}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({(place["x"], place["y"]) for place in places}) == len(places)
    assert {target["datasource"]["uid"] for panel in panels for target in panel.get("targets", [])} == {uid}
    assert dashboard["uid"] and dashboard["title"]
