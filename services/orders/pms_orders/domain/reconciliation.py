"""The comparison of the exchange's objects with what is known here: each is matched, adopted or quarantined.

Owns the sorting and the counting; every object that goes in comes out in exactly one place. What is unknown here is not
yet judged: its owner may be in the journal or in a stream, and who looks there tells. Pure. Used by the reconciler.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pms_common.contracts.bus.exchange import CashFlow, Tally
from pms_common.contracts.bus.orders import ExchangePosition, SymbolSpec
from pms_orders.domain.foreign import Execution
from pms_orders.domain.order import OrderState
from pms_orders.domain.reducer import Report
from pms_orders.domain.table import Kind

Find = Callable[[str, int, str], OrderState | None]
"""(symbol, exchange order id, client order id) -> the order, where it is ours and in memory."""
OF_TRADES = frozenset({"COMMISSION", "REALIZED_PNL"})
"""Income types that an execution carries itself."""


@dataclass(slots=True)
class OrdersCompared:
    """`reports` tell something new and are to be applied, `doubtful` orders are to be asked for, `unknown` ones to be
    looked up; `matched` are all that are ours.
    """

    reports: list[Report] = field(default_factory=list)
    doubtful: list[OrderState] = field(default_factory=list)
    unknown: list[Report] = field(default_factory=list)
    matched: int = 0


def compare_orders(ours: Iterable[OrderState], listed: Iterable[Report], find: Find) -> OrdersCompared:
    """Our orders that should be open, and those the exchange lists as open.

    Doubtful are those of ours that are not listed, or of which executions are missing here.
    """
    found = OrdersCompared()
    open_orders: dict[str, Report] = {}
    for report in listed:
        order = find(report.symbol, report.exchange_order_id, report.client_order_id)
        if order is None:
            found.unknown.append(report)
            continue
        found.matched += 1
        open_orders[order.client_order_id] = report
    for order in ours:
        shown = open_orders.pop(order.client_order_id, None)
        if shown is None or (shown.executed or 0) > order.booked:
            found.doubtful.append(order)
        elif not _shows_what_is_known(order, shown):
            found.reports.append(shown)
    return found


def _shows_what_is_known(order: OrderState, shown: Report) -> bool:
    """Whether the report of an open order changes nothing here: true of nearly all, of thousands every few seconds."""
    return (
        order.status == "active"
        and order.flight is None
        and shown.kind is Kind.FOUND_OPEN
        and shown.event_ms <= order.terms_ms
        and shown.executed == order.executed
        and (shown.price, shown.quantity) == (order.price, order.quantity)
    )


@dataclass(slots=True)
class TradesCompared:
    """`missing` are executions of ours that are not booked, as reports; `unknown` ones of orders not in memory."""

    missing: list[Report] = field(default_factory=list)
    unknown: list[Execution] = field(default_factory=list)
    matched: int = 0


def compare_trades(executions: Iterable[Execution], find: Find) -> TradesCompared:
    """Executions from the exchange's list, against those booked here. Each one once, by its trade id."""
    found = TradesCompared()
    for execution in sorted(executions, key=lambda item: item.fill.trade_id):
        order = find(execution.symbol, execution.exchange_order_id, "")
        if order is None:
            found.unknown.append(execution)
        elif execution.fill.trade_id in order.trades:
            found.matched += 1
        else:
            found.missing.append(trade_of(order, execution))
    return found


def trade_of(order: OrderState, execution: Execution) -> Report:
    """An execution of our order from the list; what it makes of the order, a query of the order tells."""
    fill = execution.fill
    name, number = order.client_order_id, execution.exchange_order_id
    return Report(Kind.TRADE, execution.symbol, name, number, fill.trade_ms, fill=fill)


def judge_positions(positions: Iterable[ExchangePosition], specs: dict[str, SymbolSpec]) -> tuple[Tally, list[str]]:
    """Positions that can be booked, and those whose symbol cannot trade here (their names).

    Whether the books of the virtual accounts add up to them is risk's to say.
    """
    matched, strange = 0, []
    for position in positions:
        spec = specs.get(position.symbol)
        if spec is not None and spec.margin_asset == "USDT":
            matched += 1
        else:
            strange.append(position.symbol)
    return Tally(matched=matched, quarantined=len(strange)), strange


def traded_symbols(flows: Iterable[CashFlow]) -> set[str]:
    """The symbols that were traded, by their cash flows."""
    return {flow.symbol for flow in flows if flow.kind in OF_TRADES and flow.symbol}


def other_flows(flows: Iterable[CashFlow]) -> tuple[CashFlow, ...]:
    """The cash flows that no execution carries: funding, transfers, and whatever else there is."""
    return tuple([flow for flow in flows if flow.kind not in OF_TRADES])
