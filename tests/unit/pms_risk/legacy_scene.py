"""One recorded scenario of the earlier engine under way, on risk's own handlers and a venue that is moved by hand."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pms_common.contracts.bus.orders import OrderView
from pms_common.contracts.errors import ErrorCode
from pms_common.contracts.exchange_codes import from_exchange
from pms_common.contracts.symbols import native_symbol
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules

from .desk import Desk, update, view
from .legacy_values import Json, dec
from .venue import Venue
from .world import ZERO, D, account, spec

STEP = D("1E-8")
"""To which the earlier engine rounded quantities, whatever the symbol's step."""


@dataclass
class Scene:
    """A scenario under way: what was held before (`start`), what was executed (`deals`: side, quantity, price, fee)."""

    given: Json
    desk: Desk = field(default_factory=lambda: Desk(0))
    start: tuple[Decimal, Decimal] = (D(0), D(0))
    deals: list[tuple[str, Decimal, Decimal, Decimal]] = field(default_factory=list)
    sent: list[OrderView] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        desk, given = self.desk, self.given
        for symbol, mark in given["marks"].items():
            name = native_symbol(symbol)
            desk.state.specs[name] = spec(
                name,
                step_size=STEP,
                market_step_size=STEP,
                min_quantity=STEP,
                market_min_quantity=STEP,
                market_max_quantity=D(10**9),
                max_quantity=D(10**9),
                min_notional=D(0),
                tick_size=D(0),
                percent_price_up=D(0),
                percent_price_down=D(0),
            )
            desk.price(float(mark), symbol=name)
        self.venue = Venue(desk)
        for number, wanted in enumerate((given["account"], *given["extraAccounts"])):
            made = desk.account if number == 0 else account(desk.state.books, wanted["id"])
            if number == 0:
                del desk.state.books.accounts["a"]
                made.id = wanted["id"]
                desk.state.books.accounts[made.id] = made
            made.cash, made.status = dec(wanted["currentBalance"]), wanted["status"]
            made.maintenance_rate = dec(wanted["maintenanceRate"])
            rules = given["rules"]
            made.set_rules(
                Rules(
                    dec(rules["maxLeverage"]),
                    dec(rules["maxNotionalPerTrade"]),
                    dec(rules["maxTotalExposure"]),
                    dec(rules["liquidationThreshold"]),
                )
            )
        for held in given["positions"]:
            self._hold(held)
        for order in given["pendingOrders"]:
            self._rest(order)

    def _hold(self, held: Json) -> None:
        """Two rows of one account, symbol and side were two positions; here they are one."""
        books = self.desk.state.books
        if held.get("status", "OPEN") != "OPEN":
            books.remember_closed(held["id"])
            return
        owner = books.accounts[held["subAccountId"]]
        quantity = dec(held["quantity"]) * (1 if held["side"] == "LONG" else -1)
        symbol = native_symbol(held["symbol"])
        position = owner.holding(symbol, "BOTH").position or Position(
            held["id"], symbol, "BOTH", dec(held["leverage"]), 1
        )
        position.add(quantity, dec(held["entryPrice"]), dec(held["leverage"]))
        books.take_position(owner, position)
        if owner.id == self.given["account"]["id"]:
            self.start = (position.quantity, position.cost)

    def _rest(self, order: Json) -> None:
        resting = view(
            client_order_id=order["id"],
            account_id=order["subAccountId"],
            symbol=native_symbol(order["symbol"]),
            side=side_of(order["side"]),
            quantity=dec(order["quantity"]),
            price=dec(order["price"]),
            leverage=dec(order["leverage"]),
            exchange_order_id=int(order["exchangeOrderId"]) if order.get("exchangeOrderId") else 1,
        )
        self.venue.orders[order["id"]] = resting
        self.desk.hear(update("active", resting, len(self.venue.orders)))
        self.venue._n = len(self.venue.orders)

    @property
    def owner(self) -> Any:
        return self.desk.state.books.accounts[self.given["account"]["id"]]

    @property
    def symbol(self) -> str:
        return native_symbol(next(iter(self.given["marks"])))

    # -- what happens

    def send(self, decide: Callable[..., Any], type_: str, **fields: Any) -> None:
        self.requests.append(f"r{len(self.requests)}")
        self.desk.send(decide, type_, requestId=self.requests[-1], **fields)

    def play_exchange(self) -> None:
        """The exchange answers every order that was sent, as the scenario says."""
        exchange = self.given["exchange"]
        while names := self.venue.take():
            self.sent += [self.venue.orders[name] for name in names]
            for name in names:
                if "orderError" in exchange:
                    self.venue.end(name, "rejected", _code(exchange["orderError"]).name)
                    continue
                told = exchange.get("fill") or {}
                mark = next(iter(self.given["marks"].values()))
                self.execute(name, dec(told.get("price") or mark), dec(told.get("fee") or 0))
        self.desk.commit()

    def execute(self, name: str, price: Decimal, fee: Decimal = ZERO, quantity: Decimal | None = None) -> None:
        order = self.venue.orders[name]
        quantity = quantity if quantity is not None else order.quantity - order.executed_quantity
        self.deals.append((order.side, quantity, price, fee))
        self.venue.fill(name, quantity, price, fee)

    # -- what came of it

    def results(self) -> list[Json]:
        return [self.desk.result(request) or {} for request in self.requests]

    def modelled(self) -> tuple[Decimal, Decimal]:
        """Position and balance as the executions make them, by the textbook."""
        quantity, cost = self.start
        balance = dec(self.given["account"]["currentBalance"])
        for side, amount, price, fee in self.deals:
            signed = amount if side == "BUY" else -amount
            balance -= fee
            if quantity and (quantity > 0) != (signed > 0):
                closing = min(amount, abs(quantity)) * (1 if signed > 0 else -1)
                part = cost * -closing / quantity
                balance += -closing * price - part
                quantity, cost, signed = quantity + closing, cost - part, signed - closing
            quantity, cost = quantity + signed, cost + signed * price
        return quantity, balance


def side_of(side: str) -> Any:
    return "BUY" if side == "LONG" else "SELL"


def _code(text: str) -> ErrorCode:
    found = re.search(r'"code":\s*(-\d+)', text)
    return from_exchange(int(found.group(1))) if found else ErrorCode.EXCHANGE_REJECTED


def scene_of(positions: Sequence[Json], balance: Any, exchange: Json | None = None) -> Scene:
    """A scenario that names no more than what it is about."""
    owner = {"currentBalance": balance, "maintenanceRate": 0.005, "status": "ACTIVE"}
    owners = list(dict.fromkeys(position.get("account", "A") for position in positions)) or ["A"]
    wide = {"maxLeverage": 125, "maxNotionalPerTrade": 1e9, "maxTotalExposure": 1e9, "liquidationThreshold": 0.9}
    given = {
        "account": owner | {"id": owners[0]},
        "extraAccounts": [owner | {"id": name} for name in owners[1:]],
        "rules": wide,
        "positions": [
            {
                "id": position.get("id", f"P{number}"),
                "subAccountId": position.get("account", "A"),
                "symbol": "BTC/USDT:USDT",
                "side": position.get("side", "LONG"),
                "entryPrice": position.get("entry", 100),
                "quantity": position.get("qty", 1),
                "leverage": position.get("leverage", 10),
            }
            for number, position in enumerate(positions)
        ],
        "pendingOrders": [],
        "marks": {"BTC/USDT:USDT": 100},
        "exchange": exchange or {},
    }
    return Scene(given)
