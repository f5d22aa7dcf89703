"""REST and WebSocket-API answers about orders and trades, field by field as the venue answers (2026).

Owns shapes only. POST, PUT and DELETE carry neither avgPrice nor cumQuote (removed 2026-07-15), GET does.
"""

from typing import Any

import msgspec

from pms_simulator.domain.events import average_price
from pms_simulator.domain.orders import BUY, SIDE_NAME, Order, Trade
from pms_simulator.domain.units import to_text

View = dict[str, Any]
_encode = msgspec.json.Encoder().encode


def placed(order: Order, *, acknowledged: bool = False) -> View:
    """An order after POST, PUT or DELETE; ``acknowledged``: as it was on entry (newOrderRespType ACK)."""
    spec = order.spec
    executed = spec.qty_text(0 if acknowledged else order.executed)
    view = {
        "orderId": order.order_id,
        "symbol": spec.symbol,
        "status": "NEW" if acknowledged else order.status,
        "clientOrderId": order.client_id,
        "price": spec.price_text(order.price),
        "origQty": spec.qty_text(order.quantity),
        "executedQty": executed,
        "cumQty": executed,
        "timeInForce": order.tif,
        "type": order.order_type,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": SIDE_NAME[order.side],
        "positionSide": order.position_side,
        "stopPrice": spec.price_text(0),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.order_type,
        "priceMatch": order.price_match,
        "selfTradePreventionMode": order.stp,
        "goodTillDate": order.good_till_ms,
        "updateTime": order.update_ms,
    }
    if order.modify_id is not None:
        view["modifyId"] = order.modify_id
    return view


def queried(order: Order) -> View:
    """An order as GET tells it."""
    spec = order.spec
    view = placed(order)
    del view["cumQty"]
    view["avgPrice"] = average_price(order) if order.executed else spec.price_text(0)
    view["cumQuote"] = to_text(order.quote, spec.money_places)
    view["time"] = order.time_ms
    return view


def listed(order: Order) -> msgspec.Raw:
    """The same, made again only where the order has changed."""
    state = (order.update_ms, order.status, order.price, order.quantity, order.executed, order.quote, order.modify_id)
    if order.listed is None or order.listed[0] != state:
        order.listed = state, _encode(queried(order))
    return msgspec.Raw(order.listed[1])


def trade(item: Trade) -> View:
    """A userTrades entry."""
    spec = item.spec
    return {
        "symbol": spec.symbol,
        "pair": spec.pair,
        "id": item.trade_id,
        "orderId": item.order_id,
        "side": SIDE_NAME[item.side],
        "price": spec.price_text(item.price),
        "qty": spec.qty_text(item.quantity),
        "realizedPnl": item.realized,
        "quoteQty": to_text(item.price * item.quantity, spec.money_places),
        "baseQty": "0",
        "commission": item.commission,
        "commissionAsset": item.commission_asset,
        "marginAsset": spec.margin_asset,
        "time": item.time_ms,
        "positionSide": item.position_side,
        "buyer": item.side == BUY,
        "maker": item.maker,
    }
