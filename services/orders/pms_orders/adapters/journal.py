"""The order service's journal: what is written to PostgreSQL, off the hot path.

Owns the statements and the rows: the request as it came, every transition with the order after it, every execution,
every answer of the exchange. History is append-only; `orders` is what the newest transition says. Writing goes through
`GroupCommit`, so it never makes anyone wait; a row of an older version never replaces a newer one, and a fill is stored
once by (symbol, trade id, exchange order id). Reading is `recall`.
"""

from collections.abc import Callable
from typing import Any

from pms_common.clock import now_ms
from pms_common.contracts.bus.orders import Fill, PlaceOrder
from pms_common.contracts.exchange_codes import Outcome
from pms_common.db import GroupCommit, Statement
from pms_orders.adapters.pending_orders import PendingOrders, concerns
from pms_orders.domain.errors import VenueError
from pms_orders.domain.history import transition
from pms_orders.domain.order import Operation, OrderState
from pms_orders.domain.reducer import Announce

_STATE = {
    "status": "text",
    "version": "integer",
    "exchange_order_id": "bigint",
    "price": "numeric",
    "quantity": "numeric",
    "executed_quantity": "numeric",
    "average_price": "numeric",
    "terms_ms": "bigint",
    "sent_ms": "bigint",
    "updated_ms": "bigint",
    "error_code": "text",
    "error": "text",
}
_ORDER = {
    "client_order_id": "text",
    "account_id": "text",
    "symbol": "text",
    "place": "json",
    "created_ms": "bigint",
}
REGISTERED = Statement(
    f"INSERT INTO pms_orders.orders ({', '.join((*_ORDER, *_STATE))}) SELECT * FROM :rows"
    " ON CONFLICT (client_order_id) DO NOTHING",
    {**_ORDER, **_STATE},
)
_TRANSITION = {
    "epoch": "bigint",
    "n": "bigint",
    "client_order_id": "text",
    "cause": "text",
    "key": "text",
    **_STATE,
    "event_ms": "bigint",
    "journalled_ms": "bigint",
    "reason": "text",
}


def _of(row: str) -> str:
    return ", ".join(f"{row}.{name}" for name in _STATE)


HAPPENED = Statement(
    "WITH happened AS MATERIALIZED (SELECT * FROM :rows),"
    f" history AS (INSERT INTO pms_orders.transitions ({', '.join(_TRANSITION)}) SELECT * FROM happened)"
    f" UPDATE pms_orders.orders AS o SET ({', '.join(_STATE)}) = ({_of('r')})"
    " FROM (SELECT DISTINCT ON (client_order_id) * FROM happened ORDER BY client_order_id, n DESC) AS r"
    " WHERE o.client_order_id = r.client_order_id AND o.version <= r.version"
    f" AND ({_of('o')}) IS DISTINCT FROM ({_of('r')})",
    _TRANSITION,
)
FILLED = Statement(
    "INSERT INTO pms_orders.fills (symbol, trade_id, exchange_order_id, client_order_id, account_id, side, price,"
    " quantity, commission, commission_asset, realized_pnl, maker, trade_ms, epoch, journalled_ms)"
    " SELECT * FROM :rows ON CONFLICT (symbol, trade_id, exchange_order_id) DO NOTHING",
    {
        "symbol": "text",
        "trade_id": "bigint",
        "exchange_order_id": "bigint",
        "client_order_id": "text",
        "account_id": "text",
        "side": "text",
        "price": "numeric",
        "quantity": "numeric",
        "commission": "numeric",
        "commission_asset": "text",
        "realized_pnl": "numeric",
        "maker": "boolean",
        "trade_ms": "bigint",
        "epoch": "bigint",
        "journalled_ms": "bigint",
    },
)
ANSWERED = Statement(
    "INSERT INTO pms_orders.answers (epoch, n, client_order_id, operation, sent_ms, exchange_order_id, outcome, status,"
    " code, message, journalled_ms) SELECT * FROM :rows",
    {
        "epoch": "bigint",
        "n": "bigint",
        "client_order_id": "text",
        "operation": "text",
        "sent_ms": "bigint",
        "exchange_order_id": "bigint",
        "outcome": "text",
        "status": "integer",
        "code": "integer",
        "message": "text",
        "journalled_ms": "bigint",
    },
)
GATED = Statement(
    "INSERT INTO pms_orders.gates (account_id, symbol, state) SELECT * FROM :rows"
    " ON CONFLICT (account_id, symbol) DO UPDATE SET state = excluded.state",
    {"account_id": "text", "symbol": "text", "state": "text"},
    latest_by=("account_id", "symbol"),
)
STATEMENTS = (REGISTERED, HAPPENED, FILLED, ANSWERED, GATED)


