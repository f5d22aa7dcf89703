"""The public market: what changed in a book becomes stream events, encoded once for all readers.

Owns subscriptions by stream name, the continuity of diffs (U, u, pu) and which route carries which stream.
A stream asked for on the wrong route is acknowledged and silent, as at the venue.
"""

from typing import Any, Protocol

import msgspec

from pms_simulator.app.frame_log import FrameLog
from pms_simulator.domain.book import Level
from pms_simulator.domain.orders import BUY
from pms_simulator.domain.state import Market, TapePrint

CADENCES_MS = (100, 250, 500)
PUBLIC_STREAMS = ("depth", "bookTicker", "trade", "rpiDepth")
UM = 1  # `st`: this universe is USD-margined
_encode = msgspec.json.Encoder().encode
Quote = tuple[int, int, int, int]


class MarketSocket(Protocol):
    """A connected reader of market streams."""

    route: str

    def send_stream(self, stream: str, payload: bytes) -> None:
        """Write one encoded event of ``stream``."""


def route_of(stream: str) -> str:
    """``public`` or ``market``: the route that carries a stream."""
    kind = stream.rpartition("!")[2] if stream.startswith("!") else stream.partition("@")[2]
    kind = kind.partition("@")[0]
    return "public" if kind.startswith(PUBLIC_STREAMS) else "market"


class _Diffs:
    """Continuity of one symbol's diffs at one cadence."""

    __slots__ = ("dirty", "last_id")

    def __init__(self, last_id: int) -> None:
        self.dirty: set[tuple[int, int]] = set()
        self.last_id = last_id


class MarketStreams:
    """Subscriptions and what they are sent."""

    def __init__(self, markets: dict[str, Market], log: FrameLog) -> None:
        self._log = log
        self._markets = markets
        self._by_stream_name = {symbol.lower(): market for symbol, market in markets.items()}
        self._readers: dict[str, dict[MarketSocket, None]] = {}
        self._diffs: dict[tuple[Market, int], _Diffs] = {}
        self._quotes: dict[Market, Quote] = {}

    def join(self, socket: MarketSocket, stream: str) -> None:
        """Subscribe; silent where the route does not carry the stream."""
        if socket.route != route_of(stream):
            return
        self._readers.setdefault(stream, {})[socket] = None
        cadence = diff_cadence(stream)
        if cadence is not None:
            market = self._by_stream_name.get(stream.partition("@")[0])
            if market is not None and (market, cadence) not in self._diffs:
                self._diffs[market, cadence] = _Diffs(market.book.changed_id)

    def leave(self, socket: MarketSocket, stream: str) -> None:
        """Unsubscribe."""
        readers = self._readers.get(stream)
        if readers is None:
            return
        readers.pop(socket, None)
        if readers:
            return
        del self._readers[stream]
        cadence = diff_cadence(stream)
        market = self._by_stream_name.get(stream.partition("@")[0])
        if cadence is not None and market is not None and not self._wants_diffs(market, cadence):
            self._diffs.pop((market, cadence), None)

    def _wants_diffs(self, market: Market, cadence: int) -> bool:
        names = diff_names(market.spec.symbol.lower(), cadence)
        return any(name in self._readers for name in names)

    def changed(self, market: Market, now_ms: int) -> None:
        """A book changed: note it for the diffs, and send the best quote where that is what changed."""
        book = market.book
        if self._diffs:
            for cadence in CADENCES_MS:
                diffs = self._diffs.get((market, cadence))
                if diffs is not None:
                    diffs.dirty |= book.changed
        book.changed.clear()
        quote = book.quote()
        if quote == self._quotes.get(market):
            return
        self._quotes[market] = quote
        name = f"{market.spec.symbol.lower()}@bookTicker"
        if name not in self._readers and "!bookTicker" not in self._readers:
            return
        payload = _encode(book_ticker(market, quote, now_ms))
        self._log.note("quote", market.spec.symbol, market.spec.price_text(quote[0]))
        self._send(name, payload)
        self._send("!bookTicker", payload)

    def flush_depth(self, cadence: int, now_ms: int) -> None:
        """Send what changed since the last time at this cadence."""
        for (market, pace), diffs in list(self._diffs.items()):
            if pace != cadence or not diffs.dirty:
                continue
            payload: bytes | None = None
            for name in diff_names(market.spec.symbol.lower(), cadence):
                if name in self._readers:
                    body = self._depth_event(market, diffs, name, now_ms)
                    if "@depth@" in name or name.endswith("@depth"):
                        payload = payload or _encode(body)
                        self._send(name, payload)
                    else:
                        self._send(name, _encode(body))
            diffs.last_id = market.book.changed_id
            diffs.dirty.clear()

    def _depth_event(self, market: Market, diffs: _Diffs, name: str, now_ms: int) -> dict[str, Any]:
        limit = partial_limit(name)
        if limit is not None:
            bid_levels, ask_levels = market.book.depth(limit)
            bids, asks = level_texts(market, bid_levels), level_texts(market, ask_levels)
        else:
            spec, book = market.spec, market.book
            ordered = sorted(diffs.dirty, key=lambda item: item[1])
            rows = [
                (side, [spec.price_text(price), spec.qty_text(book.total_at(side, price))]) for side, price in ordered
            ]
            bids = [row for side, row in rows if side == BUY]
            asks = [row for side, row in rows if side != BUY]
        return {
            "e": "depthUpdate",
            "E": now_ms,
            "T": now_ms,
            "s": market.spec.symbol,
            "ps": market.spec.pair,
            "U": diffs.last_id + 1,
            "u": market.book.changed_id,
            "pu": diffs.last_id,
            "b": bids,
            "a": asks,
            "st": UM,
        }

    def trades(self, tape: list[TapePrint], now_ms: int) -> None:
        """Public trades, on ``@aggTrade`` (neighbours at one price and side joined) and ``@trade``."""
        joined: list[tuple[TapePrint, int, int]] = []
        for item in tape:
            if joined:
                first, quantity, _ = joined[-1]
                if (first.market, first.price, first.seller_aggressed) == (
                    item.market,
                    item.price,
                    item.seller_aggressed,
                ):
                    joined[-1] = (first, quantity + item.quantity, item.trade_id)
                    continue
            joined.append((item, item.quantity, item.trade_id))
        for first, quantity, last_id in joined:
            name = f"{first.market.spec.symbol.lower()}@aggTrade"
            if name in self._readers:
                self._send(name, _encode(agg_trade(first, quantity, last_id, now_ms)))
        for item in tape:
            name = f"{item.market.spec.symbol.lower()}@trade"
            if name in self._readers:
                self._send(name, _encode(public_trade(item, now_ms)))

    def marks(self, now_ms: int, *, slow: bool) -> None:
        """Mark prices: every second on ``@1s`` streams, every third (``slow``) on the plain ones too."""
        suffixes = ("@1s", "") if slow else ("@1s",)
        if not any("markPrice" in name for name in self._readers):
            return
        events = [mark_price(market, now_ms) for market in self._markets.values() if market.mark]
        for suffix in suffixes:
            self._send(f"!markPrice@arr{suffix}", _encode(events))
            for event in events:
                name = f"{event['s'].lower()}@markPrice{suffix}"
                if name in self._readers:
                    self._send(name, _encode(event))

    def _send(self, stream: str, payload: bytes) -> None:
        for socket in tuple(self._readers.get(stream, ())):
            socket.send_stream(stream, payload)


