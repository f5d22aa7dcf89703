"""Funding as the venue publishes it: fundingRate (history) and fundingInfo (intervals)."""

from typing import Any

from pms_simulator.app.request import Request, Route
from pms_simulator.app.routes.orders import page
from pms_simulator.app.venue import Venue
from pms_simulator.domain.intake import optional_integer

INTERVAL_HOURS = 8


def funding_rates(venue: Venue, request: Request) -> Any:
    """Settled rates, oldest first."""
    params = request.params
    symbol = params.get("symbol")
    markets = [venue.engine.market(symbol)] if symbol else list(venue.engine.markets.values())
    start, end = optional_integer(params, "startTime"), optional_integer(params, "endTime")
    found = sorted(
        (
            (item, market.spec)
            for market in markets
            for item in market.fundings
            if (start is None or item.time_ms >= start) and (end is None or item.time_ms <= end)
        ),
        key=lambda pair: pair[0].time_ms,
    )
    limit = page(params, 100, 1000)
    chosen = found[:limit] if start is not None else found[-limit:]
    return [
        {
            "symbol": spec.symbol,
            "fundingRate": f"{item.rate:.8f}",
            "fundingTime": item.time_ms,
            "markPrice": f"{spec.price(item.mark):.8f}",
        }
        for item, spec in chosen
    ]


def funding_info(venue: Venue, request: Request) -> Any:
    """Interval and bounds of every symbol's rate."""
    return [
        {
            "symbol": symbol,
            "adjustedFundingRateCap": "0.02000000",
            "adjustedFundingRateFloor": "-0.02000000",
            "fundingIntervalHours": INTERVAL_HOURS,
            "disclaimer": False,
        }
        for symbol in venue.engine.markets
    ]


REST = (
    Route("GET /fapi/v1/fundingRate", funding_rates, "none", 0, operation="fundingRate"),
    Route("GET /fapi/v1/fundingInfo", funding_info, "none", 0, operation="fundingInfo"),
)
