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

QUOTE_STEPS = 10_000  # depth of a quote made from a trade, in steps of the quantity


class Recording:
    """State between frames of one capture: the newest quote wins over depth that is older."""

    def __init__(self, specs: Mapping[str, SymbolSpec]) -> None:
        self._specs = specs
        self._quotes: dict[str, tuple[int, Quote]] = {}

    def moves(self, frame: Mapping[str, Any]) -> tuple[str, list[Move]] | None:
        """Symbol and moves of one line, None for lines that move nothing here."""
        data = frame.get("data", frame)
        symbol = data.get("s")
        spec = self._specs.get(symbol) if symbol is not None else None
        if symbol is None or spec is None:
            return None
        if "lastUpdateId" in data:
            levels = _levels(spec, data["bids"], data["asks"], replace=True)
            return symbol, self._with_quote(symbol, data["lastUpdateId"], levels)
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
                trade = Print(side, to_units(data["q"], spec.qty_places), price, on_tape=True)
                return symbol, [_quote_around(spec, side, price), trade] if "quoteless" in data else [trade]
        return None

    def _with_quote(self, symbol: str, update_id: int, levels: Levels) -> list[Move]:
        newest = self._quotes.get(symbol)
        if newest is not None and newest[0] > update_id:
            return [levels, newest[1]]
        return [levels]


def _quote_around(spec: SymbolSpec, side: int, price: int) -> Quote:
    """The narrowest quote a trade of ``side`` can have met, deep enough for orders of any usual size."""
    quantity = (spec.lot.step or 1) * QUOTE_STEPS
    bid = price if side == SELL else price - spec.tick
    return Quote(bid, quantity, bid + spec.tick, quantity)


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
