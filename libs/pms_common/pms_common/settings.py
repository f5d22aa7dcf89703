"""Settings of every process: `PMS_*` names from the environment, then `.env`, then the defaults below.

Owns the names, their defaults and their checks. Never logs a value; secrets are `SecretStr` and may come from files.
Used by `pms_common.service.run` and the `pms` command, which call `load_settings`.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "PMS_"
TEST_PREFIX = "PMS_TEST_"
EXCHANGE_KEYS = ("binance_api_key", "binance_api_secret")
FROM_FILE = ("redis_url", "database_url", "token", *EXCHANGE_KEYS)
"""Settings that may be given as `PMS_<NAME>_FILE`: the path of a file that holds the value."""

SHORTEST_DEAD_MAN_S = 5
"""It is set again each third of it, and a takeover may take 3 s."""


class SettingsError(Exception):
    """The settings cannot be used; the text names each setting at fault and what to do."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _long_enough(seconds: int) -> int:
    if seconds < 0 or 0 < seconds < SHORTEST_DEAD_MAN_S:
        raise ValueError(f"must be 0 (off) or at least {SHORTEST_DEAD_MAN_S}")
    return seconds


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Venue:
    """Base URLs of an exchange environment (source: the venue's general-info pages, November 2026)."""

    REST: Mapping[str, str] = {
        "live": "https://fapi.binance.com",
        "testnet": "https://demo-fapi.binance.com",
    }
    WS: Mapping[str, str] = {
        "live": "wss://fstream.binance.com",
        "testnet": "wss://demo-fstream.binance.com",
    }
    WSAPI: Mapping[str, str] = {
        "live": "wss://ws-fapi.binance.com/ws-fapi/v1",
        "testnet": "wss://testnet.binancefuture.com/ws-fapi/v1",
    }


