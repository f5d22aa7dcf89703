"""What plans decide on: live best prices, symbol rules, gates.

Owns the newest L1 by symbol. A price that was not confirmed alive lately is none: no plan acts on it.
"""

from dataclasses import dataclass, replace

from pms_algos.domain.actions import Gate, Market
from pms_algos.domain.chase_price import keeps_targets
from pms_common.contracts.bus.base import Side
from pms_common.contracts.bus.common import Tick
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.decimals import from_float

STALE_MS = 3_000
"""The default limit of a price (system §4.6)."""
Moved = tuple[Side | None, ...]
_FALLEN: Moved = ("BUY", "SELL", None)
_RISEN: Moved = ("SELL", "BUY", None)
_BID: Moved = ("BUY", None)
_ASK: Moved = ("SELL", None)
_STRICTNESS: dict[Gate, int] = {"active": 0, "reducing": 1, "halted": 2}


@dataclass(slots=True)
class _Prices:
    bid: float
    ask: float
    ts_ms: int
    sent_us: int
    open: Market | None = None
    """As whoever no gate concerns sees it; made once a price."""

    def market(self, spec: SymbolSpec) -> Market:
        """That, by these rules."""
        if self.open is None or self.open.spec is not spec:
            self.open = Market(from_float(self.bid), from_float(self.ask), spec, sent_us=self.sent_us)
        return self.open


def usable(tick: Tick) -> bool:
    """Whether it carries prices to decide on."""
    return tick.state == "live" and 0 < tick.bid <= tick.ask


class Markets:
    """Prices, rules and gates. Bounded by the symbols the exchange lists and the gates operators set."""

    def __init__(self) -> None:
        self.specs: dict[str, SymbolSpec] = {}
        self._prices: dict[str, _Prices] = {}
        self._gates: dict[tuple[str, str], Gate] = {}

    def tick(self, tick: Tick, now_ms: int) -> Moved:
        """Take a tick; whose targets it may move: a side's, and None where a quote did. Nobody's while it is dead.

        The side that the market leaves comes first: its orders follow at once, while those it comes up to may wait.
        """
        if not usable(tick):
            self._prices.pop(tick.symbol, None)
            return ()
        known = self._prices.get(tick.symbol)
        ts_ms = min(tick.ts_ms, now_ms)  # of another clock, which may be ahead
        if known is not None and known.bid == tick.bid and known.ask == tick.ask:
            again = ts_ms - known.ts_ms > STALE_MS
            known.ts_ms = ts_ms
            return _FALLEN if again else ()
        fresh = self._prices[tick.symbol] = _Prices(tick.bid, tick.ask, ts_ms, tick.sent_us)
        if known is None or ts_ms - known.ts_ms > STALE_MS:
            return _FALLEN
        if known.bid == tick.bid:
            return _ASK if self._stays("BUY", known, fresh) else _RISEN
        if known.ask == tick.ask:
            return _BID if self._stays("SELL", known, fresh) else _FALLEN
        return _RISEN if tick.bid > known.bid else _FALLEN

    @staticmethod
    def _stays(side: Side, known: _Prices, fresh: _Prices) -> bool:
        """Whether orders of the side whose quote stayed are wanted where they were."""
        if known.open is None or not known.open.targets:
            return True
        return keeps_targets(side, known.open, fresh.market(known.open.spec))

    def stepped(self, by_ms: int) -> None:
        """The clock was set by so much. No price becomes younger by that; after a suspension all are old."""
        for prices in self._prices.values():
            prices.ts_ms += min(by_ms, 0)

    def quote(self, symbol: str) -> tuple[float | None, float | None]:
        """Best bid and ask for readers."""
        prices = self._prices.get(symbol)
        return (None, None) if prices is None else (prices.bid, prices.ask)

    def ungated(self, symbol: str, now_ms: int) -> Market | None:
        """The market of a symbol as if all gates were open; None without a live price or the symbol's rules."""
        prices, spec = self._prices.get(symbol), self.specs.get(symbol)
        if prices is None or spec is None or now_ms - prices.ts_ms > STALE_MS:
            return None
        return prices.market(spec)

    def market(self, symbol: str, account_id: str, now_ms: int) -> Market | None:
        """The market of a symbol for an account."""
        market = self.ungated(symbol, now_ms)
        gate = self.gate(account_id, symbol) if self._gates else "active"
        return market if market is None or gate == "active" else replace(market, gate=gate)

    def set_gate(self, account_id: str, symbol: str, gate: Gate) -> None:
        """Set the gate of an account and symbol; an empty string means all of them."""
        if gate == "active":
            self._gates.pop((account_id, symbol), None)
        else:
            self._gates[account_id, symbol] = gate

    def gate(self, account_id: str, symbol: str) -> Gate:
        """The strictest gate that holds for an account and symbol."""
        scopes = (("", ""), (account_id, ""), ("", symbol), (account_id, symbol))
        return max((self._gates.get(scope, "active") for scope in scopes), key=_STRICTNESS.__getitem__)
