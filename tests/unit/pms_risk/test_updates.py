"""The order service's stream: what was lost is asked for, with the executions that may be missing."""

import msgspec

from pms_common.contracts.bus.common import RequestDone, SnapshotBegin, SnapshotEnd, SnapshotRequest, snapshot_request
from pms_risk.domain.books import UNSURE_MS

from .desk import Desk, fill, update, view

OPENED, TRADED = 1_000_000, 1_900_000


def questions(desk: Desk) -> list[SnapshotRequest]:
    return [snapshot_request.decode(data) for data in desk.paper.streams.get(desk.names.queries("orders"), ())]


def begun(cash: int = 1_000) -> Desk:
    """A desk that has booked an execution and been told everything once."""
    desk = Desk(cash)
    desk.state.books.house.opened_ms = OPENED
    desk.orders_updates.ask_snapshot()
    desk.hear(update("fill", view(state="filled"), 1, fill=fill(trade_ms=TRADED)))
    answer(desk, 2)
    return desk


def answer(desk: Desk, n: int, epoch: int = 1) -> None:
    token = questions(desk)[-1].token
    desk.hear(SnapshotBegin(epoch=epoch, n=n, asker="risk", token=token))
    desk.hear(SnapshotEnd(epoch=epoch, n=n + 1, asker="risk", token=token))
    assert desk.orders_updates.completed.is_set()


def test_before_the_first_look_there_is_nothing_to_tell_again() -> None:
    desk = Desk()
    desk.orders_updates.ask_snapshot()
    assert questions(desk)[-1].fills_since_ms is None


def test_executions_are_asked_for_from_a_minute_before_the_newest_booked() -> None:
    desk = begun()
    assert questions(desk)[0].fills_since_ms == OPENED, "what is older was in the wallet when it was taken over"
    desk.orders_updates.ask_snapshot()
    assert questions(desk)[-1].fills_since_ms == TRADED - UNSURE_MS


def test_a_gap_is_healed_with_the_executions_that_fell_into_it() -> None:
    desk = begun()
    newer = update("fill", view(client_order_id="Y", state="filled"), 9, fill=fill(3, trade_ms=TRADED + 500_000))
    desk.hear(newer)
    assert questions(desk)[-1].fills_since_ms == TRADED - UNSURE_MS, "by what was booked before the gap showed"
    desk.orders_updates.ask_snapshot()
    assert questions(desk)[-1].fills_since_ms == TRADED - UNSURE_MS, "the first question was not answered"
    missed = view(client_order_id="Z", state="filled", exchange_order_id=8)
    desk.hear(update("fill", missed, 10, fill=fill(2, trade_ms=TRADED + 10)))
    assert desk.account.holding("BTCUSDT", "BOTH").quantity == 3
    answer(desk, 11)
    desk.orders_updates.ask_snapshot()
    assert questions(desk)[-1].fills_since_ms == TRADED + 500_000 - UNSURE_MS


def test_a_restart_of_the_order_service_is_followed_by_a_question() -> None:
    desk = begun()
    asked = len(questions(desk))
    desk.hear(update("active", view(client_order_id="Y"), 1, epoch=2))
    assert len(questions(desk)) == asked + 1
    desk.hear(update("active", view(client_order_id="Y", version=2), 2, epoch=2))
    assert len(questions(desk)) == asked + 1


def test_an_execution_told_again_is_no_sign_of_life() -> None:
    desk = begun()
    desk.hear(update("active", view(client_order_id="Y"), 4))
    desk.orders_updates.ask_snapshot()
    token = questions(desk)[-1].token
    desk.hear(SnapshotBegin(epoch=1, n=5, asker="risk", token=token))
    desk.hear(update("fill", view(client_order_id="Y"), 6, fill=fill(5, "0.1", TRADED)))
    desk.hear(SnapshotEnd(epoch=1, n=7, asker="risk", token=token))
    assert not desk.account.orders


def test_a_cancel_under_the_request_id_of_a_trade_does_not_end_the_trade() -> None:
    desk = begun()
    desk.marks.hold("a", "r1", "hash")
    done = {"epoch": 1, "account_id": "a", "request_id": "r1"}
    desk.hear(RequestDone(**done, n=4, command="cancel", body=msgspec.Raw(b'{"cancel":1}')))
    assert desk.marks.find("a", "r1").result is None
    desk.hear(RequestDone(**done, n=5, command="trade", body=msgspec.Raw(b'{"trade":1}')))
    assert desk.marks.find("a", "r1").result == b'{"trade":1}'


def test_doubts_and_gaps_that_wait_for_an_answer_are_asked_for_together() -> None:
    desk = begun()
    desk.orders_updates.ask_snapshot()
    desk.orders_updates.doubt(["BTCUSDT"], 7)
    question = questions(desk)[-1]
    assert question.fills_since_ms == TRADED - UNSURE_MS, "of the symbols that are not doubted no more than was missed"
    assert (question.compare, question.compare_since_ms) == (("BTCUSDT",), 7)
    answer(desk, 4)
    desk.orders_updates.ask_snapshot()
    assert questions(desk)[-1].compare_since_ms is None
