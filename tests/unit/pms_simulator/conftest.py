"""An engine with two accounts and a still BTCUSDT market at 60000.00 / 60000.10."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pms_simulator.domain import brackets
from pms_simulator.domain.account import Account, FeeRates
from pms_simulator.domain.catalog import built_in
from pms_simulator.domain.engine import Engine
from pms_simulator.domain.events import Event
from pms_simulator.domain.intake import read_order
from pms_simulator.domain.market.moves import Quote
from pms_simulator.domain.orders import Order
from pms_simulator.domain.state import Market
from pms_simulator.domain.symbols import read_symbol

NOW_MS = 1_700_000_000_000


class Desk:
    """Short hands on an engine."""

    def __init__(self) -> None:
        spec = read_symbol(built_in()["symbols"][0])
        self.market = Market(spec, brackets.MAJOR)
        self.accounts = {name: Account(name, Decimal(10_000), FeeRates(), 1_000) for name in ("main", "other")}
        self.main = self.accounts["main"]
        self.engine = Engine({"BTCUSDT": self.market}, self.accounts)
        for account in self.accounts.values():
            account.watched = True
        self.now_ms = NOW_MS
        self._ids = 0
        self.quote()

    def quote(self, bid: str = "60000.00", ask: str = "60000.10", size: str = "5") -> None:
        """Move the background market."""
        places = self.market.spec
        units = [int(Decimal(price).scaleb(places.price_places)) for price in (bid, ask)]
        quantity = int(Decimal(size).scaleb(places.qty_places))
        self.engine.apply(self.market, Quote(units[0], quantity, units[1], quantity), self.now_ms)

    def place(self, side: str, quantity: str, price: str | None = None, account: str = "main", **more: str) -> Order:
        """Place an order; LIMIT GTC where a price is given."""
        self._ids += 1
        params = {"side": side, "type": "MARKET", "quantity": quantity, "newClientOrderId": f"c{self._ids}"}
        if price is not None:
            params.update(type="LIMIT", timeInForce="GTC", price=price)
        owner = self.accounts[account]
        order = read_order({**params, **more}, owner, self.market.spec, "auto", self.now_ms)
        return self.engine.place(owner, order, self.now_ms)

    def events(self, account: str = "main") -> list[Event]:
        """The account's events since last asked."""
        found = [event for owner, event in self.engine.events if owner.name == account]
        self.engine.events.clear()
        return found

    def kinds(self, account: str = "main") -> list[str]:
        """Events in short: type, or execution type and status of an order update."""
        return [
            f"{event['o']['x']}/{event['o']['X']}" if event["e"] == "ORDER_TRADE_UPDATE" else event["e"]
            for event in self.events(account)
        ]

    def position(self, account: str = "main", side: Any = "BOTH") -> Decimal:
        """Signed position."""
        leg = self.accounts[account].holdings["BTCUSDT"].leg(side)
        return self.market.spec.qty(leg.quantity)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def new_desk() -> Callable[[], Desk]:
    return Desk
