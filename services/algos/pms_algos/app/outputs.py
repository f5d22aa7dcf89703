"""Actions as messages: to risk and orders, to readers, to the one who asked.

Owns the names of children and the keys of events, both derived, so that a repetition is the same. Never decides.
"""

from collections import OrderedDict

import msgspec

from pms_algos.app import views
from pms_algos.app.markets import Markets
from pms_algos.domain.actions import Amend, Ask, CancelChild
from pms_algos.domain.chase_state import Chase
from pms_common.answers import Answers
from pms_common.bus import Outbox, UpdatesWriter
from pms_common.contracts.account import AccountSnapshot
from pms_common.contracts.base import encode as encode_public
from pms_common.contracts.bus.algos import AlgoState
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import PublicEvent
from pms_common.contracts.bus.orders import AmendOrder, CancelOrder, OrderView
from pms_common.contracts.bus.risk import ChildAmend, ChildOrder
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.events.chase import ChaseEvent
from pms_common.contracts.results_algos import started
from pms_common.ids import client_order_id
from pms_common.marks import Marks
from pms_common.names import Names

KIND = "CHS"
MAX_ACCOUNTS = 50_000


class Outputs:
    """Writes what plans decide into the outbox."""

    def __init__(
        self, names: Names, outbox: Outbox, updates: UpdatesWriter, answers: Answers, marks: Marks, markets: Markets
    ) -> None:
        self._names, self._outbox, self._updates = names, outbox, updates
        self._answers, self._marks, self._markets = answers, marks, markets
        self._accounts: OrderedDict[str, msgspec.Raw] = OrderedDict()

    def account(self, account_id: str, snapshot: msgspec.Raw) -> None:
        """The latest snapshot of an account, for the events."""
        self._accounts[account_id] = snapshot
        if len(self._accounts) > MAX_ACCOUNTS:
            self._accounts.popitem(last=False)

    def child_id(self, chase: Chase, number: int, attempt: int) -> str:
        """The client order id of a child."""
        plan = chase.plan
        return client_order_id(self._names.namespace, plan.account_id, KIND, plan.algo_id, number, attempt)

    # -- to risk and orders

    def ask(self, chase: Chase, ask: Ask) -> None:
        """Ask risk for a child."""
        plan = chase.plan
        order = ChildOrder(
            client_order_id=self.child_id(chase, ask.number, ask.attempt),
            account_id=plan.account_id,
            parent_id=plan.algo_id,
            symbol=plan.symbol,
            side=plan.side,
            order_type="LIMIT",
            quantity=ask.quantity,
            price=ask.price,
            time_in_force="GTX" if plan.post_only else "GTC",
            reduce_only=plan.reduce_only,
            leverage=plan.leverage,
            origin="CHASE",
            lowest=ask.lowest,
            highest=ask.highest,
            expires_at_ms=ask.expires_at_ms,
        )
        self._outbox.add(self._names.requests("risk"), encode(order))

    def amend(self, chase: Chase, amend: Amend) -> None:
        """Move a child: by orders inside what risk approved, else by risk."""
        plan, child_id = chase.plan, self.child_id(chase, amend.number, amend.attempt)
        if amend.approved:
            order = AmendOrder(
                client_order_id=child_id,
                account_id=plan.account_id,
                symbol=plan.symbol,
                price=amend.price,
                quantity=amend.quantity,
            )
            self._outbox.add(self._names.changes("orders"), encode(order))
            return
        beyond = ChildAmend(
            client_order_id=child_id,
            account_id=plan.account_id,
            parent_id=plan.algo_id,
            symbol=plan.symbol,
            price=amend.price,
            quantity=amend.quantity,
        )
        self._outbox.add(self._names.requests("risk"), encode(beyond))

    def cancel(self, chase: Chase, cancel: CancelChild) -> None:
        """Have a child cancelled."""
        plan, child_id = chase.plan, self.child_id(chase, cancel.number, cancel.attempt)
        order = CancelOrder(
            client_order_id=child_id,
            account_id=plan.account_id,
            symbol=plan.symbol,
            reason=chase.ending or "replaced",
        )
        self._outbox.add(self._names.changes("orders"), encode(order))

    def cancel_orphan(self, order: OrderView) -> None:
        """Have an order cancelled that none of our algos owns."""
        cancel = CancelOrder(
            client_order_id=order.client_order_id, account_id=order.account_id, symbol=order.symbol, reason="orphan"
        )
        self._outbox.add(self._names.changes("orders"), encode(cancel))

    # -- to readers

    def progress(self, chase: Chase, cause: str, child_id: str | None, now_ms: int) -> None:
        """Tell where an algo stands; `cause` names what it follows from."""
        quote = self._markets.quote(chase.plan.symbol)
        event = views.progress(chase, quote, child_id, self._account(chase), now_ms)
        self._event("chase_progress", chase, cause, event)
        shown = encode_public(views.item(chase, quote))
        self._outbox.command("HSET", self._names.algos(chase.plan.account_id), chase.plan.algo_id, shown)
        self.state(chase)

    def ended(self, chase: Chase, child_id: str | None, now_ms: int) -> None:
        """Tell how an algo ended. One that never had an order at the exchange was never shown."""
        if chase.answered:
            event = views.end(chase, child_id, self._account(chase), now_ms)
            self._event("chase_filled" if chase.outcome == "filled" else "chase_cancelled", chase, "end", event)
        self._outbox.command("HDEL", self._names.algos(chase.plan.account_id), chase.plan.algo_id)
        self.state(chase)

    def state(self, chase: Chase) -> None:
        """Tell the gateway and risk how an algo stands now."""
        plan = chase.plan
        self._updates.add(
            AlgoState,
            algo_id=plan.algo_id,
            kind="chase",
            account_id=plan.account_id,
            symbol=plan.symbol,
            version=chase.version,
            ended=chase.ended,
            item=msgspec.Raw(encode_public(views.item(chase, self._markets.quote(plan.symbol)))),
        )

    def _event(self, type_: str, chase: Chase, cause: str, event: ChaseEvent) -> None:
        self._updates.add(
            PublicEvent,
            key=f"{chase.plan.algo_id}:{cause}",
            account_id=chase.plan.account_id,
            type=type_,
            payload=msgspec.Raw(encode_public(event)),
        )

    def _account(self, chase: Chase) -> AccountSnapshot | None:
        snapshot = self._accounts.get(chase.plan.account_id)
        return None if snapshot is None else views.decode_account(snapshot)

    # -- to the one who asked

    def was_answered(self, chase: Chase) -> bool:
        """Whether the command that started the algo has its answer already."""
        known = self._marks.find(chase.plan.account_id, chase.plan.request_id)
        return known is not None and known.result is not None

    def started(self, chase: Chase, warnings: tuple[str, ...]) -> None:
        """Answer the command that started the algo, once."""
        if not self.was_answered(chase):
            plan = chase.plan
            shown = views.item(chase, self._markets.quote(plan.symbol))
            body = encode_public(started(shown, plan.request_id, warnings))
            self._answers.end(plan.request_id, plan.account_id, "chase", body)

    def start_failed(self, chase: Chase, code: ErrorCode, message: str) -> None:
        """Answer the command with why there is no algo."""
        if not self.was_answered(chase):
            plan = chase.plan
            self._answers.fail(plan.request_id, plan.account_id, "chase", CommandError(code, message))
