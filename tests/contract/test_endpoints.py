"""R-23: what we ask of the exchange is what its official SDK knows, so that an endpoint that moves is noticed."""

import re
from pathlib import Path
from typing import get_args

import binance_sdk_derivatives_trading_usds_futures as sdk
import pytest
from binance_common.errors import BadRequestError
from tests.conftest import ROOT
from tests.contract.test_official_sdk import place, rest

from pms_common.contracts.bus.orders import OrderType

__all__ = ["rest"]  # a fixture

CLIENTS = ("services/orders/pms_orders", "services/feed/pms_feed")
REST = re.compile(r"/fapi/v\d/[A-Za-z/]+")
WEBSOCKET = re.compile(r'"(order\.[a-z]+)"')


def texts(folder: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))


@pytest.mark.parametrize(("kind", "least"), [(REST, 15), (WEBSOCKET, 3)], ids=["rest", "websocket"])
def test_r23_every_endpoint_we_ask_is_one_that_the_official_sdk_asks(kind: re.Pattern[str], least: int) -> None:
    asked = {name for folder in CLIENTS for name in kind.findall(texts(ROOT / folder))}
    known = texts(Path(sdk.__file__).parent)
    assert len(asked) >= least
    assert [name for name in sorted(asked) if not re.search(rf"{re.escape(name)}\b", known)] == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["STOP", "STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"])
def test_r23_no_conditional_order_is_ever_sent_where_the_exchange_refuses_them(rest: object, kind: str) -> None:
    with pytest.raises(BadRequestError, match="Algo Order API"):
        place(rest, type=kind)
    assert set(get_args(OrderType)) == {"MARKET", "LIMIT"}
