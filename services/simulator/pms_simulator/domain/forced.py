"""Positions that the venue closes by itself: liquidation, ADL, settlement.

Owns the special client ids (``autoclose-``, ``adl_autoclose``, ``settlement_autoclose-``), what happens to the open
orders, and the liquidation fee. The other side is the venue: nothing of the book is taken. Source of the ids and of
``x`` = CALCULATED: the venue's page on order updates.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pms_simulator.domain import events as build
from pms_simulator.domain.account import Account
from pms_simulator.domain.orders import Forced, Order
from pms_simulator.domain.positions import CENT8, ZERO, Holding, Leg

if TYPE_CHECKING:
    from pms_simulator.domain.engine import Engine

CLIENT_ID = {"LIQUIDATION": "autoclose-{}", "ADL": "adl_autoclose_{}", "SETTLEMENT": "settlement_autoclose-{}"}
EXPIRY = {"LIQUIDATION": "5", "SETTLEMENT": "7"}  # why open orders end; ADL leaves them


@dataclass(frozen=True, slots=True)
class Closing:
    """What to close: why, at which price, how much (None: all); ``shown`` replaces ``X`` of the execution."""

    why: Forced
    price: int
    quantity: int | None = None
    shown: str = ""


def close_by_venue(engine: "Engine", account: Account, held: Holding, leg: Leg, closing: Closing, now_ms: int) -> Order:
    """End the open orders the venue ends, then close the leg; the venue's order."""
    market = engine.markets[held.spec.symbol]
    reason = EXPIRY.get(closing.why)
    if reason is not None:
        for order in list(held.orders.values()):
            engine.expire(account, order, now_ms, reason)
    size = abs(leg.quantity)
    order = Order(
        account.name,
        held.spec,
        side=-1 if leg.quantity > 0 else 1,
        order_type="LIQUIDATION" if closing.why == "LIQUIDATION" else "LIMIT",
        quantity=size if closing.quantity is None else min(closing.quantity, size),
        price=closing.price,
        tif="IOC",
        position_side=leg.side,
        reduce_only=leg.side == "BOTH",
        stp="NONE",
        time_ms=now_ms,
    )
    order.order_id = market.next_order_id()
    order.client_id = CLIENT_ID[closing.why].format(f"{now_ms}{order.order_id}")
    order.forced = closing.why
    account.remember(order)
    held.add_order(order)
    engine.note(account, order)
    if account.watched:
        engine.events.append((account, build.order_update(held, order, "NEW", now_ms)))
    _execute(engine, account, held, order, closing, now_ms)
    return order


def liquidate_if_due(engine: "Engine", account: Account, now_ms: int) -> None:
    """Close everything at the mark where the margin balance is down to the maintenance margin.

    What the wallet cannot bear, the insurance fund does.
    """
    legs = [(held, leg) for held in account.holdings.values() for leg in held.legs.values() if leg.quantity]
    maintenance = sum((held.maintenance_margin(leg) for held, leg in legs), ZERO)
    if account.wallet + account.unrealized > maintenance:
        return
    for order in account.open_orders():
        engine.expire(account, order, now_ms, EXPIRY["LIQUIDATION"])
    for held, leg in legs:
        close_by_venue(engine, account, held, leg, Closing("LIQUIDATION", held.mark), now_ms)
    if account.wallet < 0:
        _clear(engine, account, "", -account.wallet, now_ms)


def _clear(engine: "Engine", account: Account, symbol: str, amount: Decimal, now_ms: int) -> None:
    account.cash(symbol, "INSURANCE_CLEAR", amount, now_ms)
    if account.watched:
        engine.events.append((account, build.account_update(account, [], "INSURANCE_CLEAR", now_ms, f"{amount:.8f}")))


def _execute(engine: "Engine", account: Account, held: Holding, order: Order, closing: Closing, now_ms: int) -> None:
    quantity = order.remaining
    held.count(order, -quantity)
    order.fill(closing.price, quantity, now_ms)
    held.drop_order(order)
    trade_id = engine.markets[held.spec.symbol].next_trade_id()
    trade = account.book_trade(held, order, closing.price, quantity, False, trade_id, now_ms)
    account.finish(order)
    fee = held.spec.liquidation_fee * held.spec.money(closing.price * quantity)
    if account.watched:
        execution = "TRADE" if closing.why == "SETTLEMENT" else "CALCULATED"
        update = build.order_update(held, order, execution, now_ms, trade)
        update["o"]["X"] = closing.shown or update["o"]["X"]
        changed = build.account_update(account, [(held, held.leg(order.position_side))], "ORDER", now_ms)
        engine.events.extend([(account, changed), (account, update)])
    if closing.why == "LIQUIDATION" and fee:
        _clear(engine, account, held.spec.symbol, -fee.quantize(CENT8), now_ms)
    engine.after_position_change(account, held, now_ms)
