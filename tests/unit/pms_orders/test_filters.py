"""What may be sent: position modes, good-till dates, and the grids of every recorded symbol."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW, place, spec

from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.errors import CommandError
from pms_common.decimals import aggressive_price, floor_to, passive_price, plain
from pms_orders.adapters.binance.exchange_info import exchange_info, symbol_spec
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.trading_requests import rest_request, socket_request
from pms_orders.adapters.binance.transport import Sent
from pms_orders.domain.filters import check_order, check_terms
from pms_orders.domain.order import Flight, Operation, register

SYMBOL = "币安人生USDT"
TEN_MINUTES_MS = 600_000


@pytest.mark.parametrize(
    ("fields", "hedge_mode", "field"),
    [
        ({"position_side": "LONG"}, False, "positionSide"),
        ({"position_side": "BOTH"}, True, "positionSide"),
        ({"order_type": "LIMIT", "price": None}, False, "price"),
        ({"order_type": "MARKET", "time_in_force": None}, False, "price"),
        ({"time_in_force": "GTD"}, False, "timeInForce"),
        ({"time_in_force": "GTC", "good_till_ms": NOW + TEN_MINUTES_MS + 1}, False, "timeInForce"),
        ({"time_in_force": "GTD", "good_till_ms": NOW + TEN_MINUTES_MS}, False, "goodTillDate"),
        ({"time_in_force": "GTD", "good_till_ms": 253_402_300_799_000}, False, "goodTillDate"),
    ],
)
def test_a_form_that_the_venue_would_refuse_is_refused_naming_the_field(
    fields: dict[str, Any], hedge_mode: bool, field: str
) -> None:
    with pytest.raises(CommandError) as refusal:
        check_order(spec(), place(**fields), hedge_mode, NOW)
    assert refusal.value.code.name == "EXCHANGE_INVALID_ORDER" and refusal.value.field == field


def test_the_forms_that_the_venue_takes_pass() -> None:
    for position_side, hedge_mode in (("BOTH", False), ("LONG", True), ("SHORT", True)):
        for force in ("GTC", "IOC", "FOK", "GTX", "GTD"):
            till = NOW + TEN_MINUTES_MS + 1 if force == "GTD" else None
            order = place(position_side=position_side, time_in_force=force, good_till_ms=till)
            check_order(spec(), order, hedge_mode, NOW)
        market = place(position_side=position_side, order_type="MARKET", price=None, time_in_force=None)
        check_order(spec(), market, hedge_mode, NOW)


def request_of(**fields: Any) -> dict[str, list[str]]:
    order = register(place(**fields), NOW)
    _, path = rest_request(Signer("key", "secret"), [Sent(Operation.PLACE, order, Flight(Operation.PLACE, NOW))], NOW)
    return parse_qs(path.partition("?")[2])


def test_a_leg_is_never_sent_with_a_reduce_only_flag() -> None:
    both = request_of(reduce_only=True, reduce_only_on_venue=True)
    leg = request_of(reduce_only=True, reduce_only_on_venue=True, position_side="LONG")
    assert both["reduceOnly"] == ["true"] and both["positionSide"] == ["BOTH"]
    assert "reduceOnly" not in leg and leg["positionSide"] == ["LONG"]


def test_self_trade_prevention_and_a_good_till_date_are_sent() -> None:
    asked = request_of(self_trade_prevention="EXPIRE_MAKER", time_in_force="GTD", good_till_ms=NOW + 700_000)
    assert asked["selfTradePreventionMode"] == ["EXPIRE_MAKER"]
    assert asked["goodTillDate"] == [str(NOW + 700_000)] and asked["timeInForce"] == ["GTD"]


def test_a_symbol_that_is_not_ascii_is_sent_as_the_venue_spells_it() -> None:
    order = register(place(symbol=SYMBOL), NOW)
    flight = Flight(Operation.PLACE, NOW)
    frame = socket_request(Signer("key", "secret"), 1, Operation.PLACE, order, flight, NOW, named=False)
    assert json.loads(frame)["params"]["symbol"] == SYMBOL
    assert request_of(symbol=SYMBOL)["symbol"] == [SYMBOL]
    _, path = rest_request(Signer("key", "secret"), [Sent(Operation.PLACE, order, flight)], NOW)
    assert path.isascii()


def specs(directory: Path) -> list[SymbolSpec]:
    found: list[SymbolSpec] = []
    for name in ("exchangeInfo-2021-full.capture", "exchangeInfo-mainnet-subset.json"):
        text = (directory / "rest" / name).read_text(encoding="utf-8")
        info, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
        found += [symbol_spec(symbol) for symbol in exchange_info.decode(json.dumps(info).encode()).symbols]
    return [one for one in found if one.status == "TRADING" and one.margin_asset == "USDT"]


def _on_the_grid(one: SymbolSpec, side: str, price: Decimal, quantity: Decimal) -> None:
    order = place(symbol=one.symbol, side=side, reduce_only_on_venue=True)
    for rounded in (passive_price(side, price, one.tick_size), aggressive_price(side, price, one.tick_size)):
        check_terms(one, order, rounded, quantity)
        text = plain(rounded)
        assert Decimal(text) == rounded and "E" not in text
        assert len(text.partition(".")[2]) <= -int(one.tick_size.normalize().as_tuple().exponent)
    passive = passive_price(side, price, one.tick_size)
    assert (passive <= price) if side == "BUY" else (passive >= price)


@pytest.mark.data
def test_the_grid_of_every_recorded_symbol_takes_what_was_rounded_to_it(data_directory: Path) -> None:
    listed = specs(data_directory)
    assert len(listed) > 80
    for one in listed:
        quantity = max(one.min_quantity, floor_to(one.max_quantity / 7, one.step_size))
        for side in ("BUY", "SELL"):
            for part in (Decimal("0.001"), Decimal("0.3337")):
                _on_the_grid(one, side, one.min_price + (one.max_price - one.min_price) * part, quantity)


@given(tick=st.integers(-8, 2), offset=st.integers(0, 50), steps=st.integers(1, 10_000), beside=st.booleans())
def test_the_grid_of_prices_begins_at_the_lowest_price(tick: int, offset: int, steps: int, beside: bool) -> None:
    size = Decimal(1).scaleb(tick)
    lowest = size * (offset + 1) / 4
    one = spec(tick_size=size, min_price=lowest, max_price="0", min_notional="0")
    price = lowest + size * steps + (size / 3 if beside else 0)
    if beside:
        with pytest.raises(CommandError, match="FILTER_PRICE"):
            check_terms(one, place(), price, Decimal(1))
    else:
        check_terms(one, place(), price, Decimal(1))
