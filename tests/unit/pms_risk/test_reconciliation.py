"""Books against exchange: a difference counts when it is proven, freezes its symbol, and is repaired by evidence."""

from typing import Any

import msgspec

from pms_common.contracts.bus.common import PublicEvent, SnapshotRequest, snapshot_request
from pms_common.contracts.bus.orders import AssetBalance, ExchangeAccount, ExchangePosition
from pms_risk.app.exchange import ASK_AGAIN_MS, MARGIN_MS
from pms_risk.domain.reconciliation import PAYMENT_WAIT_MS, TRADE_WAIT_MS, Drift, Reconciliation

from .desk import Desk, update
from .test_books import opened
from .world import D, Exchange


def test_a_drift_counts_when_seen_twice() -> None:
    exchange = Exchange()
    books = opened(exchange)
    reconciliation = Reconciliation()
    assert reconciliation.check(books, 0) == frozenset(), "nothing is known of the exchange"
    exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100))
    reconciliation.take(exchange.facts(), 0)
    assert reconciliation.check(books, 0) == frozenset()
    assert reconciliation.check(books, 0) == {Drift("position", "BTCUSDT", "BTCUSDT", "BOTH", D(0), D(1))}
    assert reconciliation.frozen_symbols == {"BTCUSDT"}
    assert reconciliation.check(books, 0) == frozenset(), "told once"
    assert reconciliation.confirmed


def test_a_constant_drift_is_confirmed_while_the_symbol_is_traded() -> None:
    exchange = Exchange()
    books = opened(exchange)
    reconciliation = Reconciliation()
    exchange.execute("a", "BTCUSDT", "BUY", D(5), D(100))
    told = []
    for _ in range(4):
        books.book(*exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100)))
        reconciliation.take(exchange.facts(), 0)
        told += reconciliation.check(books, 0)
    assert [(drift.books, drift.exchange) for drift in told] == [(2, 7)], "told once"
    assert reconciliation.frozen_symbols == {"BTCUSDT"}


def test_a_cash_drift_is_told_above_the_tolerance() -> None:
    exchange = Exchange()
    books = opened(exchange)
    reconciliation = Reconciliation()
    exchange.wallets["USDT"] += D("1E-8")
    reconciliation.take(exchange.facts(), 0)
    assert reconciliation.compare(books) == frozenset()
    exchange.wallets["USDT"] += D("1E-8")
    reconciliation.take(exchange.facts(), 0)
    assert [drift.what for drift in reconciliation.compare(books)] == ["USDT"]


def told(exchange: Exchange, trade_ms: int | None = None) -> ExchangeAccount:
    """What the feed tells of the account: no trade is named by a payment."""
    facts = exchange.facts()
    positions = facts.positions if trade_ms is not None else []
    return msgspec.structs.replace(facts, complete=False, trade_ms=trade_ms, positions=positions)


def test_a_symbol_is_compared_once_the_trade_that_its_fact_names_is_booked() -> None:
    exchange = Exchange()
    books = opened(exchange)
    reconciliation = Reconciliation()
    reconciliation.take(exchange.facts(), 0)
    order, fill = exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100))
    reconciliation.take(told(exchange, fill.trade_ms), 0)
    for now_ms in (0, 2_000, 4_000, TRADE_WAIT_MS - 1):
        assert not reconciliation.check(books, now_ms) and not reconciliation.confirmed
    books.book(order, fill)
    assert not reconciliation.compare(books)


def test_a_trade_that_never_comes_is_a_difference_after_all() -> None:
    exchange = Exchange()
    books = opened(exchange)
    reconciliation = Reconciliation()
    reconciliation.take(exchange.facts(), 0)
    _, fill = exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100))
    reconciliation.take(told(exchange, fill.trade_ms), 0)
    assert not reconciliation.check(books, TRADE_WAIT_MS)
    assert [drift.what for drift in reconciliation.check(books, TRADE_WAIT_MS)] == ["BTCUSDT"]


def test_a_payment_has_time_to_come() -> None:
    exchange = Exchange()
    books = opened(exchange)
    reconciliation = Reconciliation()
    reconciliation.take(exchange.facts(), 0)
    exchange.wallets["USDT"] -= 5
    reconciliation.take(told(exchange), 0)
    for now_ms in (0, 2_000, PAYMENT_WAIT_MS - 1):
        assert not reconciliation.check(books, now_ms)
    assert not reconciliation.check(books, PAYMENT_WAIT_MS)
    assert [drift.what for drift in reconciliation.check(books, PAYMENT_WAIT_MS)] == ["USDT"]
    assert not reconciliation.frozen_symbols, "cash freezes no symbol"


