"""Actions as messages: to risk and orders, to readers, to the one who asked.

Owns the names of children and the keys of events, both derived, so that a repetition is the same. Never decides.
"""

from typing import Any

import msgspec

from pms_algos.app.accounts import Accounts
from pms_algos.app.kinds.base import Algo, Kind, telling
from pms_algos.app.kinds.chase import KIND as CHASE
from pms_algos.app.markets import Markets
from pms_algos.domain.actions import Amend, Ask, Notice
from pms_algos.domain.chase_state import ChasePlan
from pms_algos.domain.parts import shown
from pms_common import tracing
from pms_common.answers import Answers
from pms_common.bus import Outbox, UpdatesWriter
from pms_common.clock import now_ms
from pms_common.contracts.algos import AlgoItem
from pms_common.contracts.base import encode as encode_public
from pms_common.contracts.bus.algos import AlgosControlled, AlgoState, ControlAlgos
from pms_common.contracts.bus.base import Origin, encode
from pms_common.contracts.bus.common import PublicEvent
from pms_common.contracts.bus.orders import AmendOrder, CancelOrder, OrderView
from pms_common.contracts.bus.risk import ChildAmend, ChildOrder
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.results_algos import started
from pms_common.ids import client_order_id
from pms_common.marks import Known, Marks
from pms_common.names import Names

TAGS: dict[Origin, str] = {"CHASE": "CHS", "TWAP": "TWP", "TRAIL_STOP": "TRL", "SCALPER": "SCP"}
"""Whose orders are ours, and what their names show."""


