"""The running venue: engine, keys, clock, limits, faults, request log, and where events and market changes go.

Owns the state that requests share. Never parses a request and never touches a socket: routes do the first,
adapters the second.
"""

import asyncio
import secrets
import time
from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pms_simulator.app.frame_log import FrameLog
from pms_simulator.app.keys import Key, read_verifier
from pms_simulator.app.market_streams import MarketStreams
from pms_simulator.app.user_streams import UserStreams
from pms_simulator.domain import brackets
from pms_simulator.domain.account import Account, FeeRates
from pms_simulator.domain.engine import Engine
from pms_simulator.domain.errors import illegal
from pms_simulator.domain.faults import Faults
from pms_simulator.domain.history import History
from pms_simulator.domain.limits import Limits
from pms_simulator.domain.state import Market
from pms_simulator.domain.symbols import read_symbol
from pms_simulator.settings import KeyPair, SimConfig


@dataclass(slots=True)
class Received:
    """One request as it arrived; ``time_ns`` is wall time, ``params`` what was sent, ``account`` its key's."""

    time_ns: int
    transport: str
    name: str
    params: dict[str, str]
    account: str | None


class Venue:
    """Everything behind the sockets."""

    def __init__(self, config: SimConfig, exchange_info: dict[str, Any]) -> None:
        self.config = config
        self.exchange_info = exchange_info
        self.offset_ms = 0
        markets = list_markets(config, exchange_info)
        self.engine = Engine(markets, {})
        self.keys: dict[str, Key] = {}
        self.limits = Limits(config.limits)
        self.faults = Faults()
        self.amending: list[dict[str, str]] = []  # amendments that wait, held back by a fault
        self.countdowns: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self.requests: deque[Received] = deque(maxlen=config.request_log)
        self.received = 0
        self.frames = FrameLog(config.request_log)
        self.users = UserStreams(self.frames, self.faults, config.listen_key_life_ms)
        self.streams = MarketStreams(markets, self.frames)
        self._client_prefix = secrets.token_hex(6)
        self._client_count = 0
        for pair in config.keys:
            self.add_key(pair)

    def add_key(self, pair: KeyPair) -> Account:
        """Let an API key in; its account is opened where it is new. ValueError for a key that cannot be read."""
        verifier = read_verifier(pair.secret)
        account = self.engine.accounts.get(pair.account)
        if account is None:
            balance = self.config.balance if pair.balance is None else pair.balance
            account = Account(pair.account, balance, FeeRates(), self.config.history)
            account.bnb_price = self._bnb_price
            self.engine.accounts[pair.account] = account
            if self.engine.history is not None:
                self.engine.history.watch(account)
        address = f"account {account.name}" if pair.own_weight else ""
        self.keys[pair.key] = Key(pair.key, verifier, account, address)
        return account

    def _bnb_price(self) -> Decimal:
        market = self.engine.markets.get("BNBUSDT")
        return market.spec.price(market.mark) if market is not None else Decimal(0)

    def account(self, name: str | None) -> Account:
        """An account by its name or one of its API keys, the first one for None; -1100."""
        if name is None:
            return next(iter(self.engine.accounts.values()))
        key = self.keys.get(name)
        account = key.account if key is not None else self.engine.accounts.get(name)
        if account is None:
            raise illegal("account")
        return account

    def record_past(self) -> None:
        """Keep the past from now on, for queries that lag."""
        if self.engine.history is None:
            self.engine.history = History(self.engine.accounts.values(), self.now_ms())

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
        if engine.history is not None:
            self._keep_past(engine.history, now_ms)
        if engine.events:
            events, engine.events = engine.events, []
            self.users.send(events, now_ms)
        if engine.tape:
            tape, engine.tape = engine.tape, []
            self.streams.trades(tape, now_ms)
        if engine.touched:
            for market in engine.touched:
                self.streams.changed(market, now_ms)
            engine.touched.clear()

    def _keep_past(self, history: History, now_ms: int) -> None:
        lag_ms = self.faults.longest_lag_ms
        if lag_ms:
            history.commit(now_ms, lag_ms)
        else:
            self.engine.history = None


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
