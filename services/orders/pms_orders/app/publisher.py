"""What the order service tells: updates to the other services, answers to requests, rows to the journal.

Owns the order in which one happening is told (update, fill row, answer) and the stream of tombstones. Publishing never
waits for the journal; the entry of a request is acknowledged after its row is committed. Used by the order manager.
"""

from functools import partial

from pms_common.answers import Answers
from pms_common.bus import Entry, Outbox, UpdatesWriter
from pms_common.contracts.base import encode
from pms_common.contracts.bus.orders import Fill, OrderUpdate
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.results import OrderDone
from pms_orders.adapters.journal import Journal
from pms_orders.domain.order import OrderState, view
from pms_orders.domain.reducer import Announce, retold
from pms_orders.domain.tracker import MAX_TOMBSTONES

_REFUSED = frozenset({"rejected", "failed"})


def order_done(order: OrderState, request_id: str, *, ended: bool, warnings: tuple[str, ...] = ()) -> OrderDone:
    """The order as the result of a request; with its fills where its end was waited for."""
    place = order.place
    number = order.exchange_order_id
    return OrderDone(
        request_id=request_id,
        client_order_id=place.client_order_id,
        order_id=place.client_order_id,
        exchange_order_id=None if number is None else str(number),
        state=order.status,
        symbol=place.symbol,
        side=place.side,
        quantity=order.quantity,
        price=order.price,
        filled_qty=order.executed if ended else None,
        avg_fill_price=order.average_price if ended else None,
        warnings=warnings or None,
    )


class Publisher:
    """Tells what happened to orders."""

    def __init__(
        self, updates: UpdatesWriter, outbox: Outbox, answers: Answers, journal: Journal, tombstones: str
    ) -> None:
        self._tombstones = tombstones
        self._updates = updates
        self._outbox = outbox
        self._answers = answers
        self._journal = journal

    def tell(self, order: OrderState, announces: list[Announce]) -> None:
        """Publish what happened, journal the order after it, and answer its request if this decides it."""
        self.repeat(order, announces)
        self._journal.happened(order, announces)
        self.answer(order)

    def repeat(self, order: OrderState, announces: list[Announce]) -> None:
        """Publish only: of what the journal has already. Readers drop the keys they know."""
        shown = view(order)
        for announce in announces:
            update = OrderUpdate(
                epoch=0,
                n=0,
                key=announce.key,
                cause=announce.cause,
                order=shown,
                fill=announce.fill,
                reason=announce.reason,
                error_code=announce.error_code,
                error=announce.error,
                event_ms=announce.event_ms,
            )
            self._updates.publish(update)

    def show(self, order: OrderState, asked: str) -> None:
        """Publish the order as it is, to who has asked (`asked` names the question)."""
        self.repeat(order, [Announce(f"{order.client_order_id}:snapshot:{asked}", "snapshot", order.updated_ms)])

    def retell(self, order: OrderState, fills: list[Fill]) -> None:
        """Tell again what may not have got out, and the answer of its request. Who has heard it keeps the first."""
        self.repeat(order, retold(order, fills))
        order.answered = False
        self.answer(order)

    def answer(self, order: OrderState) -> None:
        """End the public request that waits for the exchange's word on this order, once that word is known."""
        place = order.place
        if not place.answer or order.answered or order.status == "unknown":
            return
        if order.exchange_order_id is None and not order.final:
            return
        order.answered = True
        if order.status in _REFUSED:
            code = ErrorCode[order.error_code or ErrorCode.EXCHANGE_REJECTED.name]
            self._answers.fail(
                place.request_id, place.account_id, place.command, CommandError(code, order.error), place.traceparent
            )
        elif order.status == "cancelled" and not order.sent_ms:
            refusal = CommandError(ErrorCode.CANCELLED_BEFORE_SEND)
            self._answers.fail(place.request_id, place.account_id, place.command, refusal, place.traceparent)
        else:
            result = order_done(order, place.request_id, ended=False)
            self._answers.end(place.request_id, place.account_id, place.command, encode(result), place.traceparent)

    def answer_ambiguous(self, order: OrderState) -> None:
        """Tell the sender that the outcome is not known and how to ask; the order goes on being cleared up."""
        place = order.place
        if not place.answer or order.answered:
            return
        order.answered = True
        text = (
            f"The outcome of order {place.client_order_id} is not known yet and is being asked for; its events tell it,"
            " and a cancel of that id answers with its state."
        )
        details = {"clientOrderId": place.client_order_id, "symbol": place.symbol}
        error = CommandError(ErrorCode.AMBIGUOUS_RESULT, text, details=details)
        self._answers.fail(place.request_id, place.account_id, place.command, error, place.traceparent)

    def keep_tombstone(self, client_order_id: str) -> None:
        """Write down that this order is not to be sent, in the MULTI that acknowledges its cancel."""
        words = ("MAXLEN", "~", MAX_TOMBSTONES, "*", "id", client_order_id)
        self._outbox.command("XADD", self._tombstones, *words)

    def acknowledge(self, entry: Entry) -> None:
        """Acknowledge an entry once all that was journalled so far is committed."""
        self._journal.then(partial(self._outbox.ack, entry))
