"""Filters: each rule with the venue's code, at both sides of its edge."""

from typing import Any

import pytest

from pms_simulator.domain.account import Account, FeeRates
from pms_simulator.domain.catalog import built_in
from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.filters import (
    check_counterparty,
    check_notional,
    check_percent_price,
    market_bound,
)
from pms_simulator.domain.intake import read_order
from pms_simulator.domain.orders import BUY, SELL
from pms_simulator.domain.positions import ZERO
from pms_simulator.domain.symbols import read_symbol

ENTRIES = {entry["symbol"]: entry for entry in built_in()["symbols"]}
BTC = read_symbol(ENTRIES["BTCUSDT"])
LIMIT = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "60000.00", "quantity": "0.010"}
MARKET = {"side": "BUY", "type": "MARKET", "quantity": "0.010"}
NOW_MS = 1_700_000_000_000


def read(params: dict[str, str], dual_side: bool = False) -> Any:
    account = Account("main", ZERO, FeeRates(), 10)
    account.dual_side = dual_side
    return read_order(params, account, BTC, "generated", NOW_MS)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"side": "HOLD"}, -1117),
        ({"side": ""}, -1102),
        ({"type": "STOP_MARKET"}, -4120),
        ({"type": "TRAILING_STOP_MARKET"}, -4120),
        ({"type": "ICEBERG"}, -1116),
        ({"timeInForce": "EVER"}, -1115),
        ({"timeInForce": ""}, -1102),
        ({"price": "0"}, -4001),
        ({"price": "-1"}, -4001),
        ({"price": "556.70"}, -4013),
        ({"price": "4529764.10"}, -4002),
        ({"price": "60000.05"}, -4014),
        ({"price": "60000.001"}, -1111),
        ({"price": "sixty"}, -1100),
        ({"price": "NaN"}, -1100),
        ({"price": "1e400"}, -1100),
        ({"quantity": "0"}, -4003),
        ({"quantity": "-0.001"}, -4003),
        ({"quantity": "1000.001"}, -4005),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": ""}, -1102),
        ({"newClientOrderId": "a" * 37}, -4015),
        ({"newClientOrderId": "bad id"}, -4015),
        ({"selfTradePreventionMode": "SOMETIMES"}, -5039),
        ({"reduceOnly": "perhaps"}, -1100),
        ({"positionSide": "LONG"}, -4061),
        ({"positionSide": "UP"}, -4060),
        ({"timeInForce": "GTD", "goodTillDate": str(NOW_MS + 600_000)}, -5040),
        ({"priceMatch": "OPPONENT"}, -1106),
    ],
)
def test_limit_order_is_refused(changes: dict[str, str], code: int) -> None:
    with pytest.raises(VenueError) as refusal:
        read({**LIMIT, **changes})
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": "60000.00"}, -1106),
        ({"timeInForce": "GTC"}, -1106),
        ({"quantity": "120.001"}, -4005),
        ({"priceMatch": "QUEUE"}, -5038),
    ],
)
def test_market_order_is_refused(changes: dict[str, str], code: int) -> None:
    with pytest.raises(VenueError) as refusal:
        read({**MARKET, **changes})
    assert refusal.value.code == code


def test_hedge_mode_needs_a_position_side_and_no_reduce_only() -> None:
    for changes, code in (({}, -4061), ({"positionSide": "LONG", "reduceOnly": "true"}, -4062)):
        with pytest.raises(VenueError) as refusal:
            read({**LIMIT, **changes}, dual_side=True)
        assert refusal.value.code == code


def test_order_is_read_in_units() -> None:
    order = read({**LIMIT, "price": "60000.1000", "quantity": "0.01"})
    assert (order.price, order.quantity, order.client_id) == (6_000_010, 10, "generated")
    assert read({**LIMIT, "quantity": "1e-2"}).quantity == 10


def test_notional_and_percent_price_edges() -> None:
    check_notional(BTC, 50 * 10**5)
    with pytest.raises(VenueError, match="no smaller than 50"):
        check_notional(BTC, 50 * 10**5 - 1)
    check_percent_price(BTC, BUY, 6_300_000, 6_000_000)
    check_percent_price(BTC, SELL, 5_700_000, 6_000_000)
    for side, price, code in ((BUY, 6_300_001, -4016), (SELL, 5_699_999, -4024)):
        with pytest.raises(VenueError) as refusal:
            check_percent_price(BTC, side, price, 6_000_000)
        assert refusal.value.code == code
    with pytest.raises(VenueError) as refusal:
        check_counterparty(BTC, BUY, 6_300_001, 6_000_000)
    assert refusal.value.code == -4131
    assert market_bound(BTC, SELL, 6_000_000) == 5_700_000


@pytest.mark.parametrize("symbol", sorted(ENTRIES))
def test_every_built_in_symbol_is_consistent(symbol: str) -> None:
    spec = read_symbol(ENTRIES[symbol])
    assert spec.tick > 0 and spec.lot.step > 0
    assert spec.min_price % spec.tick == spec.max_price % spec.tick or symbol == "BTCUSDT"
