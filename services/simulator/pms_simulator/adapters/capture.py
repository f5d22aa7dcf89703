"""Recordings: capture files with lines ``<local ns> <json>``, packed with gzip or plain, and Binance Vision zips.

Owns the order of time among several files. What a line means, ``domain.market.replay`` knows.
"""

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pms_common.captures import read_lines
from pms_simulator.adapters.vision import open_vision, read_vision

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_captures(paths: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(nanoseconds since the start of its file, or day for a Vision zip, frame) of all files, in that order of time."""
    found = [(path, open_vision(path)) for path in paths]
    quoted = {file.symbol for _, file in found if file is not None and file.kind == "bookTicker"}
    only_vision = all(file is not None for _, file in found)
    frames = [
        _read(path) if file is None else read_vision(file, quoteless=only_vision and file.symbol not in quoted)
        for path, file in found
    ]
    return heapq.merge(*frames, key=lambda item: item[0])


def _read(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """One file's frames. A snapshot body names no symbol: it gets the one's whose price is nearest."""
    first: int | None = None
    prices: dict[str, float] = {}
    early: list[tuple[int, dict[str, Any]]] = []
    for recorded_ns, payload in read_lines(Path(path)):
        first = recorded_ns if first is None else first
        frame = _decode(payload)
        if "lastUpdateId" in frame and not prices:
            early.append((recorded_ns - first, frame))
            continue
        if "lastUpdateId" in frame:
            frame["s"] = _nearest(prices, frame)
        else:
            _note_price(prices, frame.get("data", frame))
        if early and prices:
            yield from ((at_ns, {**snapshot, "s": _nearest(prices, snapshot)}) for at_ns, snapshot in early)
            early.clear()
        yield recorded_ns - first, frame


def _note_price(prices: dict[str, float], event: Any) -> None:
    match event:
        case {"e": "bookTicker", "s": str(symbol), "b": price} | {
            "e": "trade" | "aggTrade",
            "s": str(symbol),
            "p": price,
        }:
            prices[symbol] = float(price)
        case {"e": "depthUpdate", "s": str(symbol), "b": [*_, [price, _]]}:  # lowest first: the last is near the best
            prices.setdefault(symbol, float(price))


def _nearest(prices: dict[str, float], snapshot: dict[str, Any]) -> str:
    levels = snapshot["bids"] or snapshot["asks"]
    best = float(levels[0][0]) if levels else 0.0
    return min(prices, key=lambda symbol: abs(prices[symbol] / best - 1))
