"""From request parameters to an order: what is mandatory, what excludes what, which values exist.

Owns the reading of order parameters and their -11xx / -40xx refusals. Looks at no book, margin or position.
"""

import re
from collections.abc import Mapping
from typing import Any, cast, get_args

from pms_simulator.domain.account import Account
from pms_simulator.domain.errors import VenueError, illegal, mandatory, refuse
from pms_simulator.domain.filters import check_price, check_quantity
from pms_simulator.domain.orders import BUY, SELL, Order, OrderType, PositionSide, Stp, TimeInForce
from pms_simulator.domain.symbols import SymbolSpec
from pms_simulator.domain.units import TooPrecise, to_units

Params = Mapping[str, str]

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
SIDES = {"BUY": BUY, "SELL": SELL}
ALGO_TYPES = frozenset({"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"})
TIMES_IN_FORCE = frozenset(get_args(TimeInForce))
STP_MODES = frozenset(get_args(Stp))
GTD_LEAST_MS = 600_000
GTD_LATEST_MS = 253_402_300_799_000


def stringify(values: dict[str, Any]) -> dict[str, str]:
    """JSON parameters as the text they would be in a query, changed in place."""
    for name, value in values.items():
        if type(value) is not str:
            values[name] = str(value).lower() if type(value) is bool else str(value)
    return values


def text(params: Params, name: str) -> str:
    """A mandatory parameter; -1102 where it is missing or empty."""
    value = params.get(name)
    if not value:
        raise mandatory(name)
    return value


def integer(params: Params, name: str) -> int:
    """A mandatory integer."""
    try:
        return int(text(params, name))
    except ValueError:
        raise illegal(name) from None


def optional_integer(params: Params, name: str) -> int | None:
    """An integer that may be absent."""
    return integer(params, name) if params.get(name) else None


def boolean(params: Params, name: str) -> bool:
    """A mandatory "true" or "false"."""
    value = text(params, name).lower()
    if value not in {"true", "false"}:
        raise illegal(name)
    return value == "true"


def units(params: Params, name: str, places: int) -> int:
    """A mandatory price or quantity in units of ``places`` decimals; -1111 where it is finer."""
    try:
        return to_units(text(params, name), places)
    except TooPrecise:
        raise refuse(-1111) from None
    except ValueError:
        raise illegal(name) from None


def side_of(params: Params) -> int:
    """BUY or SELL as a sign; -1117."""
    side = SIDES.get(text(params, "side"))
    if side is None:
        raise refuse(-1117)
    return side


def position_side_of(params: Params, account: Account) -> PositionSide:
    """The position side, checked against the account's mode: -4060, -4061."""
    value = params.get("positionSide") or "BOTH"
    if value not in {"BOTH", "LONG", "SHORT"}:
        raise refuse(-4060)
    if account.dual_side == (value == "BOTH"):
        raise refuse(-4061)
    return cast(PositionSide, value)


def read_order(params: Params, account: Account, spec: SymbolSpec, client_id: str, now_ms: int) -> Order:
    """A new order without id, its filters on price and quantity checked. ``client_id`` is used where none is sent."""
    side = side_of(params)
    order_type = text(params, "type")
    if order_type in ALGO_TYPES:
        raise refuse(-4120)
    if order_type not in {"LIMIT", "MARKET"}:
        raise refuse(-1116)
    chosen = params.get("newClientOrderId")
    if chosen is not None and CLIENT_ID.fullmatch(chosen) is None:
        raise refuse(-4015)
    stp = params.get("selfTradePreventionMode") or "EXPIRE_MAKER"
    if stp not in STP_MODES:
        raise refuse(-5039)
    reduce_only = "reduceOnly" in params and boolean(params, "reduceOnly")
    if "reduceOnly" in params and account.dual_side:
        raise refuse(-4062)
    tif, price, price_match, good_till = _limit_terms(params, order_type, spec, now_ms)
    quantity = units(params, "quantity", spec.qty_places)
    check_quantity(spec.lot if order_type == "LIMIT" else spec.market_lot, quantity)
    return Order(
        account.name,
        spec,
        side=side,
        order_type=cast(OrderType, order_type),
        quantity=quantity,
        price=price,
        tif=tif,
        client_id=chosen or client_id,
        position_side=position_side_of(params, account),
        reduce_only=reduce_only,
        stp=cast(Stp, stp),
        price_match=price_match,
        good_till_ms=good_till,
        time_ms=now_ms,
    )


def _limit_terms(params: Params, order_type: str, spec: SymbolSpec, now_ms: int) -> tuple[TimeInForce, int, str, int]:
    """Time in force, price (0 where priceMatch or MARKET decides), price match, good-till time."""
    if order_type == "MARKET":
        for name in ("price", "timeInForce"):
            if params.get(name):
                raise VenueError(-1106, f"Parameter '{name}' sent when not required.")
        if params.get("priceMatch", "NONE") != "NONE":
            raise refuse(-5038)
        return "GTC", 0, "NONE", 0
    tif = text(params, "timeInForce")
    if tif not in TIMES_IN_FORCE:
        raise refuse(-1115)
    price_match = params.get("priceMatch") or "NONE"
    price = 0
    if price_match == "NONE":
        price = units(params, "price", spec.price_places)
        check_price(spec, price)
    elif params.get("price"):
        raise VenueError(-1106, "Parameter 'price' sent when not required.")
    good_till = 0
    if tif == "GTD":
        good_till = integer(params, "goodTillDate") // 1000 * 1000
        if not now_ms + GTD_LEAST_MS < good_till < GTD_LATEST_MS:
            raise refuse(-5040)
    return cast(TimeInForce, tif), price, price_match, good_till
