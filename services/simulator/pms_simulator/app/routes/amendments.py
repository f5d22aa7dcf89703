"""How orders were amended: GET orderAmendment."""

from typing import Any

from pms_simulator.app.request import Request, Route
from pms_simulator.app.routes.orders import page, window
from pms_simulator.app.venue import Venue
from pms_simulator.domain.account import AmendmentRecord
from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.intake import optional_integer, text


def order_amendments(venue: Venue, request: Request) -> Any:
    """Amendments of one order, newest first."""
    params = request.params
    spec = venue.engine.market(text(params, "symbol")).spec
    order_id, client_id = optional_integer(params, "orderId"), params.get("origClientOrderId")
    if order_id is None and not client_id:
        raise VenueError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    start, end = window(params)
    found = [
        record
        for record in reversed(request.account.amendments)
        if record.order.spec is spec
        and (record.order.order_id == order_id if order_id is not None else record.order.client_id == client_id)
        and (start is None or record.time_ms >= start)
        and (end is None or record.time_ms <= end)
    ]
    return [_view(record) for record in found[: page(params, 50, 100)]]


def _view(record: AmendmentRecord) -> dict[str, Any]:
    order, spec = record.order, record.order.spec
    view = {
        "amendmentId": record.number,
        "symbol": spec.symbol,
        "pair": spec.pair,
        "orderId": order.order_id,
        "clientOrderId": order.client_id,
        "time": record.time_ms,
        "amendment": {
            "price": {"before": spec.price_text(record.before[0]), "after": spec.price_text(record.after[0])},
            "origQty": {"before": spec.qty_text(record.before[1]), "after": spec.qty_text(record.after[1])},
            "count": record.count,
        },
        "priceMatch": order.price_match,
    }
    if record.modify_id is not None:
        view["modifyId"] = record.modify_id
    return view


REST = (Route("GET /fapi/v1/orderAmendment", order_amendments, operation="orderAmendment"),)
