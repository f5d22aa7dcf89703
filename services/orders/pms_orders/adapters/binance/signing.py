"""Signed requests: what is said to the venue, byte for byte.

Owns the HMAC-SHA256 signature and the text of trading requests. Signing is the last thing that happens to a request:
the caller gives the timestamp of the moment of sending. Used by the trading socket and the REST client.

The WebSocket API signs all parameters but the signature, sorted by name, joined as `k=v` with `&`; REST signs the query
string as it is sent.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from pms_common.decimals import plain
from pms_orders.domain.order import Flight, Operation, OrderState
from pms_orders.domain.resolution import RECV_WINDOW_MS

METHODS = {Operation.PLACE: "order.place", Operation.AMEND: "order.modify", Operation.CANCEL: "order.cancel"}


class Signer:
    """A key pair. The secret never leaves it, not even in `repr`."""

    __slots__ = ("_secret", "api_key")

    def __init__(self, api_key: str, secret: str) -> None:
        self.api_key = api_key
        self._secret = secret.encode()

    def sign(self, text: str) -> str:
        """The signature of a text, in hex."""
        return hmac.digest(self._secret, text.encode(), "sha256").hex()

    def query(self, parameters: Mapping[str, str | int], timestamp: int) -> str:
        """A signed REST query string."""
        text = urlencode({**parameters, "recvWindow": RECV_WINDOW_MS, "timestamp": timestamp})
        return f"{text}&signature={self.sign(text)}"


def trading_request(
    signer: Signer, request_id: int, operation: Operation, order: OrderState, flight: Flight, timestamp: int
) -> bytes:
    """A request of the WebSocket API for the order's next step, signed.

    The text that is signed and the JSON that is sent are written side by side: numbers are numbers in the JSON.
    """
    if operation is Operation.PLACE:
        text, fields = _place(order)
    elif operation is Operation.CANCEL:
        text, fields = _cancel(order)
    else:
        text, fields = _amend(order, flight)
    key = signer.api_key
    # Parameters are sorted by name; apiKey comes first and, but for `type`, timestamp last.
    placing = operation is Operation.PLACE
    kind, kind_field = (
        (f"&type={order.place.order_type}", f',"type":"{order.place.order_type}"') if placing else ("", "")
    )
    signature = signer.sign(f"apiKey={key}&{text}&timestamp={timestamp}{kind}")
    return (
        f'{{"id":{request_id},"method":"{METHODS[operation]}","params":{{"apiKey":"{key}",{fields},'
        f'"timestamp":{timestamp}{kind_field},"signature":"{signature}"}}}}'
    ).encode()


def _place(order: OrderState) -> tuple[str, str]:
    """What is left out takes the venue's default."""
    place = order.place
    name, symbol, side, leg = place.client_order_id, place.symbol, place.side, place.position_side
    prevention, quantity = place.self_trade_prevention, plain(order.quantity)
    till = till_field = price = price_field = reduce = reduce_field = force = force_field = ""
    if place.good_till_ms is not None:
        till, till_field = f"goodTillDate={place.good_till_ms}&", f'"goodTillDate":{place.good_till_ms},'
    if order.price is not None:
        text = plain(order.price)
        price, price_field = f"&price={text}", f',"price":"{text}"'
    if place.reduce_only_on_venue:
        reduce, reduce_field = "&reduceOnly=true", ',"reduceOnly":"true"'
    if place.order_type == "LIMIT":
        lasting = place.time_in_force or "GTC"
        force, force_field = f"&timeInForce={lasting}", f',"timeInForce":"{lasting}"'
    return (
        f"{till}newClientOrderId={name}&newOrderRespType=ACK&positionSide={leg}{price}&quantity={quantity}"
        f"&recvWindow={RECV_WINDOW_MS}{reduce}&selfTradePreventionMode={prevention}&side={side}&symbol={symbol}{force}",
        f'{till_field}"newClientOrderId":"{name}","newOrderRespType":"ACK","positionSide":"{leg}"{price_field},'
        f'"quantity":"{quantity}","recvWindow":{RECV_WINDOW_MS}{reduce_field},'
        f'"selfTradePreventionMode":"{prevention}","side":"{side}","symbol":"{symbol}"{force_field}',
    )


def _which(order: OrderState) -> tuple[str, str]:
    if order.exchange_order_id is not None:
        return f"orderId={order.exchange_order_id}", f'"orderId":{order.exchange_order_id}'
    name = order.place.client_order_id
    return f"origClientOrderId={name}", f'"origClientOrderId":"{name}"'


def _cancel(order: OrderState) -> tuple[str, str]:
    which, which_field = _which(order)
    symbol = order.place.symbol
    return (
        f"{which}&recvWindow={RECV_WINDOW_MS}&symbol={symbol}",
        f'{which_field},"recvWindow":{RECV_WINDOW_MS},"symbol":"{symbol}"',
    )


def _amend(order: OrderState, flight: Flight) -> tuple[str, str]:
    if flight.terms is None:
        raise ValueError("an amendment without terms")
    which, which_field = _which(order)
    price, quantity = plain(flight.terms.price), plain(flight.terms.quantity)
    side, symbol = order.place.side, order.place.symbol
    return (
        f"{which}&price={price}&quantity={quantity}&recvWindow={RECV_WINDOW_MS}&side={side}&symbol={symbol}",
        f'{which_field},"price":"{price}","quantity":"{quantity}","recvWindow":{RECV_WINDOW_MS},'
        f'"side":"{side}","symbol":"{symbol}"',
    )
