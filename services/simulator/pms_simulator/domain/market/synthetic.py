"""A seeded random walk: quotes around a moving middle, depth behind them, and trades at the best price.

Owns the walk of one symbol. The same seed and settings give the same moves. Prices and quantities are drawn as
floats and rounded to tick and step: they are invented, not money.
"""

from random import Random

from pms_simulator.domain.market.moves import Levels, Move, Print
from pms_simulator.domain.orders import BUY, SELL
from pms_simulator.domain.symbols import SymbolSpec

DEPTH_LEVELS = 25
LEVEL_NOTIONAL = 60_000.0  # quote currency at a typical level
TRADE_NOTIONAL = 6_000.0
TRADE_PROBABILITY = 0.6
SPREAD_TICKS = 1


class Walk:
    """One symbol's market. ``drift`` is the expected move a second, as a fraction of the price."""

    def __init__(self, spec: SymbolSpec, start: int, seed: str, volatility: float) -> None:
        self.spec = spec
        self.middle = float(start)
        self.volatility = volatility
        self.drift = 0.0
        self.drift_until_ms: int | None = None
        self._random = Random(seed)
        self._levels: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def step(self, now_ms: int, seconds: float) -> list[Move]:
        """The moves of one tick that took ``seconds``."""
        if self.drift_until_ms is not None and now_ms >= self.drift_until_ms:
            self.drift, self.drift_until_ms = 0.0, None
        draw = self._random
        self.middle *= 1.0 + self.drift * seconds + draw.gauss(0.0, self.volatility)
        self.middle = min(max(self.middle, self._least()), float(self.spec.max_price or self.middle))
        moves: list[Move] = [self._ladder()]
        if draw.random() < TRADE_PROBABILITY:
            side = BUY if draw.random() < 0.5 else SELL
            moves.append(Print(side, self._size(TRADE_NOTIONAL, self._random.expovariate(1.0))))
        return moves

    def _least(self) -> float:
        return float(max(self.spec.min_price, self.spec.tick) + self.spec.tick * (DEPTH_LEVELS + 2))

    def _size(self, notional: float, factor: float) -> int:
        lot = self.spec.lot
        step = lot.step or 1
        return max(lot.minimum, int(notional * 10**self.spec.money_places * factor / self.middle) // step * step)

    def _ladder(self) -> Levels:
        """A new ladder around the middle; most sizes stay, so that the diffs look like a market's."""
        tick = self.spec.tick
        bid = int(self.middle / tick) * tick
        ask = bid + SPREAD_TICKS * tick
        changes: list[list[tuple[int, int]]] = []
        for index, (best, away) in enumerate(((bid, -tick), (ask, tick))):
            before = self._levels[index]
            now = {best + away * place: 0 for place in range(DEPTH_LEVELS)}
            for price in now:
                keep = before.get(price)
                stays = keep is not None and self._random.random() < 0.7
                now[price] = keep if stays and keep is not None else self._fresh_size()
            changed = [(price, 0) for price in before if price not in now]
            changes.append(changed + list(now.items()))
            before.clear()
            before.update(now)
        return Levels(bids=changes[0], asks=changes[1])

    def _fresh_size(self) -> int:
        return self._size(LEVEL_NOTIONAL, 0.2 + self._random.expovariate(1.0))

    def recenter(self, middle: int) -> None:
        """Go on from another price."""
        self.middle = float(middle)
