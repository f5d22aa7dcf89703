"""The first look at the exchange, and what happens in the moment in which it is told: in the look, or booked once."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_common.contracts.bus.exchange import CashFlow, CashFlows, FundingRate, FundingRates
from pms_common.contracts.bus.orders import AssetBalance, ExchangeAccount, ExchangePosition
from pms_risk.adapters.postgres import statements as sql
from pms_risk.domain.first_look import Unseen, UnseenPayments
from pms_risk.domain.house import CAPITAL, EXTERNAL, ROUNDING

from .desk import Desk, fill
from .test_forced import foreign
from .world import ZERO, D, Exchange

OPENED = 1_000_000
"""The newest change that the look holds, in the exchange's time."""
TOLD = OPENED + 700


class Look(Desk):
    """A desk that has looked at a wallet of 500 and no position."""

    def __init__(self) -> None:
        super().__init__(0)
        self.n = 0
        wallet = AssetBalance(asset="USDT", wallet=D(500))
        self.say(complete=True, cause="start", as_of_ms=OPENED, balances=[wallet], event_ms=TOLD)
        assert self.state.books.house.opened_ms == OPENED

    def say(self, redelivered: bool = False, **facts: Any) -> None:
        self.n += 1
        facts = {"balances": [], "positions": []} | facts
        self.hear(ExchangeAccount(epoch=1, n=self.n, **facts), redelivered)

    def changed(self, cause: str, wallet: int, change: int, event_ms: int, symbol: str = "") -> None:
        told = AssetBalance(asset="USDT", wallet=D(wallet), change=D(change))
        self.say(cause=cause, balances=[told], event_ms=event_ms, symbol=symbol)

    def pay(self, amount: int, time_ms: int, kind: str = "TRANSFER", symbol: str = "") -> None:
        self.n += 1
        self.hear(CashFlows(epoch=1, n=self.n, flows=(line(self.n, amount, time_ms, kind, symbol),)))

    def differences(self) -> Any:
        return self.state.reconciliation.compare(self.state.books)


def line(number: int, amount: int, time_ms: int, kind: str = "TRANSFER", symbol: str = "") -> CashFlow:
    return CashFlow(flow_id=number, kind=kind, amount=D(amount), asset="USDT", symbol=symbol, time_ms=time_ms)


def test_a_payment_that_the_look_has_seen_is_not_booked() -> None:
    look = Look()
    look.pay(20, OPENED - 5)
    look.pay(30, OPENED)
    assert look.state.books.house.cash[CAPITAL, "USDT"] == 500


def test_changes_that_the_look_has_seen_before_the_feed_told_them_are_not_booked() -> None:
    """The queries knew both; the feed tells the first with a wallet that is not the look's any more."""
    look = Look()
    look.changed("DEPOSIT", 480, 20, OPENED - 9)
    look.changed("DEPOSIT", 500, 20, OPENED)
    look.pay(20, OPENED - 9)
    look.pay(20, OPENED)
    assert look.state.books.house.cash[CAPITAL, "USDT"] == 500
    assert not look.differences()


@pytest.mark.parametrize("earlier_ms", [0, 300, 1_000])
def test_a_payment_in_the_moment_of_the_telling_is_booked(earlier_ms: int) -> None:
    """Made after the newest change that the look holds, before it was told; the income list may date it earlier."""
    look = Look()
    look.changed("DEPOSIT", 520, 20, OPENED + 5)
    look.pay(20, OPENED + 5 - earlier_ms)
    look.pay(30, OPENED - 300)
    assert look.state.books.house.cash[CAPITAL, "USDT"] == 520
    assert not look.differences()


def test_a_trade_in_the_moment_of_the_telling_is_booked() -> None:
    look = Look()
    traded = ExchangePosition(symbol="BTCUSDT", position_side="BOTH", quantity=D(2), entry_price=D(100))
    look.say(cause="ORDER", trade_ms=OPENED + 5, positions=[traded], event_ms=OPENED + 5)
    for number, at_ms in ((7, OPENED + 5), (6, OPENED)):
        told, _ = foreign(Exchange(), "other", "BUY", D(2), D(100), "BOTH")
        look.n += 1
        executed = fill(number, "2", trade_ms=at_ms)
        look.hear(msgspec.structs.replace(told, epoch=1, n=look.n, fill=executed))
    assert look.state.books.house.positions["BTCUSDT", "BOTH"].quantity == 2, "the earlier one was in the look"
    assert not look.differences()


