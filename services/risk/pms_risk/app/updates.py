"""The order service's updates stream: each entry to the handler it is for.

Owns gap detection (a gap and a restart of the order service are healed by asking for a snapshot, with the executions
that may be missing) and which orders a snapshot has not mentioned. Used by the bus.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from pms_common.bus import Entry, GapDetector, Outbox
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import RequestDone, SnapshotBegin, SnapshotEnd, SnapshotRequest
from pms_common.contracts.bus.exchange import Brackets, CashFlows, ForeignOrder, FundingRates
from pms_common.contracts.bus.orders import ExchangeAccount, OrdersReady, OrderUpdate, Reference
from pms_common.contracts.bus.streams import orders_updates
from pms_common.logging import get_logger
from pms_common.marks import Marks
from pms_common.names import Names
from pms_common.topology import ORDERS_COMMANDS
from pms_risk.app.cash_flows import CashBook
from pms_risk.app.exchange import Exchange
from pms_risk.app.foreign_fills import ForeignFills
from pms_risk.app.order_feed import OrderFeed
from pms_risk.app.state import RiskState

log = get_logger(__name__)

ASKER = "risk"
ASK_AGAIN_S = 2.0
"""Between two requests for a snapshot, while nobody answers."""


class OrdersUpdates:
    """Reads what the order service tells."""

    def __init__(
        self,
        state: RiskState,
        outbox: Outbox,
        names: Names,
        marks: Marks,
        feed: OrderFeed,
        exchange: Exchange,
        foreign: ForeignFills,
        cash: CashBook,
    ) -> None:
        self._state = state
        self._outbox = outbox
        self._queries = names.queries("orders")
        self._marks = marks
        self._feed = feed
        self._books: dict[type, Callable[[Any, Entry], None]] = {
            ExchangeAccount: exchange.on_facts,
            ForeignOrder: foreign.on_foreign,
            CashFlows: cash.on_flows,
            FundingRates: cash.on_rates,
        }
        """What changes the books acknowledges its entries when that is committed."""
        self._gaps = GapDetector(self._on_gap)
        self._request = SnapshotRequest(asker=ASKER, token="")
        self._unmentioned: set[tuple[str, str]] | None = None
        self.completed = asyncio.Event()
        """Set when a snapshot that was asked for has ended."""

    def ask_snapshot(self) -> None:
        """Ask for everything; until it has ended `completed` is not set.

        The executions asked for reach back to the oldest request that was not answered: what arrived since then may
        be newer than what is missing.
        """
        self._ask_for(fills_since_ms=self._state.books.unsure_from_ms())

    def doubt(self, symbols: Sequence[str], since_ms: int) -> None:
        """Ask for everything, with all executions on some symbols since then as the exchange has them."""
        self._ask_for(compare=tuple(symbols), compare_since_ms=since_ms)

    def _ask_for(
        self,
        fills_since_ms: int | None = None,
        compare: tuple[str, ...] = (),
        compare_since_ms: int | None = None,
    ) -> None:
        if not self.completed.is_set():
            asked = self._request
            fills_since_ms = _earlier(fills_since_ms, asked.fills_since_ms)
            compare_since_ms = _earlier(compare_since_ms, asked.compare_since_ms)
            compare = tuple({*compare, *asked.compare})
        self.completed.clear()
        token = secrets.token_hex(8)
        self._request = SnapshotRequest(
            asker=ASKER,
            token=token,
            fills_since_ms=fills_since_ms,
            compare=compare,
            compare_since_ms=compare_since_ms,
        )
        self._ask()

    async def hear(self) -> None:
        """Ask for everything until it has been told."""
        self.ask_snapshot()
        await self.answered()

    async def answered(self) -> None:
        """Wait for the snapshot asked for last; ask again, because a question may be lost or too old to be answered.

        The first answer will do.
        """
        while not self.completed.is_set():
            try:
                async with asyncio.timeout(ASK_AGAIN_S):
                    await self.completed.wait()
            except TimeoutError:
                log.warning("order_service_silent")
                self._ask()

    def _ask(self) -> None:
        self._outbox.add(self._queries, encode(self._request))

    def on_entry(self, entry: Entry) -> None:
        """One entry of the stream."""
        update = orders_updates.decode(entry.data)
        if not entry.redelivered and not self._is_new(update.epoch, update.n):
            self._outbox.ack(entry)
            return
        if isinstance(update, OrderUpdate):
            if self._unmentioned is not None and update.fill is None:  # an execution told again is no sign of life
                self._unmentioned.discard((update.order.account_id, update.order.client_order_id))
            self._feed.on_update(update, entry)
            return
        book = self._books.get(type(update))
        if book is not None:
            book(update, entry)
            return
        if isinstance(update, RequestDone):
            if update.command not in ORDERS_COMMANDS:  # a cancel may bear the request id of a trade that has not ended
                self._marks.end(update.account_id, update.request_id, bytes(update.body))
        elif isinstance(update, Reference):
            self._state.learn(update)
        elif isinstance(update, Brackets):
            self._state.learn_brackets(update.symbols)
        elif isinstance(update, OrdersReady):
            self._state.orders_ready, self._state.orders_why = update.ready, update.why
        elif isinstance(update, SnapshotBegin | SnapshotEnd) and update.token == self._request.token:
            self._on_snapshot(update)
        self._outbox.ack(entry)

    def _is_new(self, epoch: int, n: int) -> bool:
        known = self._gaps.epoch
        new = self._gaps.accept(epoch, n)
        if self._gaps.epoch != known and known:  # at the start a snapshot has been asked for
            log.warning("order_service_restarted", epoch=epoch)
            self.ask_snapshot()
        return new

    def _on_gap(self, epoch: int, first: int, last: int) -> None:
        if first == 1:
            return  # the first entry seen of an epoch
        log.warning("updates_gap", epoch=epoch, first=first, last=last)
        self.ask_snapshot()

    def _on_snapshot(self, update: SnapshotBegin | SnapshotEnd) -> None:
        """Live orders that a snapshot does not mention have ended unseen; those not sent yet are not in it."""
        if isinstance(update, SnapshotBegin):
            self._unmentioned = {
                (account.id, order.client_order_id)
                for account in self._state.books.accounts.values()
                for order in account.orders.values()
                if order.view is not None
            }
            return
        for account_id, client_order_id in self._unmentioned or ():
            log.warning("order_ended_unseen", client_order_id=client_order_id)
            account = self._state.books.accounts.get(account_id)
            order = account.orders.get(client_order_id) if account is not None else None
            if order is not None:
                self._feed.end_unseen(order)
        self._unmentioned = None
        self.completed.set()


def _earlier(one_ms: int | None, other_ms: int | None) -> int | None:
    return min((at_ms for at_ms in (one_ms, other_ms) if at_ms is not None), default=None)
