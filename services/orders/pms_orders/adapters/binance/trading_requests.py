"""Trading requests byte for byte: for the WebSocket API, for REST, and several in one REST request.

Owns their text. Never sends. Used by the trading socket and the trading REST client.

The WebSocket API signs all parameters but the signature, sorted by name, joined as `k=v` with `&`; REST signs the
encoded query string as it is sent. The text that is signed and the JSON that is sent are written side by side: numbers
are numbers in the JSON.
"""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from pms_common.decimals import plain
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.transport import Sent
from pms_orders.domain.order import Flight, Operation, OrderState
from pms_orders.domain.resolution import RECV_WINDOW_MS

METHODS = {Operation.PLACE: "order.place", Operation.AMEND: "order.modify", Operation.CANCEL: "order.cancel"}
VERBS = {Operation.PLACE: "POST", Operation.AMEND: "PUT", Operation.CANCEL: "DELETE"}


class _Said(NamedTuple):
    """A request's parameters but apiKey, recvWindow, timestamp and signature: as a sorted query and as JSON fields."""

    before: str
    """Query parameters whose names sort before recvWindow."""
    after: str
    fields: str
    last: str = ""
    """What sorts behind timestamp: `type` is all there is."""
    last_field: str = ""


def socket_request(
    signer: Signer,
    request_id: int,
    operation: Operation,
    order: OrderState,
    flight: Flight,
    timestamp: int,
    named: bool,
) -> bytes:
    """A request of the WebSocket API for the order's next step; without a signature where the connection is `named`."""
    said = _say(operation, order, flight)
    window = f'"recvWindow":{RECV_WINDOW_MS},"timestamp":{timestamp}{said.last_field}'
    head = f'{{"id":{request_id},"method":"{METHODS[operation]}","params":{{'
    if named:
        return f"{head}{said.fields},{window}}}}}".encode()
    key = signer.api_key
    signature = signer.sign(
        f"apiKey={key}&{said.before}&recvWindow={RECV_WINDOW_MS}&{said.after}&timestamp={timestamp}{said.last}"
    )
    return f'{head}"apiKey":"{key}",{said.fields},{window},"signature":"{signature}"}}}}'.encode()


def logon_request(signer: Signer, request_id: int, timestamp: int) -> bytes:
    """session.logon: from its answer on, requests of this connection need neither key nor signature."""
    text = f"apiKey={signer.api_key}&recvWindow={RECV_WINDOW_MS}&timestamp={timestamp}"
    return (
        f'{{"id":{request_id},"method":"session.logon","params":{{"apiKey":"{signer.api_key}",'
        f'"recvWindow":{RECV_WINDOW_MS},"timestamp":{timestamp},"signature":"{signer.sign(text)}"}}}}'
    ).encode()


def rest_request(signer: Signer, requests: Sequence[Sent], timestamp: int) -> tuple[str, str]:
    """Verb and signed path of one request, or of several of one operation (cancels: of one symbol)."""
    operation = requests[0].operation
    if len(requests) == 1:
        said = _say(operation, requests[0].order, requests[0].flight)
        path, query = "/fapi/v1/order", quote(f"{said.before}&{said.after}{said.last}", safe="=&")
    elif operation is Operation.CANCEL:
        names = ",".join(f'"{sent.order.client_order_id}"' for sent in requests)
        symbol = quote(requests[0].order.place.symbol)
        path, query = "/fapi/v1/batchOrders", f"symbol={symbol}&origClientOrderIdList={quote(f'[{names}]', safe='')}"
    else:
        entries = ",".join([_entry(_say(operation, sent.order, sent.flight)) for sent in requests])
        path, query = "/fapi/v1/batchOrders", f"batchOrders={quote(f'[{entries}]', safe='')}"
    return VERBS[operation], f"{path}?{signer.signed(f'{query}&recvWindow={RECV_WINDOW_MS}&timestamp={timestamp}')}"


def _entry(said: _Said) -> str:
    return f"{{{said.fields}{said.last_field}}}"


def _say(operation: Operation, order: OrderState, flight: Flight) -> _Said:
    if operation is Operation.PLACE:
        return _place(order)
    return _cancel(order) if operation is Operation.CANCEL else _amend(order, flight)


def _place(order: OrderState) -> _Said:
    """What is left out takes the venue's default."""
    place = order.place
    name, symbol, side, leg = place.client_order_id, place.symbol, place.side, place.position_side
    prevention, quantity, kind = place.self_trade_prevention, plain(order.quantity), place.order_type
    till = till_field = price = price_field = reduce = reduce_field = force = force_field = ""
    if place.good_till_ms is not None:
        till, till_field = f"goodTillDate={place.good_till_ms}&", f'"goodTillDate":{place.good_till_ms},'
    if order.price is not None:
        text = plain(order.price)
        price, price_field = f"&price={text}", f',"price":"{text}"'
    if place.reduce_only_on_venue:
        reduce, reduce_field = "reduceOnly=true&", ',"reduceOnly":"true"'
    if kind == "LIMIT":
        lasting = place.time_in_force or "GTC"
        force, force_field = f"&timeInForce={lasting}", f',"timeInForce":"{lasting}"'
    return _Said(
        f"{till}newClientOrderId={name}&newOrderRespType=ACK&positionSide={leg}{price}&quantity={quantity}",
        f"{reduce}selfTradePreventionMode={prevention}&side={side}&symbol={symbol}{force}",
        f'{till_field}"newClientOrderId":"{name}","newOrderRespType":"ACK","positionSide":"{leg}"{price_field},'
        f'"quantity":"{quantity}"{reduce_field},'
        f'"selfTradePreventionMode":"{prevention}","side":"{side}","symbol":"{symbol}"{force_field}',
        f"&type={kind}",
        f',"type":"{kind}"',
    )


def _which(order: OrderState) -> tuple[str, str]:
    if order.exchange_order_id is not None:
        return f"orderId={order.exchange_order_id}", f'"orderId":{order.exchange_order_id}'
    name = order.place.client_order_id
    return f"origClientOrderId={name}", f'"origClientOrderId":"{name}"'


def _cancel(order: OrderState) -> _Said:
    which, which_field = _which(order)
    symbol = order.place.symbol
    return _Said(which, f"symbol={symbol}", f'{which_field},"symbol":"{symbol}"')


def _amend(order: OrderState, flight: Flight) -> _Said:
    if flight.terms is None:
        raise ValueError("an amendment without terms")
    which, which_field = _which(order)
    price, quantity = plain(flight.terms.price), plain(flight.terms.quantity)
    side, symbol = order.place.side, order.place.symbol
    return _Said(
        f"{which}&price={price}&quantity={quantity}",
        f"side={side}&symbol={symbol}",
        f'{which_field},"price":"{price}","quantity":"{quantity}","side":"{side}","symbol":"{symbol}"',
    )