def test_a_funding_paid_after_the_look_for_an_instant_before_it_is_booked_with_what_it_is_for() -> None:
    look = Look()
    instant = OPENED - 20_000
    look.changed("FUNDING_FEE", 493, -7, OPENED + 40_000, "ETHUSDT")
    for symbol in ("BTCUSDT", "ETHUSDT"):  # the other one was paid before the look, and as much
        look.pay(-7, instant, "FUNDING_FEE", symbol)
    look.n += 1
    rates = tuple(FundingRate(symbol=s, rate=D("0.01"), mark=D(1), time_ms=instant) for s in ("BTCUSDT", "ETHUSDT"))
    look.hear(FundingRates(epoch=1, n=look.n, rates=rates))
    assert look.state.books.house.cash[EXTERNAL, "USDT"] == -7, "at its instant nobody else held anything"
    assert (ROUNDING, "USDT") not in look.state.books.house.cash
    assert [row["symbol"] for row in journalled(look, sql.FLOW)] == ["ETHUSDT"]
    assert not look.differences()


def test_what_the_look_has_not_seen_is_booked_once_whatever_is_told_again() -> None:
    look = Look()
    instant = OPENED - 20_000
    for _ in range(2):
        look.changed("FUNDING_FEE", 493, -7, OPENED + 40_000)
    look.pay(-7, instant, "FUNDING_FEE", "ETHUSDT")
    look.changed("FUNDING_FEE", 493, -7, OPENED + 40_000)
    look.pay(-7, instant, "FUNDING_FEE", "BTCUSDT")
    assert look.state.books.house.cash[EXTERNAL, "USDT"] == -7
    notes = [row for row in journalled(look) if row["cause"] == "unseen_payment"]
    assert len(notes) == 1, "the ledger takes a key once"


def test_the_legs_of_a_hedged_funding_are_one_change_of_the_wallet() -> None:
    unseen = UnseenPayments()
    unseen.add(Unseen("USDT", D(2), OPENED + 1, funding=True))
    told = [(5, "BTCUSDT"), (-3, "BTCUSDT"), (4, "ETHUSDT")]
    flows = [line(n, amount, OPENED, "FUNDING_FEE", symbol) for n, (amount, symbol) in enumerate(told)]
    assert unseen.explain(flows) == {0, 1}
    assert not unseen.explain(flows), "each change once"


def test_the_database_knows_from_when_on_everything_is_booked() -> None:
    """A kill before its commit has the first look, and what it had not seen, told again."""
    look = Look()
    look.changed("DEPOSIT", 520, 20, OPENED + 5)
    assert not look.paper.acked, "neither may be forgotten before both are committed"
    opened = [row["at_ms"] for row in journalled(look) if row["cause"] == "opening_wallet"]
    assert opened == [look.state.books.house.opened_ms]
    look.commit()
    assert len(look.paper.acked) == 2
    look.changed("DEPOSIT", 521, 1, OPENED + 100_000)
    assert len(look.paper.acked) == 3


def journalled(desk: Desk, statement: Any = sql.HOUSE_LEDGER) -> list[dict[str, Any]]:
    rows = [item[1] for item in desk.journal._waiting if isinstance(item, tuple) and item[0] is statement]
    return [dict(zip(statement.columns, row, strict=True)) for row in rows]


# -- any interleaving of the look with payments and executions