def test_a_confirmed_symbol_stays_frozen_until_it_is_equal_whatever_the_difference_becomes() -> None:
    exchange = Exchange()
    books = opened(exchange)
    reconciliation = Reconciliation()
    lost = [exchange.execute("a", "BTCUSDT", "BUY", D(n), D(100)) for n in (1, 2)]
    reconciliation.take(exchange.facts(), 0)
    reconciliation.check(books, 0)
    reconciliation.check(books, 0)
    for order, fill in lost:
        assert reconciliation.frozen_symbols == {"BTCUSDT"}
        books.book(order, fill)
        reconciliation.check(books, 7)
    assert not reconciliation.frozen_symbols and not reconciliation.confirmed
    assert reconciliation.equal_ms["BTCUSDT"] == 7


def questions(desk: Desk) -> list[SnapshotRequest]:
    return [snapshot_request.decode(data) for data in desk.paper.streams.get(desk.names.queries("orders"), ())]


def drifted(desk: Desk) -> list[bool]:
    events = [msgspec.json.decode(bytes(event.payload)) for event in desk.told(PublicEvent)]
    return [event["frozen"] for event in events if event["type"] == "reconciliation_drift"]


def test_r20_a_drift_is_told_and_repaired_by_the_missing_trade() -> None:
    desk = Desk()
    desk.state.books.house.opened_ms = 0
    exchange = Exchange()
    check: Any = lambda: desk.exchange.check(desk.orders_updates.doubt)  # noqa: E731

    def facts() -> ExchangeAccount:
        wallet = desk.state.books.cash("USDT")
        held = [
            ExchangePosition(symbol=symbol, position_side="BOTH", quantity=quantity, entry_price=D(0))
            for (symbol, _), (quantity, _) in exchange.positions.items()
        ]
        balances = [AssetBalance(asset="USDT", wallet=wallet)]
        return ExchangeAccount(epoch=1, n=1, complete=True, balances=balances, positions=held, event_ms=1)

    order, fill = exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100))
    desk.hear(update("fill", order, fill=fill))
    desk.hear(facts(), redelivered=True)
    check()
    equal_ms = desk.now_ms
    lost, missing = exchange.execute("a", "BTCUSDT", "BUY", D(1), D(100))
    desk.hear(facts(), redelivered=True)
    desk.now_ms += 2_000
    check()
    assert not drifted(desk) and not questions(desk)
    desk.now_ms += 2_000
    check()
    assert drifted(desk) == [True] and desk.state.reconciliation.frozen_symbols == {"BTCUSDT"}
    (question,) = questions(desk)
    assert question.compare == ("BTCUSDT",) and question.compare_since_ms == equal_ms - MARGIN_MS
    desk.now_ms += ASK_AGAIN_MS
    check()
    assert len(questions(desk)) == 2 and drifted(desk) == [True]
    desk.now_ms += ASK_AGAIN_MS
    check()
    assert len(questions(desk)) == 2, "what lasts is asked about ever more seldom"
    desk.now_ms += ASK_AGAIN_MS
    check()
    assert len(questions(desk)) == 3
    held = desk.account.holding("BTCUSDT", "BOTH").quantity
    assert held == 1, "nobody's position is changed to make it fit"
    desk.hear(update("fill", lost, fill=missing), redelivered=True)
    check()
    assert drifted(desk) == [True, False] and not desk.state.reconciliation.frozen_symbols


def test_a_wallet_that_differs_has_the_cash_flows_asked_for() -> None:
    desk = Desk()
    told = ExchangeAccount(epoch=1, n=1, complete=True, balances=[AssetBalance(asset="USDT", wallet=D(0))], event_ms=1)
    desk.hear(told)
    desk.exchange.check(desk.orders_updates.doubt)
    equal_ms = desk.now_ms
    desk.hear(msgspec.structs.replace(told, n=2, balances=[AssetBalance(asset="USDT", wallet=D(-3))]))
    for _ in range(2):
        desk.now_ms += 2_000
        desk.exchange.check(desk.orders_updates.doubt)
    (question,) = questions(desk)
    assert question.compare == () and question.compare_since_ms == equal_ms - MARGIN_MS
