"""Placing, amending, cancelling and querying orders, for REST and the WebSocket API alike."""

from typing import Any

import msgspec

from pms_simulator.app import views
from pms_simulator.app.request import Request, Route
from pms_simulator.app.venue import Venue
from pms_simulator.domain.amendment import Amendment
from pms_simulator.domain.errors import VenueError, illegal, mandatory, refuse
from pms_simulator.domain.intake import (
    boolean,
    integer,
    optional_integer,
    read_order,
    side_of,
    stringify,
    text,
    units,
)
from pms_simulator.domain.orders import Order

MAX_BATCH = 5
MAX_CANCEL_BATCH = 10
WEEK_MS = 7 * 24 * 3_600_000
UNTRADED_KEPT_MS, TRADED_KEPT_MS = 3 * 24 * 3_600_000, 90 * 24 * 3_600_000


def place(venue: Venue, request: Request) -> Any:
    """POST order, order.place."""
    return _place(venue, request, request.params, only_test=False)


def place_test(venue: Venue, request: Request) -> Any:
    """POST order/test: every check, no order."""
    return _place(venue, request, request.params, only_test=True)


def _place(venue: Venue, request: Request, params: dict[str, str], *, only_test: bool) -> Any:
    market = venue.engine.market(text(params, "symbol"))
    account = request.account
    generated = "" if "newClientOrderId" in params else venue.client_id()
    order = read_order(params, account, market.spec, generated, request.now_ms)
    if request.shrink is not None and order.reduce_only:
        step = market.spec.lot.step or 1
        order.resize(max(step, int(order.quantity * request.shrink) // step * step))
    kind = params.get("newOrderRespType") or "ACK"
    if kind not in {"ACK", "RESULT"}:
        raise illegal("newOrderRespType")
    venue.engine.place(account, order, request.now_ms, only_test=only_test)
    return views.placed(order, acknowledged=kind == "ACK")


def find(venue: Venue, request: Request, params: dict[str, str]) -> Order | None:
    """The order named by orderId or origClientOrderId; orderId wins."""
    symbol = venue.engine.market(text(params, "symbol")).spec.symbol
    order_id = optional_integer(params, "orderId")
    if order_id is not None:
        return request.account.by_id(symbol, order_id)
    client_id = params.get("origClientOrderId")
    if not client_id:
        raise VenueError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    return request.account.by_client_id(symbol, client_id)


def cancel(venue: Venue, request: Request) -> Any:
    """DELETE order, order.cancel."""
    return _cancel(venue, request, request.params)


def _cancel(venue: Venue, request: Request, params: dict[str, str]) -> Any:
    order = find(venue, request, params)
    if order is None or not order.is_open:
        raise refuse(-2011)
    return views.placed(venue.engine.cancel(request.account, order, request.now_ms))


def amend(venue: Venue, request: Request) -> Any:
    """PUT order, order.modify."""
    return _amend(venue, request, request.params)


def _amend(venue: Venue, request: Request, params: dict[str, str]) -> Any:
    market = venue.engine.market(text(params, "symbol"))
    spec = market.spec
    side = side_of(params)
    wanted = Amendment(
        price=units(params, "price", spec.price_places),
        quantity=units(params, "quantity", spec.qty_places),
        modify_id=optional_integer(params, "modifyId"),
        reduce_only="reduceOnly" in params and boolean(params, "reduceOnly"),
    )
    order = find(venue, request, params)
    if order is None or not order.is_open or order.side != side:
        raise refuse(-2013)
    if venue.amending and _is_amending(venue, order, params):
        raise refuse(-5043)
    return views.placed(venue.engine.amend(request.account, order, wanted, request.now_ms))


def _is_amending(venue: Venue, order: Order, params: dict[str, str]) -> bool:
    """Whether another amendment of the order came before and waits still. Client ids are unique among open orders."""
    names = {("orderId", str(order.order_id)), ("origClientOrderId", order.client_id)}
    earlier = [pending for pending in venue.amending if pending is not params]
    return any(pending.get("symbol") == order.spec.symbol and names & pending.items() for pending in earlier)


def query(venue: Venue, request: Request) -> Any:
    """GET order, order.status. Ended orders are forgotten, those that traded last."""
    order = find(venue, request, request.params)
    if order is None or _is_forgotten(order, request.now_ms):
        raise refuse(-2013)
    return views.queried(order)


def _is_forgotten(order: Order, now_ms: int) -> bool:
    age_ms = 0 if order.is_open else now_ms - order.update_ms
    return age_ms > (TRADED_KEPT_MS if order.executed else UNTRADED_KEPT_MS)


def query_open(venue: Venue, request: Request) -> Any:
    """GET openOrder."""
    order = find(venue, request, request.params)
    if order is None or not order.is_open:
        raise refuse(-2013)
    return views.queried(order)


def open_orders(venue: Venue, request: Request) -> Any:
    """GET openOrders, of one symbol or all."""
    symbol = request.params.get("symbol")
    if symbol:
        venue.engine.market(symbol)
    return [views.listed(order) for order in request.account.open_orders(symbol or None)]


def cancel_all(venue: Venue, request: Request) -> Any:
    """DELETE allOpenOrders: acknowledged, the events follow."""
    symbol = venue.engine.market(text(request.params, "symbol")).spec.symbol
    for order in request.account.open_orders(symbol):
        venue.engine.cancel(request.account, order, request.now_ms)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def all_orders(venue: Venue, request: Request) -> Any:
    """GET allOrders: from orderId on, or a window of at most seven days."""
    params = request.params
    symbol = params.get("symbol")
    first = optional_integer(params, "orderId")
    start, end = window(params)
    newest = first is None and start is None
    if newest and end is None:
        start = request.now_ms - WEEK_MS
    limit = page(params, 500, 1000)
    found = [
        order
        for order in request.account.orders()
        if (not symbol or order.spec.symbol == symbol)
        and (first is None or order.order_id >= first)
        and (start is None or order.time_ms >= start)
        and (end is None or order.time_ms <= end)
    ]
    chosen = found[-limit:] if newest else found[:limit]
    return [views.queried(order) for order in chosen]


def force_orders(venue: Venue, request: Request) -> Any:
    """GET forceOrders: what the venue closed by itself."""
    params = request.params
    symbol, kind = params.get("symbol"), params.get("autoCloseType")
    if kind not in {None, "", "LIQUIDATION", "ADL"}:
        raise illegal("autoCloseType")
    start, end = window(params)
    found = [
        order
        for order in request.account.orders()
        if order.forced in ({kind} if kind else {"LIQUIDATION", "ADL"})
        and (not symbol or order.spec.symbol == symbol)
        and (start is None or order.time_ms >= start)
        and (end is None or order.time_ms <= end)
    ]
    return [{**views.queried(order), "autoCloseType": order.forced} for order in found[-page(params, 50, 100) :]]


def user_trades(venue: Venue, request: Request) -> Any:
    """GET userTrades: by fromId, by order, or in a window of at most seven days."""
    params = request.params
    symbol = venue.engine.market(text(params, "symbol")).spec.symbol
    first, order_id = optional_integer(params, "fromId"), optional_integer(params, "orderId")
    start, end = window(params)
    if first is not None and (start is not None or end is not None):
        raise VenueError(-4166, "Search window is restricted: fromId cannot be sent with startTime or endTime.")
    newest = first is None and start is None
    if newest and end is None:
        start = request.now_ms - WEEK_MS
    limit = page(params, 500, 1000)
    found = [
        item
        for item in request.account.trades
        if item.spec.symbol == symbol
        and (first is None or item.trade_id >= first)
        and (order_id is None or item.order_id == order_id)
        and (start is None or item.time_ms >= start)
        and (end is None or item.time_ms <= end)
    ]
    chosen = found[-limit:] if newest else found[:limit]
    return [views.trade(item) for item in chosen]


def window(params: dict[str, str]) -> tuple[int | None, int | None]:
    """startTime and endTime; -4165 where they are more than seven days apart."""
    start, end = optional_integer(params, "startTime"), optional_integer(params, "endTime")
    if start is not None and end is None:
        end = start + WEEK_MS
    if start is not None and end is not None and end - start > WEEK_MS:
        raise VenueError(-4165, "Invalid time interval: more than 7 days.")
    return start, end


def page(params: dict[str, str], default: int, most: int) -> int:
    """The ``limit`` parameter."""
    limit = integer(params, "limit") if params.get("limit") else default
    if not 1 <= limit <= most:
        raise illegal("limit")
    return limit


def batch_place(venue: Venue, request: Request) -> Any:
    """POST batchOrders: each entry succeeds or fails on its own."""
    entries = _entries(request.params)
    return [_settle(lambda entry=entry: _place(venue, request, entry, only_test=False)) for entry in entries]


def batch_amend(venue: Venue, request: Request) -> Any:
    """PUT batchOrders."""
    entries = _entries(request.params)
    return [_settle(lambda entry=entry: _amend(venue, request, entry)) for entry in entries]


def batch_cancel(venue: Venue, request: Request) -> Any:
    """DELETE batchOrders by orderIdList or origClientOrderIdList."""
    params = request.params
    symbol = text(params, "symbol")
    for name, target in (("orderIdList", "orderId"), ("origClientOrderIdList", "origClientOrderId")):
        if params.get(name):
            ids = _json(params, name)
            if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_CANCEL_BATCH:
                raise illegal(name)
            entries = [{"symbol": symbol, target: str(value)} for value in ids]
            return [_settle(lambda entry=entry: _cancel(venue, request, entry)) for entry in entries]
    raise mandatory("orderIdList")


def _entries(params: dict[str, str]) -> list[dict[str, str]]:
    entries = _json(params, "batchOrders")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_BATCH:
        raise refuse(-4082)
    if not all(isinstance(entry, dict) for entry in entries):
        raise illegal("batchOrders")
    return [stringify(entry) for entry in entries]


def _json(params: dict[str, str], name: str) -> Any:
    try:
        return msgspec.json.decode(text(params, name))
    except msgspec.DecodeError:
        raise illegal(name) from None


def _settle(run: Any) -> Any:
    try:
        return run()
    except VenueError as error:
        return {"code": error.code, "msg": error.msg}


def _open_orders_weight(params: dict[str, str]) -> int:
    return 1 if params.get("symbol") else 40


REST = (
    Route("POST /fapi/v1/order", place, weight=0, orders=(1, 1), operation="order.place"),
    Route("PUT /fapi/v1/order", amend, weight=0, orders=(1, 1), operation="order.modify"),
    Route("DELETE /fapi/v1/order", cancel, operation="order.cancel"),
    Route("GET /fapi/v1/order", query, operation="order.status"),
    Route("POST /fapi/v1/order/test", place_test, operation="order.test"),
    Route("GET /fapi/v1/openOrder", query_open, operation="openOrder"),
    Route("GET /fapi/v1/openOrders", open_orders, weight=_open_orders_weight, operation="openOrders"),
    Route("DELETE /fapi/v1/allOpenOrders", cancel_all, operation="allOpenOrders"),
    Route("GET /fapi/v1/allOrders", all_orders, weight=5, operation="allOrders"),
    Route("GET /fapi/v1/forceOrders", force_orders, weight=lambda p: 20 if p.get("symbol") else 50,
          operation="forceOrders"),
    Route("GET /fapi/v1/userTrades", user_trades, weight=5, operation="userTrades"),
    Route("POST /fapi/v1/batchOrders", batch_place, weight=5, orders=(5, 1), operation="batch.place"),
    Route("PUT /fapi/v1/batchOrders", batch_amend, weight=5, orders=(5, 1), operation="batch.modify"),
    Route("DELETE /fapi/v1/batchOrders", batch_cancel, operation="batch.cancel"),
)  # fmt: skip
WS = (
    Route("order.place", place, weight=0, orders=(1, 1), operation="order.place"),
    Route("order.modify", amend, weight=0, orders=(1, 1), operation="order.modify"),
    Route("order.cancel", cancel, operation="order.cancel"),
    Route("order.status", query, operation="order.status"),
)
