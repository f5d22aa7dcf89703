"""What the background market can do to a book, in the units of its symbol.

Owns the vocabulary only. Sources (``synthetic``, ``replay``, the control routes) make moves, ``engine`` applies them.
"""

from dataclasses import dataclass

PriceLevels = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask now; background better than these is gone."""

    bid: int
    bid_qty: int
    ask: int
    ask_qty: int


@dataclass(frozen=True, slots=True)
class Levels:
    """Absolute background quantities at some prices; 0 removes. ``replace``: all other background is gone."""

    bids: PriceLevels
    asks: PriceLevels
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Print:
    """A background taker of ``side`` trades ``quantity`` up to ``price`` (None: any).

    ``on_tape``: the trade is known to have happened, what finds no counterpart is printed too.
    """

    side: int
    quantity: int
    price: int | None = None
    on_tape: bool = False


Move = Quote | Levels | Print
