"""Symbols as people and ccxt write them → the exchange's own form, which is the only one inside and on output.

Never asks whether the exchange lists the symbol. Used by the command parser, and back again for the tables shared
with the JS application.
"""

from __future__ import annotations

from functools import lru_cache

MAX_SYMBOL_CHARS = 40  # the longest listed one has 19


class InvalidSymbol(ValueError):
    """Not a symbol in any form that is understood."""


@lru_cache(maxsize=4096)
def native_symbol(text: str) -> str:
    """`BTC/USDT:USDT`, `BTC/USDT`, `btcusdt` → `BTCUSDT`; `BTC/USDT:USDT-260327` → `BTCUSDT_260327`.

    Letters outside ASCII pass as they are: the exchange lists such symbols.
    """
    pair, _, settle = text.partition(":")
    base, slash, quote = pair.partition("/")
    settle_asset, _, delivery = settle.partition("-")
    if slash and not (base and quote):
        raise InvalidSymbol(text)
    if ":" in text and not (slash and settle_asset.upper() == quote.upper()):
        raise InvalidSymbol(text)
    symbol = _upper(base + quote) + (f"_{delivery}" if delivery else "")
    if not 0 < len(symbol) <= MAX_SYMBOL_CHARS or not all(c.isalnum() or c == "_" for c in symbol):
        raise InvalidSymbol(text)
    return symbol


def ccxt_symbol(symbol: str) -> str:
    """`BTCUSDT` → `BTC/USDT:USDT`; `BTCUSDT_260327` → `BTC/USDT:USDT-260327`. Others stay: only USDT margin trades."""
    pair, _, delivery = symbol.partition("_")
    base = pair.removesuffix("USDT")
    if base in ("", pair):
        return symbol
    return f"{base}/USDT:USDT" + (f"-{delivery}" if delivery else "")


def _upper(text: str) -> str:
    return text.upper() if text.isascii() else "".join(c.upper() if c.isascii() else c for c in text)
