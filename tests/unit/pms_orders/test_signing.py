"""Signatures and trading requests: what is signed is what is sent."""

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.pms_orders.orders import sent

from pms_orders.adapters.binance.signing import Signer, trading_request
from pms_orders.domain.order import Flight, Operation, OrderState, Terms

SIGNER = Signer("key", "secret")


def signed(operation: Operation, order: OrderState, terms: Terms | None = None) -> dict[str, Any]:
    """The request as the venue reads it, its signature checked by the venue's rule."""
    request = json.loads(trading_request(SIGNER, 5, operation, order, Flight(operation, 1, terms), 1_700_000_000_123))
    parameters = dict(request["params"])
    signature = parameters.pop("signature")
    text = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    assert signature == hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()
    assert list(parameters) == sorted(parameters)
    assert parameters["recvWindow"] <= 1_000 and parameters["timestamp"] == 1_700_000_000_123
    assert request["id"] == 5
    return {**parameters, "method": request["method"]}


def test_a_limit_order() -> None:
    said = signed(Operation.PLACE, sent(quantity="0.0010", price="7E+1", time_in_force="GTX"))
    assert said["method"] == "order.place"
    assert (said["quantity"], said["price"], said["timeInForce"]) == ("0.001", "70", "GTX")
    assert said["selfTradePreventionMode"] == "EXPIRE_TAKER" and said["positionSide"] == "BOTH"
    assert "reduceOnly" not in said


def test_a_market_close_with_what_only_it_has() -> None:
    order = sent(
        order_type="MARKET", price=None, time_in_force=None, reduce_only_on_venue=True,
        self_trade_prevention="EXPIRE_MAKER",
    )  # fmt: skip
    said = signed(Operation.PLACE, order)
    assert said["type"] == "MARKET" and said["reduceOnly"] == "true"
    assert said["selfTradePreventionMode"] == "EXPIRE_MAKER"
    assert not {"price", "timeInForce"} & said.keys()


def test_a_good_till_date() -> None:
    said = signed(Operation.PLACE, sent(time_in_force="GTD", good_till_ms=1_800_000_000_000))
    assert said["goodTillDate"] == 1_800_000_000_000 and said["timeInForce"] == "GTD"


def test_a_symbol_that_is_not_ascii() -> None:
    assert signed(Operation.PLACE, sent(symbol="币安人生USDT"))["symbol"] == "币安人生USDT"


def test_amend_and_cancel_name_the_order_by_what_is_known() -> None:
    order = sent()
    terms = Terms(Decimal("101.5"), Decimal(10))
    assert signed(Operation.AMEND, order, terms)["origClientOrderId"] == "PMS_a_LMT_1"
    order.exchange_order_id = 77
    said = signed(Operation.AMEND, order, terms)
    assert (said["orderId"], said["price"], said["quantity"], said["side"]) == (77, "101.5", "10", "BUY")
    assert signed(Operation.CANCEL, order)["orderId"] == 77


def test_a_secret_is_never_shown() -> None:
    assert "secret" not in repr(SIGNER) and "secret" not in str(vars(type(SIGNER)).keys() - {"_secret"})


def test_recorded_requests_have_the_recorded_signature(signing_vector: dict[str, Any]) -> None:
    if "sign_input" not in signing_vector:
        pytest.skip("not a vector of one signed request")
    signer = Signer("k", signing_vector["secret"])
    assert signer.sign(signing_vector["sign_input"]) == signing_vector["signature"]