def diff_names(symbol: str, cadence: int) -> tuple[str, ...]:
    """Depth streams served at a cadence: the diff and the three partial books."""
    suffix = "" if cadence == 250 else f"@{cadence}ms"
    return tuple(f"{symbol}@depth{limit}{suffix}" for limit in ("", "5", "10", "20"))


def diff_cadence(stream: str) -> int | None:
    """The cadence of a depth stream, None for any other stream."""
    _, _, kind = stream.partition("@")
    name, _, pace = kind.partition("@")
    if name not in {"depth", "depth5", "depth10", "depth20"}:
        return None
    return {"": 250, "250ms": 250, "100ms": 100, "500ms": 500}.get(pace)


def partial_limit(stream: str) -> int | None:
    """5, 10 or 20 for a partial-book stream."""
    digits = stream.partition("@depth")[2].partition("@")[0]
    return int(digits) if digits else None


def level_texts(market: Market, levels: list[Level]) -> list[list[str]]:
    """[[price, quantity]] as the venue writes it."""
    spec = market.spec
    return [[spec.price_text(level.price), spec.qty_text(level.total)] for level in levels]


def book_ticker(market: Market, quote: Quote, now_ms: int) -> dict[str, Any]:
    """The bookTicker event."""
    spec = market.spec
    return {
        "e": "bookTicker",
        "u": market.book.changed_id,
        "s": spec.symbol,
        "ps": spec.pair,
        "b": spec.price_text(quote[0]),
        "B": spec.qty_text(quote[1]),
        "a": spec.price_text(quote[2]),
        "A": spec.qty_text(quote[3]),
        "T": now_ms,
        "E": now_ms,
        "st": UM,
    }


def agg_trade(first: TapePrint, quantity: int, last_id: int, now_ms: int) -> dict[str, Any]:
    """The aggTrade event; its id is the last trade's."""
    spec = first.market.spec
    text = spec.qty_text(quantity)
    return {
        "e": "aggTrade",
        "E": now_ms,
        "a": last_id,
        "s": spec.symbol,
        "p": spec.price_text(first.price),
        "q": text,
        "nq": text,
        "f": first.trade_id,
        "l": last_id,
        "T": first.time_ms,
        "m": first.seller_aggressed,
        "st": UM,
    }


def public_trade(item: TapePrint, now_ms: int) -> dict[str, Any]:
    """The (undocumented) trade event."""
    spec = item.market.spec
    return {
        "e": "trade",
        "E": now_ms,
        "T": item.time_ms,
        "s": spec.symbol,
        "t": item.trade_id,
        "p": spec.price_text(item.price),
        "q": spec.qty_text(item.quantity),
        "X": "MARKET",
        "m": item.seller_aggressed,
        "st": UM,
    }


def mark_price(market: Market, now_ms: int) -> dict[str, Any]:
    """The markPriceUpdate event; index and settlement price equal the mark here."""
    price = f"{market.spec.price(market.mark):.8f}"
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": market.spec.symbol,
        "p": price,
        "ap": price,
        "P": price,
        "i": price,
        "r": f"{market.funding_rate:.8f}",
        "T": next_funding_ms(now_ms),
        "st": UM,
    }


def next_funding_ms(now_ms: int) -> int:
    """The next full eight hours."""
    return (now_ms // 28_800_000 + 1) * 28_800_000
