"""The first look at the exchange, and what happens in the moment in which it is told."""

from typing import Any

import msgspec
import pytest

from pms_common.contracts.bus.exchange import CashFlow, CashFlows
from pms_common.contracts.bus.orders import AssetBalance, ExchangeAccount, ExchangePosition
from pms_risk.adapters.postgres import statements as sql
from pms_risk.domain.house import CAPITAL

from .desk import Desk, fill
from .test_forced import foreign
from .world import D, Exchange

OPENED = 1_000_000


class Look(Desk):
    """A desk that has looked at a wallet of 500 and no position."""

    def __init__(self) -> None:
        super().__init__(0)
        self.n = 0
        self.say(complete=True, cause="start", balances=[AssetBalance(asset="USDT", wallet=D(500))], event_ms=OPENED)
        assert self.state.books.house.opened_ms == OPENED

    def say(self, **facts: Any) -> None:
        self.n += 1
        self.hear(ExchangeAccount(epoch=1, n=self.n, **{"balances": [], "positions": []} | facts))

    def pay(self, amount: int, time_ms: int) -> None:
        self.n += 1
        paid = CashFlow(flow_id=self.n, kind="TRANSFER", amount=D(amount), asset="USDT", symbol="", time_ms=time_ms)
        self.hear(CashFlows(epoch=1, n=self.n, flows=(paid,)))

    def differences(self) -> Any:
        return self.state.reconciliation.compare(self.state.books)


def test_a_payment_that_the_look_has_seen_is_not_booked() -> None:
    look = Look()
    look.pay(20, OPENED - 5)
    assert look.state.books.house.cash[CAPITAL, "USDT"] == 500


@pytest.mark.parametrize("earlier_ms", [0, 300])
def test_a_payment_in_the_moment_of_the_telling_is_booked(earlier_ms: int) -> None:
    """Made before the look was told, heard of after it; the income list may date it somewhat earlier."""
    look = Look()
    look.say(cause="DEPOSIT", balances=[AssetBalance(asset="USDT", wallet=D(520))], event_ms=OPENED - 5)
    look.pay(20, OPENED - 5 - earlier_ms)
    look.pay(30, OPENED - 60_000)
    assert look.state.books.house.cash[CAPITAL, "USDT"] == 520
    assert not look.differences()


def test_a_trade_in_the_moment_of_the_telling_is_booked() -> None:
    look = Look()
    traded = ExchangePosition(symbol="BTCUSDT", position_side="BOTH", quantity=D(2), entry_price=D(100))
    look.say(cause="ORDER", trade_ms=OPENED - 5, positions=[traded], event_ms=OPENED - 5)
    for number, at_ms in ((7, OPENED - 5), (6, OPENED - 6)):
        told, _ = foreign(Exchange(), "other", "BUY", D(2), D(100), "BOTH")
        look.n += 1
        executed = fill(number, "2", trade_ms=at_ms)
        look.hear(msgspec.structs.replace(told, epoch=1, n=look.n, fill=executed))
    assert look.state.books.house.positions["BTCUSDT", "BOTH"].quantity == 2, "the earlier one was in the look"
    assert not look.differences()


def test_what_the_look_has_seen_by_a_query_and_the_feed_tells_again_changes_nothing() -> None:
    look = Look()
    look.say(cause="DEPOSIT", balances=[AssetBalance(asset="USDT", wallet=D(500))], event_ms=OPENED - 5)
    look.pay(20, OPENED - 5)
    assert look.state.books.house.opened_ms == OPENED
    assert look.state.books.house.cash[CAPITAL, "USDT"] == 500


def test_the_database_knows_from_when_on_everything_is_booked() -> None:
    """A kill before its commit has the first look, and what it had not seen, told again."""
    look = Look()
    look.say(cause="DEPOSIT", balances=[AssetBalance(asset="USDT", wallet=D(520))], event_ms=OPENED - 5)
    assert not look.paper.acked, "neither may be forgotten before both are committed"
    rows = [item[1] for item in look.journal._waiting if isinstance(item, tuple) and item[0] is sql.HOUSE_LEDGER]
    opened = [dict(zip(sql.HOUSE_LEDGER.columns, row, strict=True)) for row in rows]
    assert {row["cause"] for row in opened} == {"opening_wallet"}
    assert min(row["at_ms"] for row in opened) == look.state.books.house.opened_ms
    look.commit()
    assert len(look.paper.acked) == 2
    look.say(cause="DEPOSIT", balances=[AssetBalance(asset="USDT", wallet=D(521))], event_ms=OPENED + 5)
    assert len(look.paper.acked) == 3
