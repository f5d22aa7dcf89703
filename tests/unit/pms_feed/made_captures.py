"""Captures made up: a venue with a naive book of its own, and recorders of many habits.

Its book is two dicts that are searched whole, and its rules are the venue's: absolute quantities, ids that all symbols
share, `pu` the last id of the diff before, a bookTicker whenever a best price or quantity has changed.
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

TICK = 0.1
NEAR = 12
"""Ticks around the touch where levels change."""


@dataclass
class Habits:
    """How a recorder writes, and what befell it."""

    before: str = "time"  # what stands before the JSON: time, address, nothing
    wrapped: bool = True
    kind: str = "depth@100ms"
    packed: str = "gzip"  # gzip, members (several in one file), plain
    numbers: bool = False
    spaces: bool = False
    more_fields: bool = False
    other_streams: bool = False
    repeated: bool = False
    snapshot_late: int = 0  # messages after it was made
    more_snapshots: bool = False
    reconnect: bool = False
    broken_off: bool = False


@dataclass
class Symbol:
    """One market of the venue."""

    name: str
    middle: float
    bids: dict[int, str] = field(default_factory=dict)
    asks: dict[int, str] = field(default_factory=dict)
    changed: tuple[dict[int, str], dict[int, str]] = field(default_factory=lambda: ({}, {}))
    first_id: int = 0
    previous_id: int = 0
    told: Any = None

    def best(self) -> tuple[int, str, int, str]:
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]


class Recorded:
    """The messages of a venue, as a recorder with these habits had them, by `write` in a file."""

    def __init__(self, seed: int, symbols: int, habits: Habits, steps: int = 200) -> None:
        self._draw = Random(seed)
        self._habits = habits
        self._id = 10**12
        self.messages: list[tuple[str, dict[str, Any]]] = []  # the symbol a snapshot was asked for, message
        self.symbols = [Symbol(f"SYM{at}USDT", 1_000.0 * 3**at) for at in range(symbols)]
        self._due: list[tuple[int, str, dict[str, Any]]] = []
        for symbol in self.symbols:
            self._open(symbol)
        asked = steps // 10
        for step in range(steps):
            symbol = self._draw.choice(self.symbols)
            self._change(symbol)
            if step % 3 == 0:
                for one in self.symbols:
                    self._flush(one)
            if step == asked or (habits.more_snapshots and step % 80 == 79):
                self._snapshots(step + habits.snapshot_late)
            if habits.reconnect and step == steps // 2:
                self._lose(steps // 5)
                self._snapshots(step + 3)
            self._put_due(step)
        self._put_due(steps + habits.snapshot_late)

    def _open(self, symbol: Symbol) -> None:
        touch = round(symbol.middle / TICK)
        symbol.bids = {touch - at: self._quantity() for at in range(1, 40)}
        symbol.asks = {touch + at: self._quantity() for at in range(1, 40)}
        symbol.previous_id = symbol.first_id = self._id

    def _quantity(self) -> str:
        return f"{self._draw.randint(1, 9_999) / 1_000:.3f}"

    def _change(self, symbol: Symbol) -> None:
        """One to four orders come or go; the book is never crossed and no side ever empty."""
        for _ in range(self._draw.randint(1, 4)):
            self._id += self._draw.randint(1, 3)  # others' ids lie between
            bid, _, ask, _ = symbol.best()
            bids = self._draw.random() < 0.5
            side = symbol.bids if bids else symbol.asks
            price = self._draw.randint(bid - NEAR, ask - 1) if bids else self._draw.randint(bid + 1, ask + NEAR)
            gone = self._draw.random() < 0.4 and len(side) > 5
            quantity = "0.000" if gone else self._quantity()
            side.pop(price, None) if gone else side.update({price: quantity})
            symbol.changed[0 if bids else 1][price] = quantity
            if symbol.best() != symbol.told:
                symbol.told = symbol.best()
                self._quote(symbol)

    def _quote(self, symbol: Symbol) -> None:
        bid, bid_quantity, ask, ask_quantity = symbol.best()
        data = {"e": "bookTicker", "u": self._id, "s": symbol.name, "b": self._price(bid), "B": bid_quantity}
        self._event(symbol, "bookTicker", {**data, "a": self._price(ask), "A": ask_quantity, "T": 1, "E": 2})
        if self._habits.other_streams:
            trade = {"e": "trade", "E": 2, "s": symbol.name, "t": 1, "p": self._price(bid), "q": "1", "m": True}
            self._event(symbol, "trade", trade)

    def _flush(self, symbol: Symbol) -> None:
        """The diff of what has changed since the last one."""
        changed = [[[self._price(price), quantity] for price, quantity in side.items()] for side in symbol.changed]
        data = {"e": "depthUpdate", "E": 2, "T": 1, "s": symbol.name, "U": symbol.previous_id + 1, "u": self._id}
        self._event(symbol, self._habits.kind, {**data, "pu": symbol.previous_id, "b": changed[0], "a": changed[1]})
        symbol.previous_id, symbol.changed = self._id, ({}, {})
        if self._habits.other_streams and self._habits.wrapped:
            part = {"b": [["1.0", "1"]], "a": [["9999999.0", "1"]], "U": 1, "u": self._id, "pu": 0}
            self._event(symbol, "depth5@100ms", {**data, **part})

    def _event(self, symbol: Symbol, kind: str, data: dict[str, Any]) -> None:
        if self._habits.more_fields:
            data = {**data, "ps": symbol.name, "st": 1, "rpi": {"b": [["1", "2"]]}, "nq": "7"}
        wrapped = {"stream": f"{symbol.name.lower()}@{kind}", "data": data}
        self.messages.append(("", wrapped if self._habits.wrapped else data))
        if self._habits.repeated and self._draw.random() < 0.1:
            self.messages.append(self.messages[-1])

    def _price(self, ticks: int) -> str:
        return f"{ticks * TICK:.1f}"

    def _snapshots(self, at_step: int) -> None:
        for symbol in self.symbols:
            bids = [[self._price(price), symbol.bids[price]] for price in sorted(symbol.bids, reverse=True)]
            asks = [[self._price(price), symbol.asks[price]] for price in sorted(symbol.asks)]
            body = {"lastUpdateId": self._id, "E": 2, "T": 1, "bids": bids, "asks": asks}
            self._due.append((at_step, symbol.name, body))

    def _put_due(self, step: int) -> None:
        self.messages += [(name, body) for at_step, name, body in self._due if at_step <= step]
        self._due = [due for due in self._due if due[0] > step]

    def _lose(self, steps: int) -> None:
        """The connection is away: the venue goes on unheard."""
        kept = len(self.messages)
        for _ in range(steps):
            self._change(self._draw.choice(self.symbols))
        for symbol in self.symbols:
            self._flush(symbol)
        del self.messages[kept:]

    def write(self, path: Path) -> None:
        """The file."""
        lines = [self._line(at, name, message) for at, (name, message) in enumerate(self.messages)]
        if self._habits.broken_off:
            lines[-1] = lines[-1][: len(lines[-1]) // 2]
        ended = [line + b"\n" for line in lines[:-1]] + lines[-1:]
        pack: dict[str, Callable[[], bytes]] = {
            "plain": lambda: b"".join(ended),
            "gzip": lambda: gzip.compress(b"".join(ended)),
            "members": lambda: b"".join(map(gzip.compress, ended)),
        }
        content = pack[self._habits.packed]()
        path.write_bytes(content[:-20] if self._habits.broken_off and self._habits.packed == "gzip" else content)

    def _line(self, at: int, name: str, message: dict[str, Any]) -> bytes:
        text = json.dumps(message, separators=None if self._habits.spaces else (",", ":"))
        if self._habits.numbers:
            text = _unquoted(text)
        address = f"https://fapi.binance.com/fapi/v1/depth?symbol={name}&limit=1000" if name else "wss://fstream/public"
        before = {"time": f"{10**18 + at} ", "address": f"{address} -> {10**9 + at}.5: ", "nothing": ""}
        return (before[self._habits.before] + text).encode()


def _unquoted(text: str) -> str:
    """Prices and quantities as JSON numbers."""
    parts = text.split('"')
    return "".join(part if at % 2 == 0 else part if _is_number(part) else f'"{part}"' for at, part in enumerate(parts))


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
