"""Killed anywhere, the same books come back (R-08, R-18, R-33; invariants 2, 3 and 4).

The handlers are real, Redis and PostgreSQL are lists: a stream whose entries stay until they are acknowledged, and the
rows that were committed. A crash loses everything else. Beside it lives a service that never crashes.
"""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from pms_common.bus import Entry
from pms_common.contracts.bus.base import Update, encode
from pms_common.contracts.bus.exchange import CashFlow, CashFlows, FundingRate, FundingRates
from pms_common.contracts.commands.admin import Account as AccountCommand
from pms_common.inlet import CommandInlet, Request, Taken
from pms_risk.adapters.postgres import statements as sql
from pms_risk.adapters.postgres.restore import Rows, restore
from pms_risk.app.accounts import Accounts
from pms_risk.app.assignments import Wanted
from pms_risk.app.takeovers import Takeovers
from pms_risk.domain.books import Books
from pms_risk.domain.cashflows import flow_key
from pms_risk.domain.fees import at_mark
from pms_risk.domain.house import netting

from .desk import _TRACKER, Desk, update
from .test_books import assert_equal
from .test_forced import foreign
from .world import D, Exchange, position_id

NAMES = "abc"
SNAPSHOT = 1_000_000
"""Numbers of entries that are told to a service at its start, and not kept for it."""
prices = st.integers(500, 700).map(lambda n: D(n) / 10)
quantities = st.integers(1, 3000).map(lambda n: D(n) / 1000)


class Database:
    """Committed rows, by table."""

    def __init__(self) -> None:
        self.tables: dict[Any, list[dict[str, Any]]] = defaultdict(list)

    def commit(self, rows: list[tuple[Any, tuple[Any, ...]]]) -> None:
        for statement, row in rows:
            self.tables[id(statement)].append(dict(zip(statement.columns, row, strict=True)))

    def all(self, statement: Any) -> list[dict[str, Any]]:
        return self.tables[id(statement)]

    def latest(self, statement: Any, name: str) -> list[dict[str, Any]]:
        return list({row[name]: row for row in self.all(statement)}.values())

    def rows(self) -> Rows:
        for statement, names in (
            (sql.FILL, ("symbol", "trade_id", "exchange_order_id")),
            (sql.LEDGER, ("key",)),
            (sql.HOUSE_LEDGER, ("key", "holder")),
            (sql.MOVE, ("reference", "owner")),
            (sql.FUNDING, ("symbol", "at_ms")),
            (sql.FLOW, ("kind", "flow_id", "asset", "symbol")),
        ):
            keys = [tuple(row[name] for name in names) for row in self.all(statement)]
            assert len(keys) == len(set(keys)), "the database refuses what is booked twice"
        sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for row in self.all(sql.HOUSE_LEDGER):
            assert row["balance_before"] == sums[row["holder"], row["asset"]]
            sums[row["holder"], row["asset"]] += row["amount"]
        opened = [row["at_ms"] for row in self.all(sql.HOUSE_LEDGER) if row["cause"] == "opening_wallet"]
        return Rows(
            accounts=self.latest(sql.ACCOUNT, "id"),
            rules=self.latest(sql.RULES, "account_id"),
            positions=[row for row in self.latest(sql.POSITION, "id") if row["closed_ms"] is None],
            closed=[row for row in self.latest(sql.POSITION, "id") if row["closed_ms"] is not None],
            house=[{"book": book, "asset": asset, "cash": cash} for (book, asset), cash in sums.items()],
            opened_ms=min(opened, default=None),
            fills=sorted(self.all(sql.FILL), key=lambda row: (row["trade_ms"], row["trade_id"])),
            moves=self.all(sql.MOVE),
            flows=sorted(self.all(sql.FLOW), key=lambda row: row["at_ms"]),
            fundings=sorted(self.all(sql.FUNDING), key=lambda row: row["at_ms"]),
        )


def no_takeover(_: Request) -> Taken:
    raise AssertionError("not asked for here")


def no_assignment(_: Wanted) -> None:
    raise AssertionError("not asked for here")


