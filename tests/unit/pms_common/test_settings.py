"""Every refusal of the settings names what is wrong; secrets stay secret."""

import os
from pathlib import Path

import pytest

from pms_common.settings import Settings, SettingsError, env_name, known_names, load_settings

LIVE = {"PMS_BINANCE_ENV": "live"}
KEYS = {"PMS_BINANCE_API_KEY": "the-key", "PMS_BINANCE_API_SECRET": "the-secret"}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("PMS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _set(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_defaults_are_the_simulator_on_loopback() -> None:
    settings = load_settings()
    assert (settings.namespace, settings.feed_namespace) == ("pms", "pms")
    assert settings.feed_symbols == ("BTCUSDT", "ETHUSDT")
    assert settings.binance_rest_url == "http://127.0.0.1:9900"
    assert settings.binance_wsapi_url == "ws://127.0.0.1:9900/ws-fapi/v1"
    assert settings.binance_api_key is not None
    assert settings.binance_api_key.get_secret_value() == "sim-key"
    assert [settings.metrics_port(name) for name in ("feed", "orders", "algos", "risk", "gateway", "simulator")] == [
        *(9101, 9102, 9103, 9104, 8888, 9900)
    ]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("PMS_REDIS_ULR", "PMS_REDIS_URL"),
        ("PMS_GATEWAY_PORT_8888_TCP", "PMS_GATEWAY_PORT"),
        ("PMS_BINANCE_SECRET", "PMS_BINANCE_API_SECRET"),
        ("PMS_LOGLEVEL", "PMS_LOG_LEVEL"),
    ],
)
def test_an_unknown_name_is_refused_naming_the_nearest_known_one(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "secret-value")
    with pytest.raises(SettingsError, match=f"{name} .* {nearest}$") as caught:
        load_settings()
    assert "secret-value" not in str(caught.value)


def test_an_unknown_name_in_the_env_file_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER=1\nPMS_NAMESPAC=x\n")
    with pytest.raises(SettingsError, match="PMS_NAMESPAC is no setting; the nearest one is PMS_NAMESPACE"):
        load_settings()


def test_the_environment_wins_over_the_env_file_and_empty_means_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PMS_NAMESPACE=file\nPMS_SIM_SEED=7\n")
    _set(monkeypatch, {"PMS_NAMESPACE": "environment", "PMS_FEED_NAMESPACE": "", "PMS_TEST_ANYTHING": "1"})
    settings = load_settings()
    assert (settings.namespace, settings.feed_namespace, settings.sim_seed) == ("environment", "environment", 7)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PMS_GATEWAY_PORT", "http"),
        ("PMS_GATEWAY_PORT", "70000"),
        ("PMS_BINANCE_ENV", "prod"),
        ("PMS_POSITION_MODE", "both"),
        ("PMS_LOG_LEVEL", "LOUD"),
        ("PMS_REQUIRE_ACCOUNT", "perhaps"),
        ("PMS_SIM_SPEED", "0"),
        ("PMS_SIM_BALANCE", "-1"),
        ("PMS_BINANCE_API_KEY_FILE", "/no/such/file"),
    ],
)
def test_a_bad_value_is_refused_naming_the_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()


@pytest.mark.parametrize("mode", ["live", "testnet"])
def test_an_exchange_needs_keys_where_orders_are_signed(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("PMS_BINANCE_ENV", mode)
    with pytest.raises(SettingsError, match=f"{mode} needs keys: set PMS_BINANCE_API_KEY and PMS_BINANCE_API_SECRET"):
        load_settings("orders")
    assert load_settings("feed").binance_rest_url.startswith("https://")


def test_only_orders_is_given_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, {**LIVE, **KEYS})
    for service in ("feed", "risk", "algos", "gateway"):
        settings = load_settings(service)
        assert settings.binance_api_key is None
        assert settings.binance_api_secret is None
    settings = load_settings("orders")
    assert settings.binance_api_secret is not None
    assert settings.binance_api_secret.get_secret_value() == "the-secret"


def test_a_secret_may_come_from_a_file_but_not_from_two_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-file\n")
    _set(monkeypatch, {"PMS_BINANCE_API_SECRET_FILE": str(tmp_path / "secret")})
    secret = load_settings("orders").binance_api_secret
    assert secret is not None
    assert secret.get_secret_value() == "from-file"
    monkeypatch.setenv("PMS_BINANCE_API_SECRET", "twice")
    with pytest.raises(SettingsError, match="PMS_BINANCE_API_SECRET and PMS_BINANCE_API_SECRET_FILE are both set"):
        load_settings("orders")


def test_no_secret_shows_in_repr_or_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, {**LIVE, **KEYS, "PMS_REDIS_URL": "redis://:pass-word@h", "PMS_GATEWAY_PORT": "x"})
    with pytest.raises(SettingsError) as caught:
        load_settings()
    monkeypatch.setenv("PMS_GATEWAY_PORT", "1")
    shown = repr(load_settings()) + str(caught.value)
    assert not [secret for secret in ("the-key", "the-secret", "pass-word") if secret in shown]


def test_the_example_file_names_only_known_settings_with_their_defaults() -> None:
    settings = Settings()
    lines = (Path(__file__).parents[3] / ".env.example").read_text().splitlines()
    shown = dict(line.removeprefix("#").split("=", 1) for line in lines if line.startswith("#PMS_"))
    assert set(shown) <= known_names()
    defaults = {env_name(name): getattr(settings, name) for name in type(settings).model_fields}
    for name, value in shown.items():
        if value and not name.endswith("_FILE") and name not in ("PMS_REDIS_URL", "PMS_DATABASE_URL"):
            assert value.lower() == str(defaults[name]).lower(), name
