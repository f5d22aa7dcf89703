"""Market data and the venue's description."""

from typing import Any

from pms_simulator.app.market_streams import level_texts, next_funding_ms
from pms_simulator.app.request import Request, Route
from pms_simulator.app.venue import Venue
from pms_simulator.domain.catalog import rate_limits
from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.intake import integer, text
from pms_simulator.domain.state import Market

DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)


def ping(venue: Venue, request: Request) -> Any:
    """Alive."""
    return {}


def server_time(venue: Venue, request: Request) -> Any:
    """The venue's clock."""
    return {"serverTime": request.now_ms}


def exchange_info(venue: Venue, request: Request) -> Any:
    """Symbols, filters, limits; MAX_NUM_ORDERS and the limits as they are enforced here."""
    info = dict(venue.exchange_info)
    info["serverTime"] = request.now_ms
    info["rateLimits"] = rate_limits(venue.config.limits)
    info["symbols"] = [_as_enforced(venue, entry) for entry in info["symbols"] if _listed(venue, entry)]
    return info


def _listed(venue: Venue, entry: dict[str, Any]) -> bool:
    return entry["symbol"] in venue.engine.markets


def _as_enforced(venue: Venue, entry: dict[str, Any]) -> dict[str, Any]:
    most = venue.config.max_open_orders
    if most is None:
        return entry
    filters = [{**item, "limit": most} if item["filterType"] == "MAX_NUM_ORDERS" else item for item in entry["filters"]]
    return {**entry, "filters": filters}


def depth(venue: Venue, request: Request) -> Any:
    """The book's best levels."""
    market = venue.engine.market(text(request.params, "symbol"))
    limit = integer(request.params, "limit") if request.params.get("limit") else 500
    if limit not in DEPTH_LIMITS:
        raise VenueError(-4021, f"Not supported depth limit {limit}.")
    bids, asks = market.book.depth(limit)
    return {
        "lastUpdateId": market.book.snapshot_id(),
        "E": request.now_ms,
        "T": request.now_ms,
        "bids": level_texts(market, bids),
        "asks": level_texts(market, asks),
    }


def _chosen(venue: Venue, request: Request) -> tuple[bool, list[Market]]:
    symbol = request.params.get("symbol")
    return bool(symbol), [venue.engine.market(symbol)] if symbol else list(venue.engine.markets.values())


def _answer(single: bool, rows: list[dict[str, Any]]) -> Any:
    return rows[0] if single else rows


def book_ticker(venue: Venue, request: Request) -> Any:
    """Best bid and ask."""
    single, markets = _chosen(venue, request)
    rows = []
    for market in markets:
        bid, bid_qty, ask, ask_qty = market.book.quote()
        spec = market.spec
        rows.append(
            {
                "symbol": spec.symbol,
                "bidPrice": spec.price_text(bid),
                "bidQty": spec.qty_text(bid_qty),
                "askPrice": spec.price_text(ask),
                "askQty": spec.qty_text(ask_qty),
                "time": request.now_ms,
                "lastUpdateId": market.book.changed_id,
            }
        )
    return _answer(single, rows)


def price(venue: Venue, request: Request) -> Any:
    """Last traded price; the mark before the first trade."""
    single, markets = _chosen(venue, request)
    rows = [
        {"symbol": m.spec.symbol, "price": m.spec.price_text(m.last or m.mark), "time": request.now_ms} for m in markets
    ]
    return _answer(single, rows)


def premium_index(venue: Venue, request: Request) -> Any:
    """Mark and index price, funding rate."""
    single, markets = _chosen(venue, request)
    rows = []
    for market in markets:
        mark = f"{market.spec.price(market.mark):.8f}"
        rows.append(
            {
                "symbol": market.spec.symbol,
                "pair": market.spec.pair,
                "markPrice": mark,
                "indexPrice": mark,
                "estimatedSettlePrice": mark,
                "lastFundingRate": f"{market.funding_rate:.8f}",
                "interestRate": "0.00010000",
                "nextFundingTime": next_funding_ms(request.now_ms),
                "time": request.now_ms,
            }
        )
    return _answer(single, rows)


def _depth_weight(params: dict[str, str]) -> int:
    limit = int(params["limit"]) if params.get("limit", "").isdigit() else 500
    return next((weight for most, weight in ((50, 2), (100, 5), (500, 10)) if limit <= most), 20)


REST = (
    Route("GET /fapi/v1/ping", ping, "none", operation="ping"),
    Route("GET /fapi/v1/time", server_time, "none", operation="time"),
    Route("GET /fapi/v1/exchangeInfo", exchange_info, "none", operation="exchangeInfo"),
    Route("GET /fapi/v1/depth", depth, "none", _depth_weight, operation="depth"),
    Route("GET /fapi/v1/ticker/bookTicker", book_ticker, "none",
          lambda p: 2 if p.get("symbol") else 5, operation="ticker.book"),
    Route("GET /fapi/v1/ticker/price", price, "none",
          lambda p: 1 if p.get("symbol") else 2, operation="ticker.price"),
    Route("GET /fapi/v2/ticker/price", price, "none",
          lambda p: 1 if p.get("symbol") else 2, operation="ticker.price"),
    Route("GET /fapi/v1/premiumIndex", premium_index, "none",
          lambda p: 1 if p.get("symbol") else 10, operation="premiumIndex"),
)  # fmt: skip
WS = (
    Route("ping", ping, "none", operation="ping"),
    Route("time", server_time, "none", operation="time"),
    Route("depth", depth, "none", _depth_weight, operation="depth"),
    Route("ticker.price", price, "none", lambda p: 1 if p.get("symbol") else 2, operation="ticker.price"),
    Route("ticker.book", book_ticker, "none", lambda p: 2 if p.get("symbol") else 5, operation="ticker.book"),
)
