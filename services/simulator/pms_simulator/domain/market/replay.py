"""Recorded frames as moves: snapshot, depth diffs, best quotes and trades of a capture.

Owns the reading of one decoded capture line. The venue publishes its own streams from its own book, so that what
clients see is coherent whatever the recording's order; accounts' orders are part of that book.
"""

from collections.abc import Mapping
from typing import Any

from pms_simulator.domain.market.moves import Levels, Move, PriceLevels, Print, Quote
from pms_simulator.domain.orders import BUY, SELL
from pms_simulator.domain.symbols import SymbolSpec
from pms_simulator.domain.units import to_units


class Recording:
    """State between frames of one capture: the newest quote wins over depth that is older."""

    def __init__(self, specs: Mapping[str, SymbolSpec]) -> None:
        self._specs = specs
        self._quotes: dict[str, tuple[int, Quote]] = {}
        self._symbol: str | None = None

    def moves(self, frame: Mapping[str, Any]) -> tuple[str, list[Move]] | None:
        """Symbol and moves of one line, None for lines that move nothing here."""
        data = frame.get("data", frame)
        if "lastUpdateId" in data:
            return self._snapshot(data)
        symbol = data.get("s")
        spec = self._specs.get(symbol)
        if spec is None:
            return None
        self._symbol = symbol
        match data.get("e"):
            case "depthUpdate":
                return symbol, self._with_quote(symbol, data["u"], _levels(spec, data["b"], data["a"]))
            case "bookTicker":
                quote = _quote(spec, data)
                self._quotes[symbol] = (data["u"], quote)
                return symbol, [quote]
            case "trade" | "aggTrade" if data.get("X", "MARKET") == "MARKET":
                side = SELL if data["m"] else BUY
                price = to_units(data["p"], spec.price_places)
                return symbol, [Print(side, to_units(data["q"], spec.qty_places), price, on_tape=True)]
        return None

    def _snapshot(self, data: Mapping[str, Any]) -> tuple[str, list[Move]] | None:
        """A snapshot body names no symbol: it is the one of the frames before it."""
        if self._symbol is None:
            return None
        spec = self._specs[self._symbol]
        levels = _levels(spec, data["bids"], data["asks"], replace=True)
        return self._symbol, self._with_quote(self._symbol, data["lastUpdateId"], levels)

    def _with_quote(self, symbol: str, update_id: int, levels: Levels) -> list[Move]:
        newest = self._quotes.get(symbol)
        if newest is not None and newest[0] > update_id:
            return [levels, newest[1]]
        return [levels]


def _levels(spec: SymbolSpec, bids: Any, asks: Any, *, replace: bool = False) -> Levels:
    return Levels(_side(spec, bids), _side(spec, asks), replace)


def _side(spec: SymbolSpec, rows: list[list[str]]) -> PriceLevels:
    return [(to_units(price, spec.price_places), to_units(quantity, spec.qty_places)) for price, quantity in rows]


def _quote(spec: SymbolSpec, data: Mapping[str, Any]) -> Quote:
    return Quote(
        to_units(data["b"], spec.price_places),
        to_units(data["B"], spec.qty_places),
        to_units(data["a"], spec.price_places),
        to_units(data["A"], spec.qty_places),
    )
