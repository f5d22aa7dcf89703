"""Trading requests: what is signed is what is sent, over the socket, over REST and in batches."""

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from tests.unit.pms_orders.orders import sent

from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.trading_requests import logon_request, rest_request, socket_request
from pms_orders.adapters.binance.transport import Sent
from pms_orders.domain.order import Flight, Operation, OrderState, Terms

SIGNER = Signer("key", "secret")
AT_MS = 1_700_000_000_123
TERMS = Terms(Decimal("101.5"), Decimal(10))


def signature_of(text: str) -> str:
    return hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()


def by_socket(operation: Operation, order: OrderState, terms: Terms | None = None) -> dict[str, Any]:
    """The request as the venue reads it, its signature checked by the venue's rule."""
    said = socket_request(SIGNER, 5, operation, order, Flight(operation, 1, terms), AT_MS, named=False)
    request = json.loads(said)
    parameters = dict(request["params"])
    signature = parameters.pop("signature")
    assert signature == signature_of("&".join(f"{name}={parameters[name]}" for name in sorted(parameters)))
    assert parameters["recvWindow"] <= 1_000 and parameters["timestamp"] == AT_MS
    assert request["id"] == 5
    return {**parameters, "method": request["method"]}


def by_rest(operation: Operation, *orders: OrderState, terms: Terms | None = None) -> tuple[str, str, dict[str, str]]:
    """Verb, path and parameters as the venue reads them, the signature checked over the query as it was sent."""
    requests = [Sent(operation, order, Flight(operation, 1, terms)) for order in orders]
    verb, target = rest_request(SIGNER, requests, AT_MS)
    path, _, query = target.partition("?")
    text, _, signature = query.rpartition("&signature=")
    assert target.isascii() and " " not in target
    assert signature == signature_of(text)
    pairs = parse_qsl(text, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    said = dict(pairs)
    assert (said.pop("recvWindow"), said.pop("timestamp")) == ("1000", str(AT_MS))
    return verb, path, said


ORDERS: dict[str, tuple[Operation, dict[str, Any], Terms | None]] = {
    "limit": (Operation.PLACE, {"quantity": "0.0010", "price": "7E+1", "time_in_force": "GTX"}, None),
    "till": (Operation.PLACE, {"time_in_force": "GTD", "good_till_ms": 1_800_000_000_000}, None),
    "chinese": (Operation.PLACE, {"symbol": "币安人生USDT"}, None),
    "close": (
        Operation.PLACE,
        {
            "order_type": "MARKET",
            "price": None,
            "time_in_force": None,
            "reduce_only_on_venue": True,
            "self_trade_prevention": "EXPIRE_MAKER",
        },
        None,
    ),
    "amend": (Operation.AMEND, {}, TERMS),
    "cancel": (Operation.CANCEL, {"symbol": "币安人生USDT"}, None),
}


@pytest.mark.parametrize("kind", ORDERS)
def test_rest_says_what_the_socket_says(kind: str) -> None:
    operation, fields, terms = ORDERS[kind]
    verb, path, said = by_rest(operation, sent(**fields), terms=terms)
    other = by_socket(operation, sent(**fields), terms)
    for name in ("method", "apiKey", "recvWindow", "timestamp"):
        del other[name]
    assert said == {name: str(value) for name, value in other.items()}
    assert path == "/fapi/v1/order"
    assert verb == {Operation.PLACE: "POST", Operation.AMEND: "PUT", Operation.CANCEL: "DELETE"}[operation]


def test_a_limit_order() -> None:
    said = by_socket(Operation.PLACE, sent(**ORDERS["limit"][1]))
    assert said["method"] == "order.place"
    assert (said["quantity"], said["price"], said["timeInForce"]) == ("0.001", "70", "GTX")
    assert said["selfTradePreventionMode"] == "EXPIRE_TAKER" and said["positionSide"] == "BOTH"
    assert "reduceOnly" not in said


def test_a_market_close_with_what_only_it_has() -> None:
    said = by_socket(Operation.PLACE, sent(**ORDERS["close"][1]))
    assert said["type"] == "MARKET" and said["reduceOnly"] == "true"
    assert said["selfTradePreventionMode"] == "EXPIRE_MAKER"
    assert not {"price", "timeInForce"} & said.keys()


def test_amend_and_cancel_name_the_order_by_what_is_known() -> None:
    order = sent()
    assert by_socket(Operation.AMEND, order, TERMS)["origClientOrderId"] == "PMS_a_LMT_1"
    order.exchange_order_id = 77
    said = by_socket(Operation.AMEND, order, TERMS)
    assert (said["orderId"], said["price"], said["quantity"], said["side"]) == (77, "101.5", "10", "BUY")
    assert by_socket(Operation.CANCEL, order)["orderId"] == 77


def test_after_a_logon_requests_carry_neither_key_nor_signature() -> None:
    logon = json.loads(logon_request(SIGNER, 1, AT_MS))
    parameters = logon["params"]
    assert logon["method"] == "session.logon"
    assert parameters.pop("signature") == signature_of("&".join(f"{k}={parameters[k]}" for k in sorted(parameters)))
    said = socket_request(SIGNER, 2, Operation.CANCEL, sent(), Flight(Operation.CANCEL, 1), AT_MS, named=True)
    assert json.loads(said)["params"] == {
        "origClientOrderId": "PMS_a_LMT_1",
        "symbol": "BTCUSDT",
        "recvWindow": 1_000,
        "timestamp": AT_MS,
    }


def test_a_batch_of_orders_says_what_the_single_ones_say() -> None:
    orders = [sent("x1"), sent("x2", symbol="币安人生USDT"), sent("x3", **ORDERS["close"][1])]
    verb, path, said = by_rest(Operation.PLACE, *orders)
    assert (verb, path, said.keys()) == ("POST", "/fapi/v1/batchOrders", {"batchOrders"})
    entries = json.loads(said["batchOrders"])
    for order, entry in zip(orders, entries, strict=True):
        assert {name: str(value) for name, value in entry.items()} == by_rest(Operation.PLACE, order)[2]


def test_a_batch_of_amendments_and_one_of_cancels() -> None:
    verb, path, said = by_rest(Operation.AMEND, sent("x1"), sent("x2"), terms=TERMS)
    assert (verb, path) == ("PUT", "/fapi/v1/batchOrders")
    assert [entry["origClientOrderId"] for entry in json.loads(said["batchOrders"])] == ["x1", "x2"]
    verb, path, said = by_rest(Operation.CANCEL, sent("x1"), sent("x2"))
    assert (verb, path, said["symbol"]) == ("DELETE", "/fapi/v1/batchOrders", "BTCUSDT")
    assert json.loads(said["origClientOrderIdList"]) == ["x1", "x2"]
