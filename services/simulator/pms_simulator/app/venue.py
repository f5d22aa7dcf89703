"""The running venue: engine, keys, clock, limits, faults, request log, and where events and market changes go.

Owns the state that requests share. Never parses a request and never touches a socket: routes do the first,
adapters the second.
"""

import hmac
import secrets
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from pms_simulator.app.frame_log import FrameLog
from pms_simulator.app.market_streams import MarketStreams
from pms_simulator.app.user_streams import UserStreams
from pms_simulator.domain import brackets
from pms_simulator.domain.account import Account, FeeRates
from pms_simulator.domain.engine import Engine
from pms_simulator.domain.faults import Faults
from pms_simulator.domain.limits import Limits
from pms_simulator.domain.signing import secret_key
from pms_simulator.domain.state import Market
from pms_simulator.domain.symbols import read_symbol
from pms_simulator.settings import SimConfig


@dataclass(slots=True)
class Received:
    """One request as it arrived; ``time_ns`` is wall time, ``params`` what was sent."""

    time_ns: int
    transport: str
    name: str
    params: dict[str, str]


@dataclass(frozen=True, slots=True)
class Key:
    """What an API key opens."""

    secret: hmac.HMAC
    account: Account


class Venue:
    """Everything behind the sockets."""

    def __init__(self, config: SimConfig, exchange_info: dict[str, Any]) -> None:
        self.config = config
        self.exchange_info = exchange_info
        self.offset_ms = 0
        markets = list_markets(config, exchange_info)
        accounts = {
            pair.account: Account(pair.account, config.balance, FeeRates(), config.history) for pair in config.keys
        }
        self.engine = Engine(markets, accounts)
        self.keys = {pair.key: Key(secret_key(pair.secret), accounts[pair.account]) for pair in config.keys}
        self.limits = Limits(config.limits)
        self.faults = Faults()
        self.requests: deque[Received] = deque(maxlen=config.request_log)
        self.received = 0
        self.frames = FrameLog(config.request_log)
        self.users = UserStreams(self.frames)
        self.streams = MarketStreams(markets, self.frames)
        self._client_prefix = secrets.token_hex(6)
        self._client_count = 0

    def now_ms(self) -> int:
        """The venue's clock."""
        return time.time_ns() // 1_000_000 + self.offset_ms

    def client_id(self) -> str:
        """A generated client order id, 22 characters as at the venue."""
        self._client_count += 1
        return f"{self._client_prefix}{self._client_count:010d}"

    def flush(self, now_ms: int) -> None:
        """Hand over what the engine produced: user events, then the public market."""
        engine = self.engine
        if engine.events:
            events, engine.events = engine.events, []
            self.users.send(events)
        if engine.tape:
            tape, engine.tape = engine.tape, []
            self.streams.trades(tape, now_ms)
        if engine.touched:
            for market in engine.touched:
                self.streams.changed(market, now_ms)
            engine.touched.clear()


def list_markets(config: SimConfig, exchange_info: dict[str, Any]) -> dict[str, Market]:
    """The markets to run; ValueError for a wanted symbol that is not listed."""
    entries = {entry["symbol"]: entry for entry in exchange_info["symbols"]}
    wanted = config.symbols or tuple(entries)
    missing = [symbol for symbol in wanted if symbol not in entries]
    if missing:
        raise ValueError(f"not in exchangeInfo: {', '.join(missing)}")
    markets: dict[str, Market] = {}
    for symbol in wanted:
        spec = read_symbol(entries[symbol])
        if config.max_open_orders is not None:
            spec = replace(spec, max_orders=config.max_open_orders)
        markets[symbol] = Market(spec, brackets.of_symbol(symbol))
    return markets
