"""Books from the rows of risk's tables. Reads nothing itself: used by `store`, which does."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from pms_risk.domain.account import Account
from pms_risk.domain.books import Books
from pms_risk.domain.fills import MAX_KEYS
from pms_risk.domain.funding import Funding
from pms_risk.domain.house import HOUSE, POOL
from pms_risk.domain.moves import Move
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules

Table = Sequence[Mapping[str, Any]]


class Rows(NamedTuple):
    """Open positions, balances of the house's books, when it was opened; of all that grows the newest, oldest first."""

    accounts: Table
    rules: Table
    positions: Table
    closed: Table
    house: Table
    opened_ms: int | None
    fills: Table
    moves: Table
    flows: Table
    fundings: Table


def restore(books: Books, rows: Rows) -> None:
    """Fill empty books."""
    rules = {row["account_id"]: _rules(row) for row in rows.rules}
    for row in rows.accounts:
        books.accounts[row["id"]] = _account(row, rules.get(row["id"], Rules()))
    for row in rows.positions:
        _take_position(books, row)
    for row in rows.closed:
        books.remember_closed(row["id"])
    books.house.cash.update({(row["book"], row["asset"]): row["cash"] for row in rows.house})
    books.house.opened_ms = rows.opened_ms
    _remember_fills(books, rows)
    for row in rows.flows:
        books.flows.remember(f"{row['kind']}:{row['flow_id']}:{row['asset']}:{row['symbol']}", row["at_ms"])
    if len(rows.flows) == MAX_KEYS:
        books.flows.complete_from_ms = rows.flows[0]["at_ms"]
    books.fundings.load(Funding(row["symbol"], row["rate"], row["mark"], row["at_ms"]) for row in rows.fundings)


def _remember_fills(books: Books, rows: Rows) -> None:
    for row in rows.fills:
        books.remember((row["symbol"], row["trade_id"], row["exchange_order_id"]), row["trade_ms"])
    if len(rows.fills) == MAX_KEYS:
        books.fills.complete_from_ms = books.moves.complete_from_ms = rows.fills[0]["trade_ms"]
    moves = [move for row in rows.fills for move in _moves_of(row)]
    moves += [_move(row, row["owner"], row["quantity"], row["at_ms"], row["liquidation"]) for row in rows.moves]
    for move in sorted(moves, key=lambda move: move.at_ms):
        books.moves.add(move)


def _account(row: Mapping[str, Any], rules: Rules) -> Account:
    account = Account(row["id"], row["name"], row["created_ms"], row["created_by"])
    account.cash = row["cash"]
    account.status = row["status"]
    account.maintenance_rate = row["maintenance_rate"]
    account.maintenance_mode = row["maintenance_mode"]
    account.liquidation_mode = row["liquidation_mode"]
    account.margin_mode = row["margin_mode"]
    account.rules = rules
    return account


def _rules(row: Mapping[str, Any]) -> Rules:
    return Rules(
        max_leverage=row["max_leverage"],
        max_notional_per_trade=row["max_notional_per_trade"],
        max_total_exposure=row["max_total_exposure"],
        liquidation_threshold=row["liquidation_threshold"],
        allowed_symbols=frozenset(filter(None, row["allowed_symbols"].split(","))),
        max_open_orders=row["max_open_orders"],
        max_daily_loss=row["max_daily_loss"],
        max_orders_per_minute=row["max_orders_per_minute"],
    )


def _take_position(books: Books, row: Mapping[str, Any]) -> None:
    position = Position(
        id=row["id"],
        symbol=row["symbol"],
        leg=row["leg"],
        leverage=row["leverage"],
        opened_ms=row["opened_ms"],
        quantity=row["quantity"],
        cost=row["cost"],
        realized=row["realized"],
        isolated=row["isolated"],
    )
    if row["owner"] == HOUSE:
        books.house.positions[position.symbol, position.leg] = position
    else:
        books.take_position(books.accounts[row["owner"]], position)


def _moves_of(row: Mapping[str, Any]) -> Iterator[Move]:
    """What the owner of an execution got of it, and what the house."""
    if row["owner"] == POOL:
        return
    sign = 1 if row["side"] == "BUY" else -1
    signed = sign * row["quantity"]
    beyond = sign * row["excess"]
    if signed != beyond:
        yield _move(row, row["owner"], signed - beyond, row["trade_ms"])
    if beyond:
        yield _move(row, HOUSE, beyond, row["trade_ms"])


def _move(row: Mapping[str, Any], owner: str, quantity: Decimal, at_ms: int, liquidation: bool = False) -> Move:
    return Move(owner, row["symbol"], row["leg"], quantity, row["price"], at_ms, liquidation)
