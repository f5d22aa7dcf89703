"""Signed requests: what is said to the venue, byte for byte.

Owns the HMAC-SHA256 signature and the text of trading requests. Signing is the last thing that happens to a request:
the caller gives the timestamp of the moment of sending. Used by the trading socket and the REST client.

The WebSocket API signs all parameters but the signature, sorted by name, joined as `k=v` with `&`; REST signs the query
string as it is sent.
"""

import hmac
from urllib.parse import urlencode

from pms_common.contracts.bus.orders import PlaceOrder
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

    def query(self, parameters: dict[str, str | int], timestamp: int) -> str:
        """A signed REST query string."""
        text = urlencode({**parameters, "recvWindow": RECV_WINDOW_MS, "timestamp": timestamp})
        return f"{text}&signature={self.sign(text)}"


def trading_request(
    signer: Signer, request_id: int, operation: Operation, order: OrderState, flight: Flight, timestamp: int
) -> bytes:
    """A request of the WebSocket API for the order's next step, signed."""
    if operation is Operation.PLACE:
        pairs = _place(signer.api_key, order, timestamp)
    elif operation is Operation.CANCEL:
        pairs = _cancel(signer.api_key, order, timestamp)
    else:
        pairs = _amend(signer.api_key, order, flight, timestamp)
    text = "&".join([f"{name}={value}" for name, value in pairs])
    fields = ",".join([f'"{n}":"{v}"' if type(v) is str else f'"{n}":{v}' for n, v in pairs])
    method = METHODS[operation]
    signature = signer.sign(text)
    return f'{{"id":{request_id},"method":"{method}","params":{{{fields},"signature":"{signature}"}}}}'.encode()


Pairs = list[tuple[str, str | int]]


def _place(api_key: str, order: OrderState, timestamp: int) -> Pairs:
    """Parameters in the order of their names; what is left out takes the venue's default."""
    place: PlaceOrder = order.place
    pairs: Pairs = [("apiKey", api_key)]
    if place.good_till_ms is not None:
        pairs.append(("goodTillDate", place.good_till_ms))
    pairs += (("newClientOrderId", place.client_order_id), ("newOrderRespType", "ACK"))
    pairs.append(("positionSide", place.position_side))
    if order.price is not None:
        pairs.append(("price", plain(order.price)))
    pairs += (("quantity", plain(order.quantity)), ("recvWindow", RECV_WINDOW_MS))
    if place.reduce_only_on_venue:
        pairs.append(("reduceOnly", "true"))
    pairs += (
        ("selfTradePreventionMode", place.self_trade_prevention),
        ("side", place.side),
        ("symbol", place.symbol),
    )
    if place.order_type == "LIMIT":
        pairs.append(("timeInForce", place.time_in_force or "GTC"))
    pairs += (("timestamp", timestamp), ("type", place.order_type))
    return pairs


def _which(order: OrderState) -> tuple[str, str | int]:
    if order.exchange_order_id is not None:
        return ("orderId", order.exchange_order_id)
    return ("origClientOrderId", order.place.client_order_id)


def _cancel(api_key: str, order: OrderState, timestamp: int) -> Pairs:
    return [
        ("apiKey", api_key),
        _which(order),
        ("recvWindow", RECV_WINDOW_MS),
        ("symbol", order.place.symbol),
        ("timestamp", timestamp),
    ]


def _amend(api_key: str, order: OrderState, flight: Flight, timestamp: int) -> Pairs:
    terms = flight.terms
    if terms is None:
        raise ValueError("an amendment without terms")
    return [
        ("apiKey", api_key),
        _which(order),
        ("price", plain(terms.price)),
        ("quantity", plain(terms.quantity)),
        ("recvWindow", RECV_WINDOW_MS),
        ("side", order.place.side),
        ("symbol", order.place.symbol),
        ("timestamp", timestamp),
    ]
