"""The simulator's own settings (``PMS_SIM_*``), as one value.

Owns names and defaults. ``PMS_SIM_PORT`` is shared with the other services and read with them too.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pms_simulator.domain.limits import LimitConfig

MarketKind = Literal["synthetic", "replay", "manual"]


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An API key, its secret and the account it trades for; keys of one account share everything."""

    key: str
    secret: str
    account: str = "main"


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
    exchange_info: str | None = None
    balance: Decimal = Decimal(100_000)
    keys: tuple[KeyPair, ...] = (KeyPair("sim-key", "sim-secret"),)
    limits: LimitConfig = field(default_factory=LimitConfig)
    max_open_orders: int | None = None  # instead of each symbol's MAX_NUM_ORDERS
    history: int = 100_000  # finished orders, trades and income records kept an account
    request_log: int = 20_000


def read_environment(environment: Mapping[str, str] = os.environ) -> SimConfig:
    """Settings from ``PMS_SIM_*``. ValueError names the variable that makes no sense."""
    readers: dict[str, tuple[str, Any]] = {
        "PORT": ("port", int),
        "HOST": ("host", str),
        "MARKET": ("market", _market),
        "SEED": ("seed", int),
        "TICK_INTERVAL_MS": ("tick_interval_ms", int),
        "VOLATILITY": ("volatility", float),
        "REPLAY": ("replay", _names),
        "SPEED": ("speed", float),
        "SYMBOLS": ("symbols", _names),
        "EXCHANGE_INFO": ("exchange_info", str),
        "BALANCE": ("balance", Decimal),
        "KEYS_FILE": ("keys", read_keys),
        "MAX_OPEN_ORDERS": ("max_open_orders", int),
        "HISTORY": ("history", int),
        "REQUEST_LOG": ("request_log", int),
    }
    values: dict[str, Any] = {}
    for suffix, (name, read) in readers.items():
        text = environment.get(f"PMS_SIM_{suffix}")
        if text:
            values[name] = _value(f"PMS_SIM_{suffix}", read, text)
    limits = {
        item.name: _value(f"PMS_SIM_LIMIT_{item.name.upper()}", int, text)
        for item in fields(LimitConfig)
        if (text := environment.get(f"PMS_SIM_LIMIT_{item.name.upper()}"))
    }
    if values.get("replay") and "market" not in values:
        values["market"] = "replay"
    return SimConfig(**values, limits=LimitConfig(**limits))


def read_keys(path: str) -> tuple[KeyPair, ...]:
    """Key pairs from a JSON file ``[{"key", "secret", "account"}]``; sim-key stays valid."""
    entries = json.loads(Path(path).read_text())
    return (KeyPair("sim-key", "sim-secret"), *(KeyPair(**entry) for entry in entries))


def _value(name: str, read: Any, text: str) -> Any:
    try:
        return read(text)
    except (ValueError, ArithmeticError, TypeError, OSError) as error:
        raise ValueError(f"{name}={text!r}: {error}") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(part for part in (name.strip() for name in text.split(",")) if part)


def _market(text: str) -> MarketKind:
    match text:
        case "synthetic" | "replay" | "manual":
            return text
    raise ValueError("synthetic, replay or manual")