class Journal:
    """Rows of orders, their history and gates into the group-committed journal. `n` numbers this writer's happenings.

    `clock_ms` is the journal's own time; `pending` the table that JS reads, where there is one.
    """

    def __init__(
        self, commits: GroupCommit, pending: PendingOrders | None = None, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        self._commits = commits
        self._pending = pending
        self._epoch = commits.epoch
        self._clock_ms = clock_ms
        self._n = 0
        self._batch = 0
        self._fresh: dict[str, list[Any]] = {}
        """Rows of orders registered in the journal's open batch: what happens to one meanwhile is written at once with
        it, which costs the database two thirds of an insert and an update after it."""
        self.then, self.flush = commits.then, commits.flush
        self.has_room, self.on_room = commits.has_room, commits.on_room

    @property
    def lag_s(self) -> float:
        """Age of the oldest row that is not committed, in seconds."""
        return self._commits.lag_seconds

    def registered(self, order: OrderState, raw: bytes) -> None:
        """A new order, with the request as it came."""
        place = order.place
        head = (place.client_order_id, place.account_id, place.symbol, raw.decode(), order.created_ms)
        row = [*head, *transition(order)]
        self._begin(self._commits.add(REGISTERED, row))
        self._fresh[place.client_order_id] = row

    def _begin(self, batch: int) -> None:
        if batch != self._batch:
            self._batch, self._fresh = batch, {}

    def happened(self, order: OrderState, announces: list[Announce]) -> None:
        """What happened to an order, with the order after it."""
        for announce in announces:
            if announce.fill is not None:
                self._fill(order, announce.fill)
            self._transition(order, announce.cause, announce.key, announce.event_ms, announce.reason)
            if self._pending is not None and concerns(order, announce.cause):
                self._commits.add(self._pending.statement, self._pending.row(order))

    def cancel_wanted(self, order: OrderState) -> None:
        """The order is to be cancelled; a successor sees to it."""
        key = f"{order.client_order_id}:cancel_wanted"
        self._transition(order, "cancel_wanted", key, self._clock_ms(), order.wanted_cancel)

    def answered(
        self,
        order: OrderState,
        operation: Operation,
        sent_ms: int,
        exchange_order_id: int,
        outcome: Outcome | None,
        error: VenueError | None,
    ) -> None:
        """What the exchange answered to a request: accepted (`outcome` None), or an error and its class."""
        told = (None, None, None) if error is None else (error.status, error.code, error.message)
        self._answer(order, operation, sent_ms, exchange_order_id or None, outcome or "accepted", told)

    def unanswered(self, order: OrderState, operation: Operation, sent_ms: int) -> None:
        """Nobody answered a request."""
        self._answer(order, operation, sent_ms, None, "lost", (None, None, None))

    def gated(self, account_id: str, symbol: str, state: str) -> None:
        """A trading state."""
        self._commits.add(GATED, (account_id, symbol, state))

    def _answer(
        self,
        order: OrderState,
        operation: Operation,
        sent_ms: int,
        exchange_order_id: int | None,
        outcome: str,
        told: tuple[int | None, int | None, str | None],
    ) -> None:
        self._n += 1
        row = (self._epoch, self._n, order.place.client_order_id, operation.value, sent_ms, exchange_order_id)
        self._commits.add(ANSWERED, (*row, str(outcome), *told, self._clock_ms()))

    def _transition(self, order: OrderState, cause: str, key: str, event_ms: int, reason: str | None) -> None:
        self._n += 1
        client_order_id, after = order.place.client_order_id, transition(order)
        head = (self._epoch, self._n, client_order_id, cause, key)
        self._begin(self._commits.add(HAPPENED, (*head, *after, event_ms, self._clock_ms(), reason)))
        if client_order_id in self._fresh:
            self._fresh[client_order_id][len(_ORDER) :] = after

    def _fill(self, order: OrderState, fill: Fill) -> None:
        place: PlaceOrder = order.place
        whose = (place.symbol, fill.trade_id, order.exchange_order_id, place.client_order_id, place.account_id)
        money = (fill.price, fill.quantity, fill.commission, fill.commission_asset, fill.realized_pnl)
        when = (fill.trade_ms, self._epoch, self._clock_ms())
        self._commits.add(FILLED, (*whose, place.side, *money, fill.maker, *when))
