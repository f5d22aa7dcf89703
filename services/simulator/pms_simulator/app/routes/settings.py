"""Account settings: leverage, margin type, position mode, multi-assets mode, order-limit usage."""

from typing import Any

from pms_simulator.app.request import Request, Route
from pms_simulator.app.venue import Venue
from pms_simulator.domain import events
from pms_simulator.domain.catalog import rate_limits
from pms_simulator.domain.errors import illegal, refuse
from pms_simulator.domain.intake import boolean, integer, text

DONE = {"code": 200, "msg": "success"}


def set_leverage(venue: Venue, request: Request) -> Any:
    """POST leverage; refused where the position or the margin does not allow it."""
    account, engine = request.account, venue.engine
    market = engine.market(text(request.params, "symbol"))
    held = engine.holding(account, market)
    wanted = integer(request.params, "leverage")
    before = held.leverage
    held.set_leverage(wanted)
    account.refresh(held)
    refusal = -2027 if held.exposed > held.max_exposure else -2028 if wanted < before and account.free < 0 else 0
    if refusal:
        held.set_leverage(before)
        account.refresh(held)
        raise refuse(refusal)
    if account.watched:
        engine.events.append((account, events.config_update(market.spec.symbol, wanted, request.now_ms)))
    return {"symbol": market.spec.symbol, "leverage": wanted, "maxNotionalValue": str(held.max_notional)}


def set_margin_type(venue: Venue, request: Request) -> Any:
    """POST marginType; kept and shown, see ``positions`` for what it does not do."""
    market = venue.engine.market(text(request.params, "symbol"))
    held = venue.engine.holding(request.account, market)
    wanted = text(request.params, "marginType")
    if wanted not in {"ISOLATED", "CROSSED"}:
        raise illegal("marginType")
    if wanted == held.margin_type:
        raise refuse(-4046)
    if held.orders:
        raise refuse(-4047)
    if held.has_position:
        raise refuse(-4048)
    held.margin_type = wanted
    return DONE


def set_position_mode(venue: Venue, request: Request) -> Any:
    """POST positionSide/dual; only while flat and without open orders."""
    account = request.account
    wanted = boolean(request.params, "dualSidePosition")
    if wanted == account.dual_side:
        raise refuse(-4059)
    if account.open_orders():
        raise refuse(-4067)
    if any(held.has_position for held in account.holdings.values()):
        raise refuse(-4068)
    account.dual_side = wanted
    for held in account.holdings.values():
        held.legs.clear()
    return DONE


def position_mode(venue: Venue, request: Request) -> Any:
    """GET positionSide/dual."""
    return {"dualSidePosition": request.account.dual_side}


def set_multi_assets(venue: Venue, request: Request) -> Any:
    """POST multiAssetsMargin; a flag here, since USDT is the only asset."""
    account = request.account
    wanted = boolean(request.params, "multiAssetsMargin")
    if wanted == account.multi_assets:
        raise refuse(-4171)
    account.multi_assets = wanted
    if account.watched:
        venue.engine.events.append((account, events.multi_assets_update(wanted, request.now_ms)))
    return DONE


def multi_assets(venue: Venue, request: Request) -> Any:
    """GET multiAssetsMargin."""
    return {"multiAssetsMargin": request.account.multi_assets}


def set_fee_burn(venue: Venue, request: Request) -> Any:
    """POST feeBurn: pay commissions in BNB, or no more."""
    request.account.fee_burn = boolean(request.params, "feeBurn")
    return DONE


def fee_burn(venue: Venue, request: Request) -> Any:
    """GET feeBurn."""
    return {"feeBurn": request.account.fee_burn}


def order_limits(venue: Venue, request: Request) -> Any:
    """GET rateLimit/order: the order limits."""
    return [row for row in rate_limits(venue.config.limits) if row["rateLimitType"] == "ORDERS"]


REST = (
    Route("POST /fapi/v1/leverage", set_leverage, operation="leverage"),
    Route("POST /fapi/v1/marginType", set_margin_type, operation="marginType"),
    Route("POST /fapi/v1/positionSide/dual", set_position_mode, operation="positionMode.set"),
    Route("GET /fapi/v1/positionSide/dual", position_mode, weight=30, operation="positionMode"),
    Route("POST /fapi/v1/multiAssetsMargin", set_multi_assets, operation="multiAssets.set"),
    Route("GET /fapi/v1/multiAssetsMargin", multi_assets, weight=30, operation="multiAssets"),
    Route("POST /fapi/v1/feeBurn", set_fee_burn, operation="feeBurn.set"),
    Route("GET /fapi/v1/feeBurn", fee_burn, weight=30, operation="feeBurn"),
    Route("GET /fapi/v1/rateLimit/order", order_limits, operation="rateLimit"),
)