class Outputs:
    """Writes what plans decide into the outbox."""

    def __init__(
        self,
        names: Names,
        outbox: Outbox,
        updates: UpdatesWriter,
        answers: Answers,
        marks: Marks,
        markets: Markets,
        accounts: Accounts,
    ) -> None:
        self._names, self._outbox, self._updates = names, outbox, updates
        self._answers, self._marks, self._markets, self._accounts = answers, marks, markets, accounts
        self._changes = names.changes("orders")

    def child_id(self, plan: ChasePlan, number: int, attempt: int) -> str:
        """The client order id of a child."""
        tag = TAGS[plan.origin]
        return client_order_id(self._names.namespace, plan.account_id, tag, plan.algo_id, number, attempt)

    # -- to risk and orders

    def ask(self, child_id: str, plan: ChasePlan, ask: Ask) -> None:
        """Ask risk for a child."""
        order = ChildOrder(
            client_order_id=child_id,
            account_id=plan.account_id,
            parent_id=plan.parent_id or plan.algo_id,
            symbol=plan.symbol,
            side=plan.side,
            order_type="MARKET" if plan.at_market else "LIMIT",
            quantity=ask.quantity,
            price=ask.price,
            time_in_force=None if plan.at_market else "GTX" if plan.post_only else "GTC",
            reduce_only=plan.reduce_only,
            leverage=plan.leverage,
            origin=plan.origin,
            lowest=ask.lowest,
            highest=ask.highest,
            expires_at_ms=ask.expires_at_ms,
            traceparent=_decided("ask child", child_id, plan) if plan.traceparent else "",
        )
        self._outbox.add(self._names.requests("risk"), encode(order))

    def amend(self, child_id: str, plan: ChasePlan, amend: Amend) -> None:
        """Move a child: by orders inside what risk approved, else by risk. One that is lost is asked for again."""
        if amend.approved:
            order = AmendOrder(
                client_order_id=child_id,
                account_id=plan.account_id,
                symbol=plan.symbol,
                price=amend.price,
                quantity=amend.quantity,
                traceparent=_decided("amend child", child_id, plan) if plan.traceparent else "",
            )
            self._outbox.express(self._changes, encode(order))
            return
        beyond = ChildAmend(
            client_order_id=child_id,
            account_id=plan.account_id,
            parent_id=plan.parent_id or plan.algo_id,
            symbol=plan.symbol,
            price=amend.price,
            quantity=amend.quantity,
        )
        self._outbox.add(self._names.requests("risk"), encode(beyond))

    def cancel(self, child_id: str, plan: ChasePlan, reason: str) -> None:
        """Have a child cancelled."""
        order = CancelOrder(client_order_id=child_id, account_id=plan.account_id, symbol=plan.symbol, reason=reason)
        self._outbox.add(self._changes, encode(order))

    def cancel_orphan(self, order: OrderView) -> None:
        """Have an order cancelled that none of our algos owns."""
        cancel = CancelOrder(
            client_order_id=order.client_order_id, account_id=order.account_id, symbol=order.symbol, reason="orphan"
        )
        self._outbox.add(self._changes, encode(cancel))

    # -- to readers

    def progress(self, kind: Kind, algo: Algo, cause: str, child_id: str | None, now_ms: int) -> None:
        """Tell where an algo stands; `cause` names what it follows from."""
        item = self._item(kind, algo)
        self._event(algo, cause, telling(kind.progress, item, self._head(algo, child_id, now_ms)))
        self._show(kind, algo, item)

    def notice(self, kind: Kind, algo: Algo, notice: Notice, child_id: str | None, now_ms: int) -> None:
        """Tell something that only this kind of algo tells."""
        assert kind.notice is not None
        item, (message, more) = self._item(kind, algo), kind.notice(algo, notice)
        tag = message.__struct_config__.tag
        self._event(algo, f"{tag}:{notice.key}", telling(message, item, self._head(algo, child_id, now_ms) | more))
        self._show(kind, algo, item)

    def ended(self, kind: Kind, algo: Algo, child_id: str | None, now_ms: int) -> None:
        """Tell how an algo ended. One whose command was never answered was never shown."""
        item, (message, more) = self._item(kind, algo), kind.end(algo)
        if algo.answered:
            self._event(algo, "end", telling(message, item, self._head(algo, child_id, now_ms) | more))
        parts = [part.plan.algo_id for part in kind.chases(algo)] if kind.shows_parts else []  # of one that was cut off
        self._outbox.command("HDEL", self._names.algos(algo.plan.account_id), algo.plan.algo_id, *parts)
        self._state(kind, algo, encode_public(item))

    def show(self, kind: Kind, algo: Algo) -> None:
        """Put an algo's line into the account's list, and those of its parts, and tell how it stands now."""
        self._show(kind, algo, self._item(kind, algo))
        for part in kind.chases(algo) if kind.shows_parts else ():
            if shown(part):
                self._show(CHASE, part, self._item(CHASE, part))

    def _show(self, kind: Kind, algo: Algo, item: AlgoItem) -> None:
        line = encode_public(item)
        self._outbox.command("HSET", self._names.algos(algo.plan.account_id), algo.plan.algo_id, line)
        self._state(kind, algo, line)

    def controlled(self, control: ControlAlgos, algos: tuple[str, ...]) -> None:
        """Answer who asked."""
        self._updates.add(
            AlgosControlled,
            token=control.token,
            account_id=control.account_id,
            symbol=control.symbol,
            action=control.action,
            algos=algos,
        )

    def _item(self, kind: Kind, algo: Algo) -> AlgoItem:
        return kind.item(algo, self._markets.quote)

    def _state(self, kind: Kind, algo: Algo, item: bytes) -> None:
        symbols = kind.symbols(algo)
        self._updates.add(
            AlgoState,
            algo_id=algo.plan.algo_id,
            kind=kind.name,
            account_id=algo.plan.account_id,
            symbol=symbols[0] if len(symbols) == 1 else "",
            version=algo.version,
            ended=algo.outcome is not None,
            item=msgspec.Raw(item),
        )

    def _head(self, algo: Algo, child_id: str | None, now_ms: int) -> dict[str, Any]:
        account_id = algo.plan.account_id
        return {
            "sub_account_id": account_id,
            "timestamp_ms": now_ms,
            "client_order_id": child_id,
            "account": self._accounts.shown(account_id),
        }

    def _event(self, algo: Algo, cause: str, event: msgspec.Struct) -> None:
        self._updates.add(
            PublicEvent,
            key=f"{algo.plan.algo_id}:{cause}",
            account_id=algo.plan.account_id,
            type=str(event.__struct_config__.tag),
            payload=msgspec.Raw(encode_public(event)),
            traceparent=algo.plan.traceparent,
        )

    # -- to the one who asked

    def was_answered(self, algo: Algo) -> bool:
        """Whether the command that started the algo has its answer already."""
        known = self._command(algo)
        return known is not None and known.result is not None

    def _awaits_answer(self, algo: Algo) -> bool:
        """A command without a mark was not acknowledged: it comes again, and is answered then."""
        known = self._command(algo)
        return known is not None and known.result is None

    def _command(self, algo: Algo) -> Known | None:
        """What is known of the command; one that names a position may have named no account."""
        plan = algo.plan
        return self._marks.find(plan.account_id, plan.request_id) or self._marks.find("", plan.request_id)

    def started(self, kind: Kind, algo: Algo, warnings: tuple[str, ...]) -> None:
        """Answer the command that started the algo, once."""
        if self._awaits_answer(algo):
            plan = algo.plan
            body = encode_public(started(self._item(kind, algo), plan.request_id, warnings))
            self._answers.end(plan.request_id, plan.account_id, kind.name, body, plan.traceparent)

    def start_failed(self, kind: Kind, algo: Algo) -> None:
        """Answer the command with why there is no algo."""
        if self._awaits_answer(algo):
            plan, refusal = algo.plan, kind.refusal(algo)
            error = CommandError(ErrorCode[refusal.code], refusal.message)
            self._answers.fail(plan.request_id, plan.account_id, kind.name, error, plan.traceparent)


def _decided(what: str, child_id: str, plan: ChasePlan) -> str:
    """The trace context of a decision about a child."""
    at_ms = now_ms()
    context = tracing.step(plan.traceparent, what, child_id, str(at_ms))
    about = {"client_order_id": child_id, "account_id": plan.account_id, "symbol": plan.symbol}
    tracing.record(what, context, plan.traceparent, at_ms, algo_id=plan.parent_id or plan.algo_id, **about)
    return context
