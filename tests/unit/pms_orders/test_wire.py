"""Recorded events and bodies of the venue, read and replayed."""

import itertools
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.pms_orders.orders import sent

from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.exchange_info import exchange_info, symbol_spec
from pms_orders.domain.order import OrderState
from pms_orders.domain.reducer import Report, apply_report
from pms_orders.domain.table import Kind


def recorded_events(path: Path) -> list[Any]:
    """The JSON objects of a file, one a line or one after the other."""
    text, decoder, at, found = path.read_text(encoding="utf-8"), json.JSONDecoder(), 0, []
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        found += value if isinstance(value, list) else [value]
    return found


def reports_of(path: Path) -> list[Report]:
    events = [wire.decode_event(json.dumps(event).encode()) for event in recorded_events(path)]
    updates = [event for event in events if isinstance(event, wire.OrderTradeUpdate)]
    return [report for update in updates if (report := wire.feed_report(update)) is not None]


def order_for(report: Report) -> OrderState:
    return sent(report.client_order_id, symbol=report.symbol, quantity=str(report.quantity), price=str(report.price))


def replayed(reports: list[Report]) -> OrderState:
    order = order_for(reports[0])
    for report in reports:
        apply_report(order, report)
    return order


def truth(order: OrderState) -> tuple[Any, ...]:
    return order.status, order.executed, order.booked, frozenset(order.trades)


def test_r06_every_recorded_sequence_ends_alike_in_order_shuffled_and_repeated(
    sequence_file: Path, record_property: Any
) -> None:
    by_order: defaultdict[tuple[str, int], list[Report]] = defaultdict(list)
    for report in reports_of(sequence_file):
        by_order[report.symbol, report.exchange_order_id].append(report)
    cases = 0
    for reports in by_order.values():
        straight = truth(replayed(reports))
        for shuffled in itertools.islice(itertools.permutations(reports), 200):
            cases += 1
            assert truth(replayed(list(shuffled))) == straight
            assert truth(replayed([*shuffled, *shuffled])) == straight
    record_property("cases", max(cases, 1))


def test_r11_any_one_missing_event_is_healed_by_what_queries_tell(sequence_file: Path) -> None:
    by_order: defaultdict[tuple[str, int], list[Report]] = defaultdict(list)
    for report in reports_of(sequence_file):
        by_order[report.symbol, report.exchange_order_id].append(report)
    for reports in by_order.values():
        whole = replayed(reports)
        if not whole.final or reports[-1].kind not in _FOUND:
            continue
        for missing in range(len(reports)):
            order = order_for(reports[0])
            for report in (*reports[:missing], *reports[missing + 1 :]):
                apply_report(order, report)
            _reconcile(order, reports)
            assert truth(order) == truth(whole)


_FOUND = {
    Kind.FILLED: Kind.FOUND_FILLED,
    Kind.CANCELLED: Kind.FOUND_CANCELLED,
    Kind.EXPIRED: Kind.FOUND_EXPIRED,
}


def _reconcile(order: OrderState, reports: list[Report]) -> None:
    """What GET order and userTrades say of the order after the sequence."""
    last = reports[-1]
    fills = [report for report in reports if report.fill is not None and report.fill.trade_id not in order.trades]
    for report in fills:
        assert report.fill is not None
        completes = last.kind is Kind.FILLED and order.booked + report.fill.quantity >= (last.executed or 0)
        kind = Kind.FILLED if completes else Kind.TRADE
        told = Report(kind, report.symbol, report.client_order_id, report.exchange_order_id, report.event_ms)
        told.fill = report.fill
        apply_report(order, told)
    found = Report(_FOUND[last.kind], last.symbol, last.client_order_id, last.exchange_order_id, last.event_ms)
    found.quantity, found.price, found.executed = last.quantity, last.price, last.executed
    apply_report(order, found)


def test_every_recorded_event_is_read(sequence_file: Path) -> None:
    for event in recorded_events(sequence_file):
        read = wire.decode_event(json.dumps(event).encode())
        name = event.get("e")
        if name in ("ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE", "listenKeyExpired"):
            assert read is not None
        else:
            assert read is None


def test_an_event_of_a_known_kind_without_its_fields_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        wire.decode_event(b'{"e":"ORDER_TRADE_UPDATE","T":1,"o":{"s":"BTCUSDT"}}')
    with pytest.raises(msgspec.DecodeError):
        wire.decode_event(b"{")
    assert wire.decode_event(b'{"e":"STRATEGY_UPDATE","T":1}') is None


def test_a_queried_order_without_average_and_with_it(data_directory: Path) -> None:
    queried = wire.queried_order.decode((data_directory / "rest/order-query.json").read_bytes())
    report = wire.query_report(queried)
    assert report.kind is Kind.FOUND_OPEN and report.executed == 0
    assert wire.queried_orders.decode((data_directory / "rest/openOrders.json").read_bytes()) is not None


def test_a_trade_has_the_key_of_the_feed() -> None:
    trade = wire.AccountTrade(
        symbol="BTCUSDT", id=9, order_id=7, price=Decimal(100), qty=Decimal(1), commission=Decimal("0.1"),
        commission_asset="USDT", realized_pnl=Decimal(0), maker=True, time=5,
    )  # fmt: skip
    (announce,) = apply_report(sent(), wire.trade_report(trade, "PMS_a_LMT_1", completes=False))
    assert announce.key == "BTCUSDT:7:9"  # type: ignore[union-attr]


def test_the_rules_of_recorded_symbols(data_directory: Path) -> None:
    info = json.loads((data_directory / "rest/exchangeInfo-mainnet-subset.json").read_text(encoding="utf-8"))
    specs = {s.symbol: symbol_spec(s) for s in exchange_info.decode(json.dumps(info).encode()).symbols}
    bitcoin = specs["BTCUSDT"]
    assert (bitcoin.tick_size, bitcoin.step_size) == (Decimal("0.10"), Decimal("0.001"))
    assert bitcoin.market_max_quantity == Decimal(120) and bitcoin.min_notional == Decimal(50)
