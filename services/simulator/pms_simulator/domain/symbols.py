"""What the venue publishes about one symbol, in the units the book works in.

Owns the reading of an exchangeInfo entry. Never checks an order: that is ``filters``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from pms_simulator.domain.units import to_decimal, to_text, to_units


def _places(text: str) -> int:
    exponent = Decimal(text).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


@dataclass(frozen=True, slots=True, eq=False)
class Lot:
    """Bounds of a quantity, in quantity units; a step of 0 is not checked."""

    minimum: int
    maximum: int
    step: int


@dataclass(frozen=True, slots=True, eq=False)
class SymbolSpec:
    """One tradable symbol. Prices are ints of 10**-price_places, quantities of 10**-qty_places."""

    symbol: str
    pair: str
    margin_asset: str
    status: str
    price_places: int
    qty_places: int
    min_price: int
    max_price: int
    tick: int
    lot: Lot
    market_lot: Lot
    max_orders: int
    min_notional: int
    multiplier_up: Decimal
    multiplier_down: Decimal
    market_take_bound: Decimal
    liquidation_fee: Decimal
    max_amendments: int

    @property
    def money_places(self) -> int:
        """Scale of price x quantity."""
        return self.price_places + self.qty_places

    def price_text(self, units: int) -> str:
        """Padded price."""
        return to_text(units, self.price_places)

    def qty_text(self, units: int) -> str:
        """Padded quantity."""
        return to_text(units, self.qty_places)

    def price(self, units: int) -> Decimal:
        """Price as a decimal, in quote currency."""
        return to_decimal(units, self.price_places)

    def qty(self, units: int) -> Decimal:
        """Quantity as a decimal, in base currency."""
        return to_decimal(units, self.qty_places)

    def money(self, units: int) -> Decimal:
        """Price units x quantity units as a decimal, in quote currency."""
        return to_decimal(units, self.price_places + self.qty_places)

    def down_to_tick(self, price: Decimal) -> int:
        """The highest allowed price not above ``price``."""
        return int((price.scaleb(self.price_places) / self.tick).to_integral_value(ROUND_FLOOR)) * self.tick

    def up_to_tick(self, price: Decimal) -> int:
        """The lowest allowed price not below ``price``."""
        return int((price.scaleb(self.price_places) / self.tick).to_integral_value(ROUND_CEILING)) * self.tick


def read_symbol(entry: Mapping[str, Any]) -> SymbolSpec:
    """An exchangeInfo ``symbols[]`` entry as a spec. KeyError names a field that is missing."""
    filters = {item["filterType"]: item for item in entry["filters"]}
    price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
    market_lot, percent = filters["MARKET_LOT_SIZE"], filters["PERCENT_PRICE"]
    price_places = max(int(entry["pricePrecision"]), _places(price["tickSize"]), _places(price["minPrice"]))
    qty_places = max(int(entry["quantityPrecision"]), _places(lot["stepSize"]), _places(market_lot["stepSize"]))
    tick = to_units(price["tickSize"], price_places)

    def read_lot(item: Mapping[str, str]) -> Lot:
        return Lot(*(to_units(item[name], qty_places) for name in ("minQty", "maxQty", "stepSize")))

    return SymbolSpec(
        symbol=entry["symbol"],
        pair=entry.get("pair", entry["symbol"]),
        margin_asset=entry["marginAsset"],
        status=entry["status"],
        price_places=price_places,
        qty_places=qty_places,
        min_price=to_units(price["minPrice"], price_places),
        max_price=to_units(price["maxPrice"], price_places),
        tick=tick or 1,
        lot=read_lot(lot),
        market_lot=read_lot(market_lot),
        max_orders=int(filters["MAX_NUM_ORDERS"]["limit"]),
        min_notional=to_units(filters["MIN_NOTIONAL"]["notional"], price_places + qty_places),
        multiplier_up=Decimal(percent["multiplierUp"]),
        multiplier_down=Decimal(percent["multiplierDown"]),
        market_take_bound=Decimal(entry["marketTakeBound"]),
        liquidation_fee=Decimal(entry.get("liquidationFee", "0")),
        max_amendments=int(entry.get("maxMoveOrderLimit", 10_000)),
    )