class Life:
    """A service from its start to its crash."""

    def __init__(self, database: Database | None, mode: Any) -> None:
        self.desk = Desk()
        books = self.desk.state.books = Books(position_id, lambda fill: at_mark(fill, D("600.5")))
        self.desk.state.mode = mode
        self.desk.price(60)
        self.transferred: set[tuple[str, str, str]] = set()
        if database is not None:
            restore(books, database.rows())
            ledger = database.all(sql.LEDGER)
            self.transferred = {(row["holder"], row["reference"], row["cause"]) for row in ledger}
        outbox: Any = self.desk.paper
        inlet = CommandInlet(outbox, self.desk.marks, self.desk.answers, lambda: self.desk.now_ms)
        tools = (self.desk.state, self.desk.journal, self.desk.events)
        self.takeovers = Takeovers(*tools)
        self.accounts = Accounts(*tools, self.desk.answers, inlet, self.transferred, no_takeover, no_assignment)

    @property
    def books(self) -> Books:
        return self.desk.state.books

    def deliver(self, number: int, what: Any, redelivered: bool = False) -> None:
        data = encode(what) if isinstance(what, Update) else b""
        entry = Entry(tracker=_TRACKER, id=f"{number + 1}-0", data=data, fields={}, redelivered=redelivered)
        if isinstance(what, Update):
            self.desk.orders_updates.on_entry(entry)
            self.desk.settle_fundings()
        elif isinstance(what, AccountCommand):
            self.accounts.decide(Request(what, entry, (), "hash", None))
        else:
            pick, at_ms = what
            self._take_over(pick, at_ms, entry)

    def _take_over(self, pick: int, at_ms: int, entry: Entry) -> None:
        """A decision of this service, made again where it was not committed."""
        held = sorted((p.id, one.id) for one in self.books.accounts.values() for p in one.open_positions())
        if held:
            name, owner = held[pick % len(held)]
            one = self.books.accounts[owner]
            position = one.position(name)
            assert position is not None
            self.takeovers.take(one, position, abs(position.quantity), D(60), f"decision-{entry.id}", at_ms)
        self.desk.journal.then(lambda: self.desk.paper.ack(entry))

    def transactions(self) -> int:
        return sum(callable(item) for item in self.desk.journal._waiting)

    def commit(self, database: Database, count: int) -> None:
        """So many transactions."""
        waiting = self.desk.journal._waiting
        rows: list[Any] = []
        while count:
            item = waiting.pop(0)
            if callable(item):
                database.commit(rows)
                rows, count = [], count - 1
                item()
            else:
                rows.append(item)

    def acknowledged(self) -> set[int]:
        numbers = (int(entry.id.partition("-")[0]) - 1 for entry in self.desk.paper.acked)
        return {number for number in numbers if number < SNAPSHOT}


