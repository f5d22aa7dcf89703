"""The functions of the earlier engine that scenarios name: here the command that does the same, or what it was told."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pms_common.contracts.bus.exchange import ForeignOrder
from pms_common.contracts.symbols import native_symbol
from pms_risk.domain.closing import Closing

from .desk import entry, fill, view
from .legacy_scene import Scene, side_of
from .legacy_values import dec
from .world import D


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
    order_side = side_of(side)
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