@dataclass
class Account:
    """An exchange account that others trade and pay; `told` is what the feed has of each change."""

    exchange: Exchange = field(default_factory=lambda: Exchange(wallets={"USDT": D(1_000)}))
    at_ms: int = OPENED
    told: list[list[Any]] = field(default_factory=list)
    lines: list[CashFlow] = field(default_factory=list)
    states: list[ExchangeAccount] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._keep()

    def _keep(self) -> None:
        facts = self.exchange.facts()
        self.states.append(msgspec.structs.replace(facts, as_of_ms=self.at_ms, event_ms=self.at_ms, cause="start"))

    def pay(self, amount: int, waits_ms: int, earlier_ms: int, funding: bool, n: int) -> None:
        self.at_ms += waits_ms
        self.exchange.wallets["USDT"] += amount
        symbol = f"S{n}USDT" if funding else ""
        dated = self.at_ms - (earlier_ms * 60 if funding else earlier_ms)
        self.lines.append(line(n, amount, dated, "FUNDING_FEE" if funding else "TRANSFER", symbol))
        wallet = AssetBalance(asset="USDT", wallet=self.exchange.wallets["USDT"], change=D(amount))
        cause = "FUNDING_FEE" if funding else "DEPOSIT"
        self._tell(ExchangeAccount(epoch=1, n=0, cause=cause, symbol=symbol, balances=[wallet], event_ms=self.at_ms))

    def trade(self, signed: int, price: int, waits_ms: int, n: int) -> None:
        self.at_ms += waits_ms
        side: Any = "BUY" if signed > 0 else "SELL"
        told, done = foreign(self.exchange, "other", side, abs(signed), price)
        told = msgspec.structs.replace(
            told, key=f"o{n}", exchange_order_id=n, fill=msgspec.structs.replace(done, trade_id=n, trade_ms=self.at_ms)
        )
        now = self.exchange.facts()
        facts = ExchangeAccount(
            epoch=1,
            n=0,
            cause="ORDER",
            trade_ms=self.at_ms,
            balances=now.balances,
            positions=now.positions,
            event_ms=self.at_ms,
        )
        self._tell(facts, told)

    def _tell(self, *told: Any) -> None:
        self.told.append(list(told))
        self._keep()


PAYMENT = st.tuples(
    st.sampled_from((-7, 5, 20)), st.integers(1, 900), st.sampled_from((0, 1, 400, 1_000)), st.booleans()
)
TRADE = st.tuples(st.sampled_from((-3, -1, 2)), st.integers(90, 110), st.integers(1, 900))


@given(st.lists(st.one_of(PAYMENT, TRADE), max_size=12), st.data())
def test_whatever_the_look_has_seen_each_change_is_in_the_books_once(changes: list[Any], data: st.DataObject) -> None:
    """The queries may be ahead of the feed or behind it; everything comes again, and the list in any order.

    No two payments are of one amount: within a second nobody could tell them apart.
    """
    venue = Account()
    for n, change in enumerate(changes, 1):
        if len(change) == 4:
            amount, waits_ms, earlier_ms, funding = change
            venue.pay(amount * 100 + n, waits_ms, earlier_ms, funding, n)
        else:
            signed, price, waits_ms = change
            venue.trade(signed, price, waits_ms, n)
    seen = data.draw(st.integers(0, len(changes)), "changes that the queries have seen")
    heard = data.draw(st.integers(0, seen), "changes that the feed told before the look")
    desk = Desk(0)
    said: list[Any] = [update for told in venue.told[:heard] for update in told]
    said.append(msgspec.structs.replace(venue.states[seen], event_ms=venue.at_ms + 700))
    said += [update for told in venue.told[heard:] for update in told]
    if data.draw(st.booleans(), "the look is told again"):
        said.append(venue.states[-1])
    for n, update in enumerate(said, 1):
        desk.hear(msgspec.structs.replace(update, epoch=1, n=n))
    for n in (1, 2):
        listed = tuple(data.draw(st.permutations(venue.lines)))
        desk.hear(CashFlows(epoch=1, n=len(said) + n, flows=listed))
    for update in data.draw(st.permutations(said)):
        desk.hear(msgspec.structs.replace(update, epoch=1, n=1), redelivered=True)
    books = desk.state.books
    assert books.cash("USDT") == venue.exchange.wallets["USDT"]
    held = {key: quantity for key, (quantity, _) in venue.exchange.positions.items() if quantity}
    assert {key: quantity for key, quantity in books.quantities().items() if quantity} == held
    opened_ms = books.house.opened_ms
    assert opened_ms is not None
    assert books.house.cash.get((ROUNDING, "USDT"), ZERO) == sum(
        (flow.amount for flow in venue.lines if flow.kind == "FUNDING_FEE" and flow.time_ms > opened_ms),
        ZERO,
    ), "what fell due before the look is the external book's"
