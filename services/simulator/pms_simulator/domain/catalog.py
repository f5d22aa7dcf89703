"""The built-in exchangeInfo: symbols with filters as the venue had them in late 2026.

Owns the list of symbols and their reference prices. A recorded exchangeInfo can replace it (``PMS_SIM_EXCHANGE_INFO``).
"""

from dataclasses import dataclass
from typing import Any

from pms_simulator.domain.limits import LimitConfig


@dataclass(frozen=True, slots=True)
class Listing:
    """One built-in symbol: precision, filters and the price its synthetic market starts at."""

    base: str
    price_precision: int
    quantity_precision: int
    tick: str
    prices: tuple[str, str]
    step: str
    max_qty: str
    market_max_qty: str
    notional: str
    band: str  # PERCENT_PRICE distance and marketTakeBound
    start: str


LISTINGS = (
    Listing("BTC", 2, 3, "0.10", ("556.80", "4529764"), "0.001", "1000", "120", "50", "0.05", "60000.00"),
    Listing("ETH", 2, 3, "0.01", ("39.86", "306177"), "0.001", "10000", "2000", "20", "0.05", "3000.00"),
    Listing("BNB", 3, 2, "0.010", ("6.600", "100000"), "0.01", "100000", "2000", "5", "0.05", "600.000"),
    Listing("SOL", 4, 2, "0.0100", ("0.4200", "6857"), "0.01", "1000000", "5000", "5", "0.05", "150.0000"),
    Listing("XRP", 4, 1, "0.0001", ("0.0143", "100000"), "0.1", "10000000", "2000000", "5", "0.05", "1.5000"),
    Listing("ADA", 5, 0, "0.00010", ("0.01740", "200"), "1", "20000000", "300000", "5", "0.1", "0.80000"),
    Listing("DOGE", 6, 0, "0.000010", ("0.002440", "30"), "1", "300000000", "30000000", "5", "0.1", "0.200000"),
    Listing("1000PEPE", 7, 0, "0.0000001", ("0.0000001", "200"), "1", "800000000", "100000000", "5", "0.15",
            "0.0100000"),
    Listing("币安人生", 5, 0, "0.00001", ("0.00010", "200"), "1", "10000000", "500000", "5", "0.15", "0.20000"),
)  # fmt: skip


def rate_limits(limits: LimitConfig) -> list[dict[str, Any]]:
    """The ``rateLimits`` section."""
    return [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limits.weight_per_minute},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": limits.orders_per_minute},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": limits.orders_per_ten_seconds},
    ]


def built_in() -> dict[str, Any]:
    """A whole exchangeInfo without server time and rate limits, which the venue fills in."""
    return {
        "timezone": "UTC",
        "serverTime": 0,
        "futuresType": "U_MARGINED",
        "rateLimits": [],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [_entry(listing) for listing in LISTINGS],
    }


def start_prices() -> dict[str, str]:
    """Where each built-in symbol's synthetic market starts."""
    return {f"{listing.base}USDT": listing.start for listing in LISTINGS}


def _entry(listing: Listing) -> dict[str, Any]:
    symbol = f"{listing.base}USDT"
    band = float(listing.band)
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1567965300000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": listing.price_precision,
        "quantityPrecision": listing.quantity_precision,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": listing.band,
        "maxMoveOrderLimit": 10000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": listing.prices[0],
                "maxPrice": listing.prices[1],
                "tickSize": listing.tick,
            },
            _lot("LOT_SIZE", listing.step, listing.max_qty),
            _lot("MARKET_LOT_SIZE", listing.step, listing.market_max_qty),
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": listing.notional},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": f"{1 + band:.4f}",
                "multiplierDown": f"{1 - band:.4f}",
                "multiplierDecimal": "4",
            },
            {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
        ],
        "orderTypes": [
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TAKE_PROFIT",
            "TAKE_PROFIT_MARKET",
            "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY", "DCA", "PSB"],
    }


def _lot(kind: str, step: str, most: str) -> dict[str, str]:
    return {"filterType": kind, "minQty": step, "maxQty": most, "stepSize": step}