class Machine(RuleBasedStateMachine):
    """What happens at the exchange and to the service."""

    mode: Any = "oneway"

    @initialize()
    def begin(self) -> None:
        self.exchange = Exchange()
        self.stream: list[Any] = []
        self.database = Database()
        self.acknowledged: set[int] = set()
        self.next = self.count = self.flows = 0
        self.life, self.reference = Life(None, self.mode), Life(None, self.mode)
        self.append(msgspec.structs.replace(self.exchange.facts(), event_ms=0))
        for name in NAMES:
            given = {"request_id": f"create-{name}", "sub_account_id": name, "name": name, "balance": D(100)}
            self.append(AccountCommand(action="create", **given))

    def append(self, what: Any) -> None:
        if isinstance(what, Update):
            self.count += 1
            what = msgspec.structs.replace(what, n=self.count)
        self.stream.append(what)
        self.reference.deliver(len(self.stream) - 1, what)

    def leg(self, short: bool) -> Any:
        return "BOTH" if self.mode == "oneway" else "SHORT" if short else "LONG"

    # -- the world

    @rule(
        name=st.sampled_from([*NAMES, "nobody"]),
        side=st.sampled_from(["BUY", "SELL"]),
        parts=st.lists(quantities, min_size=1, max_size=3),
        price=prices,
        fee=st.integers(0, 10**6).map(lambda n: D(n) / 10**8),
        asset=st.sampled_from(["USDT", "USDT", "BNB"]),
        reduce_only=st.booleans(),
        short=st.booleans(),
        ended=st.sampled_from(["filled", "cancelled"]),
        origin=st.sampled_from(["MANUAL", "MANUAL", "LIQUIDATION"]),
    )
    def trade(
        self,
        name: str,
        side: Any,
        parts: Any,
        price: Decimal,
        fee: Any,
        asset: str,
        reduce_only: Any,
        short: bool,
        ended: Any,
        origin: Any,
    ) -> None:
        """An order of an account: partial fills, and its end, which may be a cancel."""
        whole = sum(parts) + (ended == "cancelled")
        executed, number = D(0), next(self.exchange.orders)
        for version, part in enumerate(parts, 1):
            executed += part
            order, fill = self.exchange.execute(
                *(name, "BTCUSDT", side, part, price), leg=self.leg(short), commission=fee, asset=asset
            )
            state = "filled" if executed == whole else "active"
            order = msgspec.structs.replace(
                order,
                client_order_id=f"o{number}",
                exchange_order_id=number,
                quantity=whole,
                executed_quantity=executed,
                reduce_only=(reduce_only or origin == "LIQUIDATION") and self.mode == "oneway",
                origin=origin,
                state=state,
                version=version,
            )
            self.append(update("fill", order, key=f"o{number}:{fill.trade_id}", fill=fill))
        if ended == "cancelled":
            gone = msgspec.structs.replace(order, state="cancelled", version=9)
            self.append(update("cancelled", gone))

    @rule(
        kind=st.sampled_from(["liquidation", "adl", "settlement", "other", "orphan"]),
        share=st.integers(1, 100),
        price=prices,
        fee=st.integers(0, 10**6).map(lambda n: D(n) / 10**8),
        short=st.booleans(),
    )
    def force(self, kind: Any, share: int, price: Decimal, fee: Any, short: bool) -> None:
        """The exchange closes a part of the pooled position, or somebody trades by hand."""
        leg = self.leg(short)
        pooled = self.exchange.positions.get(("BTCUSDT", leg), (D(0), D(0)))[0]
        quantity = (abs(pooled) * share / 100).quantize(D("0.001"))
        if quantity:
            side = "SELL" if pooled > 0 else "BUY"
            told, _ = foreign(self.exchange, kind, side, quantity, price, leg, commission=fee)
            self.append(told)

    @rule(
        rate=st.integers(-50, 50).map(lambda n: D(n) / 10_000),
        mark=prices,
        late=st.sampled_from([*NAMES, ""]),
        side=st.sampled_from(["BUY", "SELL"]),
        short=st.booleans(),
    )
    def fund(self, rate: Decimal, mark: Decimal, late: str, side: Any, short: bool) -> None:
        """The rate for everybody, the exchange's own payment on each leg; `late` traded before, and is told after."""
        traded = None
        if late:
            order, fill = self.exchange.execute(late, "BTCUSDT", side, D("0.017"), mark, leg=self.leg(short))
            traded = update("fill", order, key=f"{order.client_order_id}:{fill.trade_id}", fill=fill)
        at_ms = next(self.exchange.trades)
        self.append(
            FundingRates(epoch=1, n=0, rates=(FundingRate(symbol="BTCUSDT", rate=rate, mark=mark, time_ms=at_ms),))
        )
        for (symbol, _), (pooled, _) in list(self.exchange.positions.items()):
            if pooled:
                self.pay("FUNDING_FEE", (-rate * pooled * mark).quantize(D("1E-8")), "USDT", symbol, at_ms)
        if traded is not None:
            self.append(traded)

    @rule(
        kind=st.sampled_from(["TRANSFER", "COMMISSION_REBATE", "INSURANCE_CLEAR", "WELCOME_BONUS", "NEW_KIND"]),
        amount=st.integers(-500, 500).filter(bool).map(lambda n: D(n) / 100),
        asset=st.sampled_from(["USDT", "BNB"]),
    )
    def flow(self, kind: str, amount: Decimal, asset: str) -> None:
        self.pay(kind, amount, asset, "BTCUSDT", next(self.exchange.trades))

    def pay(self, kind: str, amount: Decimal, asset: str, symbol: str, at_ms: int) -> None:
        self.flows += 1
        paid = CashFlow(flow_id=self.flows, kind=kind, amount=amount, asset=asset, symbol=symbol, time_ms=at_ms)
        self.exchange.wallets[asset] += amount
        self.append(CashFlows(epoch=1, n=0, flows=(paid,)))

    @rule(name=st.sampled_from(NAMES), amount=st.integers(1, 1000).map(D))
    def deposit(self, name: str, amount: Decimal) -> None:
        given = {"request_id": f"deposit-{len(self.stream)}", "sub_account_id": name, "amount": amount}
        self.append(AccountCommand(action="deposit", allow_unfunded=True, **given))

    @rule(name=st.sampled_from(NAMES), mode=st.sampled_from(["isolated", "isolated", "cross"]))
    def set_margin_mode(self, name: str, mode: Any) -> None:
        given = {"request_id": f"mode-{len(self.stream)}", "sub_account_id": name, "margin_mode": mode}
        self.append(AccountCommand(action="set_mode", **given))

    @rule(pick=st.integers(0, 100))
    def take_over(self, pick: int) -> None:
        self.append((pick, next(self.exchange.trades)))

    @precondition(lambda self: any(isinstance(what, Update) for what in self.stream))
    @rule(pick=st.integers(0, 10_000))
    def tell_again(self, pick: int) -> None:
        """What was told is told again: by the order service's retelling, or found once more by its comparison."""
        told = [what for what in self.stream if isinstance(what, Update)]
        again = told[pick % len(told)]
        if not getattr(again, "complete", False):
            self.append(again)

    # -- the service

    @rule(most=st.integers(1, 8))
    def deliver(self, most: int) -> None:
        for _ in range(min(most, len(self.stream) - self.next)):
            self.life.deliver(self.next, self.stream[self.next])
            self.next += 1

    @rule(most=st.integers(1, 8))
    def commit(self, most: int) -> None:
        self.life.commit(self.database, min(most, self.life.transactions()))
        self.acknowledged |= self.life.acknowledged()

    @rule()
    def crash(self) -> None:
        """Memory and what was not committed are lost; what was not acknowledged comes again, in its order."""
        self.acknowledged |= self.life.acknowledged()
        self.life = Life(self.database, self.mode)
        for number in range(self.next):
            if number not in self.acknowledged:
                self.life.deliver(number, self.stream[number], redelivered=True)
        for number, told in enumerate(self.stream[: self.next]):  # the snapshot that a start asks for
            if isinstance(told, FundingRates):
                self.life.deliver(SNAPSHOT + number, told, redelivered=True)

    @rule()
    def check(self) -> None:
        """Everything delivered: the books are those of a service that never crashed, and equal the exchange."""
        self.deliver(len(self.stream))
        books, expected = self.life.books, self.reference.books
        assert {n: one.cash for n, one in books.accounts.items()} == {
            n: one.cash for n, one in expected.accounts.items()
        }
        assert open_positions(books) == open_positions(expected)
        assert {n: one.isolated for n, one in books.accounts.items()} == {
            n: sum([p.isolated or D(0) for p in one.open_positions()], D(0)) for n, one in expected.accounts.items()
        }
        assert books.house.cash == expected.house.cash and books.house.positions == expected.house.positions
        assert_equal(books, self.exchange)
        assert not any(one.cash < 0 and not one.positions for one in books.accounts.values()), "a debt is booked as one"
        if not books.symbols():
            executions = len(self.database.all(sql.FILL)) + len(self.stream)
            assert abs(books.house.cash.get((netting("BTCUSDT"), "USDT"), D(0))) <= executions * D("1E-8")

    def teardown(self) -> None:
        if hasattr(self, "life"):
            self.check()
            self.commit(len(self.stream) + self.life.transactions())
            self.crash()
            self.check()
            assert self.acknowledged == set(range(len(self.stream))), "nothing is left to do"


def open_positions(books: Books) -> list[Any]:
    return sorted((p for one in books.accounts.values() for p in one.open_positions()), key=lambda p: p.id)


@pytest.mark.parametrize("mode", ["oneway", "hedge"])
def test_r08_r18_r33_killed_anywhere_the_same_books_come_back(mode: str) -> None:
    machine = type("Machine", (Machine,), {"mode": mode})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_the_flow_key_is_what_the_table_keeps_apart() -> None:
    """`restore` makes the same key of a row as `flow_key` makes of a flow."""
    database = Database()
    paid = CashFlow(flow_id=7, kind="TRANSFER", amount=D(1), asset="USDT", symbol="", time_ms=5)
    database.commit([(sql.FLOW, ("TRANSFER", 7, "USDT", "", D(1), "", 5))])
    books = Books(position_id)
    restore(books, database.rows())
    assert books.flows.look(flow_key(paid), 5).name == "BOOKED"
