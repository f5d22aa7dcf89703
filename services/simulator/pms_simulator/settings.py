"""The simulator's own settings (``PMS_SIM_*``), as one value.

Owns the defaults that tests and benchmarks start from; names and checks are those of ``pms_common.settings``.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from pms_common.settings import Settings
from pms_simulator.domain.limits import LimitConfig

MarketKind = Literal["synthetic", "replay", "manual"]


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An API key, its secret and the account it trades for; keys of one account share everything.

    ``secret`` is an HMAC secret, or an RSA or Ed25519 key in PEM. ``balance`` is what a new account starts with.
    ``own_weight``: request weight is counted for the account, not for the client's address.
    """

    key: str
    secret: str
    account: str = "main"
    balance: Decimal | None = None
    own_weight: bool = False


SIM_KEY = KeyPair("sim-key", "sim-secret")


@dataclass(frozen=True, slots=True)
class SimConfig:
    """Everything that can be set. Times in milliseconds, money in USDT."""

    host: str = "127.0.0.1"
    port: int = 9900
    market: MarketKind = "synthetic"
    seed: int = 1
    tick_interval_ms: int = 100
    volatility: float = 0.0001  # standard deviation of one tick, as a fraction of the price
    replay: tuple[str, ...] = ()  # capture files, each of one or more symbols
    speed: float = 1.0
    symbols: tuple[str, ...] = ()  # all listed ones where empty
    exchange_info: Path | None = None
    balance: Decimal = Decimal(100_000)
    keys: tuple[KeyPair, ...] = (SIM_KEY,)
    limits: LimitConfig = field(default_factory=LimitConfig)
    max_open_orders: int | None = None  # instead of each symbol's MAX_NUM_ORDERS
    history: int = 100_000  # finished orders, trades and income records kept an account
    request_log: int = 20_000
    listen_key_life_ms: int = 3_600_000
    connection_life_ms: int = 86_400_000


def from_settings(settings: Settings) -> SimConfig:
    """The ``PMS_SIM_*`` settings as one value. Naming a recording means replaying it."""
    return SimConfig(
        host=settings.sim_host,
        port=settings.sim_port,
        market=settings.sim_market or ("replay" if settings.sim_replay else "synthetic"),
        seed=settings.sim_seed,
        tick_interval_ms=settings.sim_tick_interval_ms,
        volatility=settings.sim_volatility,
        replay=settings.sim_replay,
        speed=settings.sim_speed,
        symbols=settings.sim_symbols,
        exchange_info=settings.sim_exchange_info,
        balance=settings.sim_balance,
        keys=read_keys(settings.sim_keys_file) if settings.sim_keys_file else (SIM_KEY,),
        limits=LimitConfig(
            weight_per_minute=settings.sim_limit_weight_per_minute,
            orders_per_minute=settings.sim_limit_orders_per_minute,
            orders_per_ten_seconds=settings.sim_limit_orders_per_ten_seconds,
        ),
        max_open_orders=settings.sim_max_open_orders,
        history=settings.sim_history,
        request_log=settings.sim_request_log,
        listen_key_life_ms=int(settings.sim_listen_key_seconds * 1000),
        connection_life_ms=int(settings.sim_connection_seconds * 1000),
    )


def read_keys(path: Path) -> tuple[KeyPair, ...]:
    """Key pairs from a JSON file ``[{"key", "secret", "account"}]``; sim-key stays valid."""
    return (SIM_KEY, *msgspec.json.decode(path.read_bytes(), type=list[KeyPair]))
