"""The plan of `pms up`: which services, which ports, which secrets go where."""

import os
from pathlib import Path

import pytest

from pms_cli.system.plan import choose_environment, make_plan
from pms_common.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PMS_"):
            monkeypatch.delenv(name)


def test_the_simulator_comes_first_and_only_in_its_environment() -> None:
    assert make_plan(Settings()).services[0] == "simulator"
    assert "simulator" not in make_plan(Settings(binance_env="testnet")).services


def test_only_the_named_services_run_and_the_simulator_they_need() -> None:
    assert make_plan(Settings(), ["orders", "feed"]).services == ("simulator", "feed", "orders")
    with pytest.raises(SettingsError, match="--only: feeds is no service"):
        make_plan(Settings(), ["feeds"])


def test_an_exchange_given_by_url_needs_no_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_BINANCE_REST_URL", "http://elsewhere:1")
    assert "simulator" not in make_plan(Settings()).services


def test_port_0_becomes_a_free_one_and_is_told_to_all() -> None:
    plan = make_plan(Settings(gateway_port=0, sim_port=0, feed_metrics_port=0))
    assert len(set(plan.urls.values())) == 6
    assert plan.urls["gateway"].endswith(plan.env["PMS_GATEWAY_PORT"])
    assert plan.urls["orders"] == "http://127.0.0.1:9102"
    assert plan.environment("orders")["PMS_SIM_PORT"] == plan.env["PMS_SIM_PORT"] != "0"


def test_keys_go_to_orders_alone_and_the_database_not_to_the_feed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "s").write_text("secret")
    monkeypatch.setenv("PMS_BINANCE_API_KEY", "k")
    monkeypatch.setenv("PMS_BINANCE_API_SECRET_FILE", str(tmp_path / "s"))
    plan = make_plan(Settings()).with_env({"PMS_DATABASE_URL": "postgresql://x"})
    assert plan.environment("orders")["PMS_BINANCE_API_KEY"] == "k"
    assert plan.environment("orders")["PMS_BINANCE_API_SECRET_FILE"] == str(tmp_path / "s")
    for service in ("feed", "risk", "algos", "gateway", "simulator"):
        assert not [name for name in plan.environment(service) if name.startswith("PMS_BINANCE_API")]
    assert "PMS_DATABASE_URL" in plan.environment("risk")
    assert "PMS_DATABASE_URL" not in plan.environment("feed")


def test_live_needs_to_be_asked_for() -> None:
    live = Settings(binance_env="live")
    with pytest.raises(SettingsError, match="needs --live as well"):
        choose_environment(live, None)
    assert choose_environment(live, "live") == "live"
    assert choose_environment(live, "sim") == "sim"
    assert choose_environment(Settings(), None) == "sim"
