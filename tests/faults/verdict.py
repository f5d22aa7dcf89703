"""What was told and journalled against what is true: each difference, by its kind.

    duplicate   more than one exchange order of one id, an execution told or journalled twice under different keys
    lost        a request without an outcome, an order or execution that is true and was not told or journalled
    phantom     an order, execution or position told or journalled that is not true
    wrong       an outcome that contradicts what is true, time that runs backwards

Pure. While the service is still at work differences are natural; when all is quiet each one is a violation.
"""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from tests.faults.hearing import Heard

from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.orders import OrderView

STATES = {
    "NEW": "active",
    "PARTIALLY_FILLED": "active",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}
NEVER_TAKEN = frozenset({"failed", "rejected", "cancelled"})


class Difference(NamedTuple):
    """One difference; `lasting` where time cannot heal it."""

    kind: str
    text: str
    lasting: bool = False


@dataclass(slots=True)
class Asked:
    """What was asked of the service: by client order id, and by request id."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Each order with `account`, `symbol`, `request`, `answer`, `child`."""
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Each public request with `command` and, for a cancel, `order`."""
    cancelled: set[str] = field(default_factory=set)
    """Orders of which a cancel was asked."""

    @property
    def answered(self) -> list[str]:
        """Requests that are to have a result."""
        return [*self.requests, *(order["request"] for order in self.orders.values() if order["answer"])]


@dataclass(slots=True)
class Truth:
    """What the exchange knows, and what the journal holds."""

    orders: list[dict[str, Any]]
    trades: list[dict[str, Any]]
    positions: dict[tuple[str, str], Decimal]
    placed_again: list[str]
    journal: dict[str, Any]
    journal_fills: list[Any]
    pending: dict[str, Any]
    """The table that the JS application reads, by client order id."""


def differences(asked: Asked, heard: Heard, truth: Truth) -> list[Difference]:
    """All of them."""
    judge = _Judge(asked, heard, truth)
    judge.orders()
    judge.executions()
    judge.histories()
    judge.results()
    judge.positions()
    judge.pending_orders()
    return judge.found


class _Judge:
    def __init__(self, asked: Asked, heard: Heard, truth: Truth) -> None:
        self._asked, self._heard, self._truth = asked, heard, truth
        self.found: list[Difference] = []
        self._ours = {order["clientOrderId"]: order for order in truth.orders if order["clientOrderId"] in asked.orders}

    def _add(self, kind: str, text: str, *, lasting: bool = False) -> None:
        self.found.append(Difference(kind, text, lasting))

    # -- orders

    def orders(self) -> None:
        for name, count in Counter(order["clientOrderId"] for order in self._truth.orders).items():
            if count > 1:
                self._add("duplicate", f"{name}: {count} exchange orders", lasting=True)
        for name in self._truth.placed_again:
            self._add("duplicate", f"{name}: placed again after it had been executed", lasting=True)
        for name in self._asked.orders:
            self._order(name)
        for name in self._heard.orders.keys() - self._asked.orders.keys():
            self._add("phantom", f"{name}: told, but never asked for")
        for name in self._truth.journal.keys() - self._asked.orders.keys():
            self._add("phantom", f"{name}: journalled, but never asked for")

    def _order(self, name: str) -> None:
        told, row, true = self._heard.orders.get(name), self._truth.journal.get(name), self._ours.get(name)
        if told is None:
            self._add("lost", f"{name}: nothing told")
            return
        if row is None:
            self._add("lost", f"{name}: not in the journal")
            return
        view = told.order
        said = (view.state, view.exchange_order_id, view.executed_quantity, view.price, view.quantity)
        kept = tuple(
            row[column] for column in ("status", "exchange_order_id", "executed_quantity", "price", "quantity")
        )
        if true is None:
            self._not_taken(name, said, kept)
            return
        price = None if true["type"] == "MARKET" else Decimal(true["price"])
        executed, quantity = Decimal(true["executedQty"]), Decimal(true["origQty"])
        expected = (STATES[true["status"]], true["orderId"], executed, price, quantity)
        if said != expected:
            self._add("lost", f"{name}: told {_text(said)}, true is {_text(expected)}")
        if kept != expected:
            self._add("lost", f"{name}: journalled {_text(kept)}, true is {_text(expected)}")
        if name in self._asked.cancelled and view.state == "active" and not self._was_told(name, "cancel_failed"):
            self._add("lost", f"{name}: a cancel was asked, and it rests")

    def _not_taken(self, name: str, said: tuple[Any, ...], kept: tuple[Any, ...]) -> None:
        for what, (state, number, executed, *_) in (("told", said), ("journalled", kept)):
            if number is not None or executed or state in ("active", "filled", "expired"):
                self._add("phantom", f"{name}: {what} {state} {number} {executed}, the exchange does not know it")
            elif state not in NEVER_TAKEN:
                self._add("lost", f"{name}: {what} {state}, the exchange does not know it")

    def _was_told(self, name: str, cause: str) -> bool:
        return any(update.cause == cause for update in self._heard.histories[name])

    # -- executions

    def executions(self) -> None:
        true = {
            f"{trade['symbol']}:{trade['orderId']}:{trade['id']}": trade
            for trade in self._truth.trades
            if self._name(trade) is not None
        }
        kept = Counter(
            f"{row['symbol']}:{row['exchange_order_id']}:{row['trade_id']}" for row in self._truth.journal_fills
        )
        rows = {
            f"{row['symbol']}:{row['exchange_order_id']}:{row['trade_id']}": row for row in self._truth.journal_fills
        }
        for key, trade in true.items():
            told = self._heard.fills.get(key)
            if not told:
                self._add("lost", f"{key}: execution not told")
            elif any(not _same(update.fill, trade) for update in told):
                self._add("wrong", f"{key}: told {told[-1].fill}, true is {trade}")
            if key not in kept:
                self._add("lost", f"{key}: execution not journalled")
            elif not _same_row(rows[key], trade):
                self._add("wrong", f"{key}: journalled {dict(rows[key])}, true is {trade}")
            elif kept[key] > 1:
                self._add("duplicate", f"{key}: journalled {kept[key]} times", lasting=True)
        for key, name in self._heard.foreign.items():
            if key in true or name in self._asked.orders:
                self._add("duplicate", f"{key}: told as somebody else's, it is of {name}", lasting=True)
        for key in self._heard.fills.keys() - true.keys():
            self._add("phantom", f"{key}: execution told that the exchange does not know")
        for key in kept.keys() - true.keys():
            self._add("phantom", f"{key}: execution journalled that the exchange does not know")

    def _name(self, trade: dict[str, Any]) -> str | None:
        for name, order in self._ours.items():
            if order["orderId"] == trade["orderId"] and order["symbol"] == trade["symbol"]:
                return name
        return None

    # -- time

    def histories(self) -> None:
        """Executed quantity only grows, and what has ended does not live again but by late truth; across lives, too."""
        for name, updates in self._heard.histories.items():
            for before, after in itertools.pairwise(updates):
                if text := _backwards(before.order, after.order):
                    self._add("wrong", f"{name}: {text}", lasting=True)

    # -- results

    def results(self) -> None:
        for name, order in self._asked.orders.items():
            if order["answer"]:
                self._placed(name, order["request"])
        for request, what in self._asked.requests.items():
            bodies = self._heard.results.get(request)
            if not bodies:
                self._add("lost", f"{request}: {what['command']} has no result")
            elif what["command"] == "cancel":
                self._cancelled(request, what["order"], msgspec.json.decode(bodies[-1]))

    def _placed(self, name: str, request: str) -> None:
        bodies = self._heard.results.get(request)
        if not bodies:
            self._add("lost", f"{request}: no result")
            return
        for body in map(msgspec.json.decode, bodies):
            taken = name in self._ours
            if body["success"] and not taken:
                self._add("phantom", f"{request}: success, but the exchange does not know {name}: {body}")
            elif not body["success"] and taken and body["errorCategory"] != "AMBIGUITY":
                self._add("wrong", f"{request}: the exchange has {name}, the result is {body}")

    def _cancelled(self, request: str, name: str, body: dict[str, Any]) -> None:
        true = self._ours.get(name)
        rests = true is not None and STATES[true["status"]] == "active"
        filled = true is not None and true["status"] == "FILLED"
        if body["success"] and body["state"] in ("cancelled", "expired") and (rests or filled):
            self._add("wrong", f"{request}: cancelled {name}, which is {true['status'] if true else ''}: {body}")

    # -- positions

    def positions(self) -> None:
        told = {key: quantity for key, quantity in self._heard.positions.items() if quantity}
        if told != self._truth.positions:
            self._add("wrong", f"positions told {told}, true are {self._truth.positions}")

    # -- the JS application's table

    def pending_orders(self) -> None:
        """Every limit order that rested, or could have, has its row."""
        for name, true in self._ours.items():
            if true["type"] == "MARKET" or true["timeInForce"] in ("IOC", "FOK"):
                continue
            state = STATES[true["status"]]
            status = "PENDING" if state == "active" else state.upper()
            expected = (status, str(true["orderId"]), float(true["price"]), float(true["origQty"]))
            row = self._truth.pending.get(name)
            kept = row and tuple(row[column] for column in ("status", "exchange_order_id", "price", "quantity"))
            if kept != expected:
                self._add("lost", f"{name}: pending_orders has {kept}, true is {expected}")


def _backwards(before: OrderView, after: OrderView) -> str:
    if after.executed_quantity < before.executed_quantity:
        return f"executed {before.executed_quantity}, then {after.executed_quantity}"
    if before.state in ("filled", "cancelled", "expired") and after.state not in FINAL_STATES:
        return f"{before.state}, then {after.state}"
    return ""


def _same(fill: Any, trade: dict[str, Any]) -> bool:
    said = (fill.price, fill.quantity, fill.commission, fill.realized_pnl, fill.maker)
    return bool(said == _money(trade))


def _same_row(row: Any, trade: dict[str, Any]) -> bool:
    kept = (row["price"], row["quantity"], row["commission"], row["realized_pnl"], row["maker"])
    return bool(kept == _money(trade))


def _money(trade: dict[str, Any]) -> tuple[Any, ...]:
    amounts = (Decimal(trade[name]) for name in ("price", "qty", "commission", "realizedPnl"))
    return (*amounts, trade["maker"])


def _text(state: tuple[Any, ...]) -> str:
    return " ".join(map(str, state))