class Settings(BaseSettings):
    """All settings. The environment's name of a field is `PMS_` + its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=None,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    namespace: str = Field(default="pms", min_length=1)
    feed_namespace: str = ""
    feed_symbols: Names = ()
    require_account: bool = False
    db_symbols: Literal["native", "ccxt"] = "native"
    history_days: int = Field(default=90, ge=0)
    dead_man_s: Annotated[int, AfterValidator(_long_enough)] = 0

    redis_url: str = Field(default="", repr=False)
    database_url: str = Field(default="", repr=False)

    token: SecretStr | None = None
    token_file: Path | None = None

    redis_url_file: Path | None = None
    database_url_file: Path | None = None

    binance_env: Literal["sim", "testnet", "live"] = "sim"
    binance_api_key: SecretStr | None = None
    binance_api_secret: SecretStr | None = None
    binance_api_key_file: Path | None = None
    binance_api_secret_file: Path | None = None
    binance_rest_url: str = ""
    binance_ws_url: str = ""
    binance_wsapi_url: str = ""
    rate_address: str = Field(default="default", min_length=1, pattern=r"^[A-Za-z0-9_.:-]+$")
    position_mode: Literal["oneway", "hedge"] = "oneway"
    exchange_leverage: int | None = Field(default=None, gt=0)
    l1_source: Literal["both", "depth", "bookticker"] = "both"

    liquidation_warning: Decimal = Field(default=Decimal("0.10"), ge=0, lt=1)
    liquidation_escalation: Decimal = Field(default=Decimal("0.05"), ge=0, lt=1)
    liquidation_fraction: Decimal = Field(default=Decimal("0.3"), gt=0, le=1)
    liquidation_hold_ms: int = Field(default=250, ge=0)
    liquidation_cooldown_s: float = Field(default=5.0, ge=0)
    liquidation_max_spread_pct: Decimal = Field(default=Decimal(1), gt=0)
    liquidation_max_mark_gap_pct: Decimal = Field(default=Decimal(0), ge=0)

    gateway_host: str = "127.0.0.1"
    gateway_port: Port = 8888
    gateway_token_file: Path | None = None

    metrics_host: str = "127.0.0.1"
    feed_metrics_port: Port = 9101
    orders_metrics_port: Port = 9102
    algos_metrics_port: Port = 9103
    risk_metrics_port: Port = 9104

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = "INFO"
    log_format: Literal["console", "json"] = "console"

    otlp_endpoint: str = Field(default="", pattern=r"^(https?://\S+)?$")
    trace_ratio: float = Field(default=0.0, ge=0, le=1)

    sim_host: str = "127.0.0.1"
    sim_port: Port = 9900
    sim_market: Literal["synthetic", "replay", "manual"] | None = None
    sim_seed: int = 1
    sim_tick_interval_ms: int = Field(default=100, gt=0)
    sim_volatility: float = Field(default=0.0001, ge=0)
    sim_replay: Names = ()
    sim_speed: float = Field(default=1.0, gt=0)
    sim_symbols: Names = ()
    sim_exchange_info: Path | None = None
    sim_balance: Decimal = Field(default=Decimal(100_000), ge=0)
    sim_keys_file: Path | None = None
    sim_max_open_orders: int | None = Field(default=None, gt=0)
    sim_history: int = Field(default=100_000, gt=0)
    sim_request_log: int = Field(default=20_000, gt=0)
    sim_listen_key_seconds: float = Field(default=3_600.0, gt=0)
    sim_connection_seconds: float = Field(default=86_400.0, gt=0)
    sim_limit_weight_per_minute: int = Field(default=2_400, gt=0)
    sim_limit_orders_per_minute: int = Field(default=1_200, gt=0)
    sim_limit_orders_per_ten_seconds: int = Field(default=300, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in FROM_FILE:
            path = values.get(f"{name}_file")
            if not path:
                continue
            if values.get(name):
                raise ValueError(f"{env_name(name)} and {env_name(name)}_FILE are both set: keep one")
            try:
                values[name] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else type(error).__name__
                raise ValueError(f"{env_name(name)}_FILE cannot be read: {path}: {why}") from None
        return values

    @model_validator(mode="after")
    def _fill_derived(self) -> Self:
        object.__setattr__(self, "feed_namespace", self.feed_namespace or self.namespace)
        if self.binance_env == "sim":
            derived: dict[str, object] = {
                "feed_symbols": self.feed_symbols or ("BTCUSDT", "ETHUSDT"),
                "binance_api_key": self.binance_api_key or SecretStr("sim-key"),
                "binance_api_secret": self.binance_api_secret or SecretStr("sim-secret"),
                "binance_rest_url": self.binance_rest_url or f"http://{self.sim_host}:{self.sim_port}",
                "binance_ws_url": self.binance_ws_url or f"ws://{self.sim_host}:{self.sim_port}",
                "binance_wsapi_url": self.binance_wsapi_url or f"ws://{self.sim_host}:{self.sim_port}/ws-fapi/v1",
            }
        else:
            derived = {
                "binance_rest_url": self.binance_rest_url or Venue.REST[self.binance_env],
                "binance_ws_url": self.binance_ws_url or Venue.WS[self.binance_env],
                "binance_wsapi_url": self.binance_wsapi_url or Venue.WSAPI[self.binance_env],
            }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        return self

    def metrics_port(self, service: str) -> int:
        """The port on which `service` answers /health, /ready and /metrics."""
        if service == "gateway":
            return self.gateway_port
        if service == "simulator":
            return self.sim_port
        port: int = getattr(self, f"{service}_metrics_port")
        return port

    def require_keys(self) -> None:
        """Refuse an exchange environment without a key pair. Called by what signs or starts what signs."""
        missing = [env_name(name) for name in EXCHANGE_KEYS if not getattr(self, name)]
        if missing:
            raise SettingsError(
                f"PMS_BINANCE_ENV={self.binance_env} needs keys: set {' and '.join(missing)} (or …_FILE)"
            )


def env_name(field: str) -> str:
    """The environment's name of a settings field."""
    return PREFIX + field.upper()


def known_names() -> frozenset[str]:
    """Every `PMS_*` name that is understood."""
    return frozenset(env_name(field) for field in Settings.model_fields)


def unknown_names(names: Iterable[str]) -> list[str]:
    """One sentence for each `PMS_*` name that is not understood, naming the nearest known one."""
    known = sorted(known_names())
    complaints = []
    for name in sorted(set(names)):
        if not name.startswith(PREFIX) or name.startswith(TEST_PREFIX) or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        complaints.append(f"{name} is no setting; the nearest one is {near}")
    return complaints


def load_settings(service: str | None = None, env_file: Path | None = Path(".env")) -> Settings:
    """Read and check the settings.

    `service` names the process they are for: only orders (and None, the `pms` command) is given the exchange keys
    and only the simulator (and None) needs none of them. Raises `SettingsError` naming every setting at fault.
    """
    env_file = env_file if env_file is not None and env_file.is_file() else None
    from_file = dotenv_values(env_file) if env_file else {}
    complaints = unknown_names([*os.environ, *from_file])
    if complaints:
        raise SettingsError("; ".join(complaints))
    try:
        settings = Settings(_env_file=env_file)  # type: ignore[call-arg]  # mypy sees the fields only
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(item) for item in error.errors())) from None
    if service == "orders" and settings.binance_env != "sim":
        settings.require_keys()
    if service not in (None, "orders"):
        settings = settings.model_copy(update={"binance_api_key": None, "binance_api_secret": None})
    return settings


def _sentence(item: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"])
    text = str(item["msg"]).removeprefix("Value error, ")
    name = place if place.startswith(PREFIX) else env_name(place)
    return f"{name}: {text}" if place else text
