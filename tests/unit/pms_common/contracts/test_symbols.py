"""Spellings of symbols."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms_common.contracts.symbols import InvalidSymbol, ccxt_symbol, native_symbol


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("BTCUSDT", "BTCUSDT"),
        ("btcusdt", "BTCUSDT"),
        ("BTC/USDT", "BTCUSDT"),
        ("BTC/USDT:USDT", "BTCUSDT"),
        ("eth/usdc:usdc", "ETHUSDC"),
        ("1000PEPE/USDT:USDT", "1000PEPEUSDT"),
        ("BTC/USDT:USDT-260327", "BTCUSDT_260327"),
        ("BTCUSDT_260327", "BTCUSDT_260327"),
        ("USDTUSDT/USDT:USDT", "USDTUSDTUSDT"),
        ("币安人生/USDT:USDT", "币安人生USDT"),
    ],
)
def test_every_spelling_becomes_the_exchanges(text: str, native: str) -> None:
    assert native_symbol(text) == native
    assert native_symbol(native) == native


@pytest.mark.parametrize(
    ("native", "ccxt"),
    [
        ("BTCUSDT", "BTC/USDT:USDT"),
        ("BTCUSDT_260327", "BTC/USDT:USDT-260327"),
        ("币安人生USDT", "币安人生/USDT:USDT"),
        ("ETHUSDC", "ETHUSDC"),
        ("USDT", "USDT"),
    ],
)
def test_the_exchanges_symbol_is_written_as_ccxt_does_and_found_again(native: str, ccxt: str) -> None:
    assert ccxt_symbol(native) == ccxt
    assert native_symbol(ccxt) == native


@pytest.mark.parametrize(
    "text", ["", "/", ":", "BTC/", "/USDT", "BTC/USD:BTC", "BTC USDT", "BTC:USDT", "BTC/USDT/X", "{a}:b", "A" * 41]
)
def test_what_is_no_symbol_is_refused(text: str) -> None:
    with pytest.raises(InvalidSymbol):
        native_symbol(text)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_a_native_symbol_is_a_fixed_point_and_safe_in_a_key(text: str) -> None:
    try:
        native = native_symbol(text)
    except InvalidSymbol:
        return
    assert native_symbol(native) == native
    assert not set(native) & set(":{}*? \n\0/")
