"""The recorded scenarios of the earlier engine, played on risk's own handlers and a venue that is moved by hand.

A scenario names a function of that engine; here it is the command that does the same, or the happening that it was
told. What was shipped and is to stay is compared with what was recorded. Where it was a defect, the outcome that
`redesign` wants is held: the books follow the executions, whatever those are, and the wanted decision was taken.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pms_common.contracts.bus.exchange import ForeignOrder
from pms_common.contracts.bus.orders import OrderView
from pms_common.contracts.errors import ErrorCode
from pms_common.contracts.exchange_codes import from_exchange
from pms_common.contracts.symbols import native_symbol
from pms_risk.domain.closing import Closing
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules
from pms_risk.domain.snapshot import liquidation_price

from .desk import Desk, entry, fill, update, view
from .venue import Venue
from .world import ZERO, D, account, spec

Json = dict[str, Any]
STEP = D("1E-8")
"""To which the earlier engine rounded quantities, whatever the symbol's step."""


def dec(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


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
            side=_side(order["side"]),
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


def check_scenario(vector: Json) -> None:
    """One vector."""
    given, expect = vector["input"], vector["expect"]
    play = PLAYS.get(given["call"]["fn"])
    if play is None:
        pytest.skip(f"{given['call']['fn']} has no counterpart here")
    scene = Scene(given)
    defect = vector["verdict"] == "legacy-defect"
    for _ in range(given.get("parallel", 1)):
        play(scene, given["call"]["args"], defect)
    scene.play_exchange()
    quantity, balance = scene.modelled()
    held = scene.owner.holding(scene.symbol, "BOTH").quantity
    assert abs(held - quantity) <= STEP
    assert _close(scene.owner.cash, balance)
    if defect:
        _hold_redesign(scene, vector)
    else:
        _compare(scene, expect)


def _hold_redesign(scene: Scene, vector: Json) -> None:
    """The decisions that the wanted outcome speaks of; that the books follow the executions holds for all."""
    wanted, results = vector["redesign"].lower(), scene.results()
    quantity = scene.owner.holding(scene.symbol, "BOTH").quantity
    if "never place an order" in wanted or "must always be booked" in wanted:
        assert scene.sent == []
        assert scene.deals
    if "exactly one settlement" in wanted:
        assert len(scene.sent) == 1
        assert [result["success"] for result in results].count(True) == 1
        assert results[1]["errorCode"] == "POSITION_CLOSED"
    if "second is rejected" in wanted:
        assert [result.get("errorCode") for result in results[1:]] == ["INSUFFICIENT_MARGIN"]
        assert len(scene.owner.positions) == 1
    if "reject before sending" in wanted:
        assert (scene.sent, results[0]["errorCode"]) == ([], "REDUCE_ONLY_REJECTED")
    if "reduce-only order must never" in wanted:
        assert all(order.reduce_only for order in scene.sent)
        assert abs(quantity) < abs(scene.start[0])
    if "must still trade" in wanted or "block or retry" in wanted:
        assert len(scene.sent) == 1, "only an execution settles"
    if "keep the intent" in wanted:
        assert quantity == scene.start[0]
    if "status closed" in wanted:
        assert "position_closed" in scene.desk.events_told()
    if "each fill" in wanted or "before it is sent" in wanted or "recompute" in wanted or "wait for the feed" in wanted:
        assert quantity != scene.start[0], "what was executed is booked"
    if "client order id only" in wanted:
        assert quantity == scene.start[0]
    if "smaller opposite" in wanted:
        assert [order.quantity for order in scene.sent] == [dec(vector["input"]["call"]["args"][3])]


def _compare(scene: Scene, expect: Json) -> None:
    """What was recorded; opening commissions, which were never debited, are here, and two rows are one position."""
    results = scene.results()
    for result, recorded in zip(results, expect["results"], strict=False):
        if "success" in recorded:
            assert result["success"] is recorded["success"], result
        if recorded.get("codes"):
            assert [error["code"] for error in result["errors"]] == recorded["codes"]
        if "newBalance" in recorded and "newBalance" in result:
            assert _close(dec(result["newBalance"]), dec(recorded["newBalance"]))
    if not any(str(recorded.get("source", "")).startswith("virtual") for recorded in expect["results"]):
        sent = [(order.side.lower(), order.quantity, order.reduce_only) for order in scene.sent]
        recorded_orders = [(o["side"], dec(o["quantity"]), o["reduceOnly"]) for o in expect["orders"]]
        assert [(side, only) for side, _, only in sent] == [(side, only) for side, _, only in recorded_orders]
        assert all(abs(a[1] - b[1]) <= STEP for a, b in zip(sent, recorded_orders, strict=True))
    unpaid = sum((dec(trade["fee"]) for trade in expect["trades"] if trade["action"] in ("OPEN", "ADD")), D(0))
    for name, balance in expect["balances"].items():
        assert _close(scene.desk.state.books.accounts[name].cash, dec(balance) - unpaid)
    assert set(expect["events"]) - {"position_takeover"} <= set(scene.desk.events_told())
    _compare_positions(scene, [position for position in expect["positions"] if position["status"] == "OPEN"])


def _compare_positions(scene: Scene, recorded: Sequence[Json]) -> None:
    held = {
        (owner.id, position.side): (owner, position)
        for owner in scene.desk.state.books.accounts.values()
        for position in owner.open_positions()
    }
    assert held.keys() == {(position["account"], position["side"]) for position in recorded}
    for wanted in recorded:
        owner, position = held[wanted["account"], wanted["side"]]
        for name in ("entryPrice", "quantity", "notional", "leverage", "margin"):
            found = getattr(position, {"entryPrice": "entry_price"}.get(name, name))
            assert abs(float(abs(found)) - wanted[name]) <= max(1e-5, 1e-7 * wanted[name]), name
        if wanted["liquidationPrice"]:
            found = liquidation_price(owner, position, scene.desk.state.brackets)
            assert found is not None and abs(float(found) - wanted["liquidationPrice"]) <= 0.01


# -- the functions of the earlier engine


def close_position(scene: Scene, args: Sequence[Any], _: bool) -> None:
    if len(args) > 1 and args[1] == "LIQUIDATE":
        liquidate(scene, args, _)
        return
    scene.send(scene.desk.closes.close, "close", positionId=args[0])


def partial_close(scene: Scene, args: Sequence[Any], _: bool) -> None:
    scene.send(scene.desk.closes.close, "close", positionId=args[0], fraction=args[1])


def liquidate(scene: Scene, args: Sequence[Any], _: bool) -> None:
    position = scene.owner.position(args[0])
    scene.desk.closings.begin(
        Closing(
            key="liquidation",
            account_id=scene.owner.id,
            symbol=position.symbol,
            leg="BOTH",
            position_id=position.id,
            seed="liquidation",
            origin="LIQUIDATION",
            unsent=abs(position.quantity),
        )
    )


def take_over(scene: Scene, args: Sequence[Any], _: bool) -> None:
    position = scene.owner.position(args[0])
    mark = scene.desk.state.prices.mark(position.symbol)
    assert mark is not None
    scene.deals.append(("SELL" if position.quantity > 0 else "BUY", abs(position.quantity), mark, D(0)))
    scene.send(scene.desk.closes.take_over, "account", action="takeover", positionId=args[0])


def execute_trade(scene: Scene, args: Sequence[Any], defect: bool) -> None:
    owner, symbol, side, quantity, leverage, _, options = args
    order_side = _side(side)
    if options.get("skipExchange"):
        executed(scene, owner, native_symbol(symbol), order_side, dec(quantity), dec(options["fillPrice"]), leverage)
        return
    held = scene.owner.holding(native_symbol(symbol), "BOTH")
    amount = dec(quantity)
    if not defect:
        amount += held.closable(order_side)  # an opposite trade closed everything and opened all that it named
    fields = {"subAccountId": owner, "symbol": symbol, "side": side, "leverage": leverage}
    if options.get("reduceOnly"):
        fields["reduceOnly"] = True
    scene.send(scene.desk.trading.trade, "trade", quantity=str(amount), waitFor="final", **fields)


def executed(
    scene: Scene, owner: str, symbol: str, side: Any, quantity: Decimal, price: Decimal, leverage: Any = 10
) -> None:
    """The feed tells an execution of an order of which nobody here remembers anything."""
    scene.venue.orders["told"] = view(
        client_order_id="told",
        account_id=owner,
        symbol=symbol,
        side=side,
        quantity=quantity,
        price=price,
        leverage=dec(leverage),
        version=0,
    )
    scene.execute("told", price)


def order_update(scene: Scene, args: Sequence[Any], _: bool) -> None:
    (told,) = args
    known = [order for order in scene.given["pendingOrders"] if str(order.get("exchangeOrderId")) == told["orderId"]]
    price = dec(told.get("avgPrice") or told.get("price") or 0)
    if told["status"] in ("FILLED", "CLOSED", "PARTIALLY_FILLED"):
        if known:
            scene.execute(known[0]["id"], price, quantity=dec(told["filledQty"]))
        else:
            executed(scene, scene.owner.id, scene.symbol, "BUY", dec(told["filledQty"]), price)
        return
    if not known:
        pytest.skip("the end of an order that nobody knows")
    if told.get("filledQty"):
        scene.execute(known[0]["id"], price, quantity=dec(told["filledQty"]))
    state = {"EXPIRED": "expired", "REJECTED": "rejected"}.get(told["status"], "cancelled")
    scene.venue.end(known[0]["id"], state)


def chase_fill(scene: Scene, args: Sequence[Any], _: bool) -> None:
    (told,) = args
    number = int(told["exchangeOrderId"])
    known = [order for order in scene.given["pendingOrders"] if str(order.get("exchangeOrderId")) == str(number)]
    quantity, price = dec(told["fillQty"]), dec(told["fillPrice"])
    if known:
        scene.execute(known[0]["id"], price, quantity=quantity)
        return
    foreign(scene, "other", "BUY", quantity, price, number)


def reconcile_position(scene: Scene, args: Sequence[Any], _: bool) -> None:
    """Every position on the symbol ends at one price: what the exchange's settlement does."""
    symbol, price = native_symbol(args[0]), dec(args[1])
    position = scene.owner.holding(symbol, "BOTH").position
    side: Any = "SELL" if position.quantity > 0 else "BUY"
    quantity = abs(position.quantity)
    scene.deals.append((side, quantity, price, D(0)))
    foreign(scene, "settlement", side, quantity, price, 1)


def foreign(scene: Scene, kind: Any, side: Any, quantity: Decimal, price: Decimal, number: int) -> None:
    scene.desk.state.books.house.opened_ms = 0
    execution = fill(quantity=str(quantity))
    execution = msgspec.structs.replace(execution, price=price)
    told = ForeignOrder(
        epoch=1,
        n=1,
        key="foreign",
        kind=kind,
        symbol=scene.symbol,
        exchange_order_id=number,
        side=side,
        fill=execution,
        event_ms=5,
    )
    scene.desk.foreign.on_foreign(told, entry())


PLAYS: dict[str, Callable[[Scene, Sequence[Any], bool], None]] = {
    "closePosition": close_position,
    "partialClose": partial_close,
    "liquidatePosition": liquidate,
    "takeoverPosition": take_over,
    "executeTrade": execute_trade,
    "handleExchangeOrderUpdate": order_update,
    "processChaseOrderFill": chase_fill,
    "reconcilePosition": reconcile_position,
}


def _side(side: str) -> Any:
    return "BUY" if side == "LONG" else "SELL"


def _code(text: str) -> ErrorCode:
    found = re.search(r'"code":\s*(-\d+)', text)
    return from_exchange(int(found.group(1))) if found else ErrorCode.EXCHANGE_REJECTED


def _close(a: Decimal, b: Decimal) -> bool:
    return abs(a - b) <= D("1E-6")


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


def check_isolation(vector: Json) -> None:
    """A close by id touches that position alone."""
    given, expect = vector["input"], vector["expect"]
    scene = scene_of(given["positions"], 1000)
    close_position(scene, [given["close"]], False)
    scene.play_exchange()
    owners = scene.desk.state.books.owners
    assert expect["found"] not in owners
    assert owners[expect["notFound"]].id != expect["owner"]
    assert [order.account_id for order in scene.sent] == [expect["owner"]]


def check_reconcile(vector: Json) -> None:
    """Everything of an account on a symbol ends at one price, and the ledger adds up."""
    given, expect = vector["input"], vector["expect"]
    scene = scene_of(given["positions"], given["balance"])
    reconcile_position(scene, ["BTC/USDT:USDT", given["closePrice"]], False)
    assert not scene.owner.positions
    assert _close(scene.owner.cash, dec(expect["balance"]))
    assert _close(scene.owner.cash - dec(given["balance"]), dec(expect["ledgerSum"]))


def check_close_by_price(vector: Json) -> None:
    """A close that the exchange refuses closes nothing, and no book is closed in its stead."""
    given = vector["input"]
    if not given.get("exchangeError"):
        pytest.skip("a close in the books alone: there is none here")
    scene = scene_of([given["position"]], given["balance"], {"orderError": given["exchangeError"]})
    close_position(scene, ["P0"], False)
    scene.play_exchange()
    assert scene.results()[0]["success"] is False
    assert scene.owner.position("P0") is not None
    assert scene.owner.cash == dec(given["balance"])


def check_fee(vector: Json) -> None:
    """Commissions are debited with every execution, and each has a ledger entry."""
    given = vector["input"]
    scene = scene_of([], given["balance"], {"fill": {"price": 100, "fee": given["fee"]}})
    execute_trade(scene, ["A", "BTC/USDT:USDT", "LONG", 1, 10, "MARKET", {}], True)
    scene.play_exchange()
    assert _close(scene.owner.cash, dec(given["balance"]) - dec(given["fee"]))
    assert scene.owner.activity.result(5) == -dec(given["fee"])
