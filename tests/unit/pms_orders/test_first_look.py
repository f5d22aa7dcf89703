"""What the exchange account is told to be is what it was at the moment that is named with it."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import NOW
from tests.unit.pms_orders.test_reconciling import Rig, Told
from tests.unit.pms_orders.venue import Exchange, venue

from pms_common.contracts.bus.orders import ExchangeAccount
from pms_orders.adapters.binance import wire
from pms_orders.app.account import ExchangeFacts

ASSETS, SYMBOLS = ("USDT", "BNB"), ("BTCUSDT", "ETHUSDT", "XRPUSDT")
Change = tuple[int, str, str, int]


class Account:
    """Each change is of a wallet and, where it is an execution, of a position."""

    def __init__(self, changes: list[Change]) -> None:
        self.at_ms = NOW - 1_000
        self.events: list[wire.AccountUpdate] = []
        self.states: list[tuple[int, dict[str, Any], dict[str, Any]]] = [(self.at_ms, {}, {})]
        for waits_ms, asset, symbol, amount in changes:
            self._change(waits_ms, asset, symbol, Decimal(amount))

    def _change(self, waits_ms: int, asset: str, symbol: str, amount: Decimal) -> None:
        self.at_ms += waits_ms
        _, wallets, positions = self.states[-1]
        wallet = wallets.get(asset, (Decimal(0), 0))[0] + amount
        wallets = wallets | {asset: (wallet, self.at_ms)}
        told = []
        if symbol:
            quantity = positions.get(symbol, (Decimal(0), 0))[0] + amount
            positions = positions | {symbol: (quantity, self.at_ms)}
            told = [wire.FeedPosition(symbol=symbol, quantity=quantity, entry_price=Decimal(1))]
        self.states.append((self.at_ms, wallets, positions))
        account = wire.FeedAccount("ORDER" if symbol else "DEPOSIT", [wire.FeedBalance(asset, wallet)], told)
        self.events.append(wire.AccountUpdate(account, self.at_ms))

    def queried(self, number: int) -> tuple[list[wire.Asset], list[wire.PositionRisk]]:
        """The queries' answers as of a state; they leave out what is flat."""
        _, wallets, positions = self.states[number]
        return (
            [wire.Asset(asset, wallet, at_ms) for asset, (wallet, at_ms) in wallets.items()],
            [
                wire.PositionRisk(symbol, "BOTH", quantity, Decimal(1), at_ms)
                for symbol, (quantity, at_ms) in positions.items()
                if quantity
            ],
        )


CHANGE = st.tuples(
    st.integers(1, 100), st.sampled_from(ASSETS), st.sampled_from(("", *SYMBOLS)), st.sampled_from((-2, -1, 1, 2))
)


@given(st.lists(CHANGE, max_size=10), st.data())
def test_the_look_holds_what_changed_until_the_moment_it_names(changes: list[Change], data: st.DataObject) -> None:
    """The queries answer ahead of the feed, or behind it: by less than what was seen of them."""
    account, told = Account(changes), Told()
    published: Any = told
    facts = ExchangeFacts(published, lambda: account.at_ms + 500)
    heard = data.draw(st.integers(0, len(changes)), "changes told by the feed")
    queried = data.draw(st.integers(0, len(changes)), "changes that the queries have seen")
    for event in account.events[:heard]:
        facts.change(event)
    facts.replace(*account.queried(queried), time.monotonic(), of_one_moment=True)
    facts.tell_all("reconciliation")
    look = told.facts[-1]
    assert isinstance(look, ExchangeAccount)
    seen = max(heard, queried)
    at_ms, wallets, positions = account.states[seen]
    assert look.as_of_ms is not None
    assert look.as_of_ms >= at_ms or not seen
    assert all(look.as_of_ms < later_ms for later_ms, _, _ in account.states[seen + 1 :])
    found = {item.asset: item.wallet for item in look.balances if item.wallet}
    assert found == {asset: wallet for asset, (wallet, _) in wallets.items() if wallet}
    held = {item.symbol: item.quantity for item in look.positions}
    assert held == {symbol: quantity for symbol, (quantity, _) in positions.items() if quantity}


def test_r13_a_payment_that_others_have_overtaken_is_told_with_the_wallet_as_it_is_known() -> None:
    told = Told()
    published: Any = told
    facts = ExchangeFacts(published, lambda: NOW)
    for at_ms, wallet, change in ((NOW, 107, 7), (NOW - 5, 100, 3), (NOW - 9, 97, 0)):
        balance = wire.FeedBalance("USDT", Decimal(wallet), Decimal(change))
        facts.change(wire.AccountUpdate(wire.FeedAccount("DEPOSIT", [balance]), at_ms))
    assert [[(item.wallet, item.change) for item in update.balances] for update in told.facts] == [
        [(107, 7)],
        [(107, 3)],
        [],
    ]
    assert [update.event_ms for update in told.facts] == [NOW, NOW - 5, NOW - 9]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    exchange = Exchange()
    async with venue(exchange.answer) as rest:
        yield Rig(rest, exchange)


async def test_the_first_look_asks_until_no_wallet_changed_between_wallets_and_positions(rig: Rig) -> None:
    exchange, wallets = rig.exchange, [100, 101, 102, 102]

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("balance"):
            balance = wallets.pop(0)
            exchange.balances = [{"asset": "USDT", "balance": str(balance), "updateTime": NOW + balance}]
        return await exchange.answer(request)

    rig.reconciler.known_ms = None
    async with venue(answer) as rest:
        rig.reconciler._rest = rest
        await rig.reconciler._ask_facts(NOW)
    assert exchange.asked == ["balance", *["positionRisk", "balance"] * 3]
    rig.facts.tell_all("reconciliation")
    (facts,) = rig.told.facts
    assert [item.wallet for item in facts.balances] == [102] and facts.as_of_ms >= NOW + 102


async def test_what_the_feed_has_told_counts_at_the_first_look_of_an_account_that_is_never_still(rig: Rig) -> None:
    """Two executions between the last positions and the last wallets: the older one is in no answer."""
    exchange, at_ms = rig.exchange, NOW

    async def answer(request: web.Request) -> web.Response:
        nonlocal at_ms
        if request.path.endswith("balance"):
            at_ms += 10
            exchange.balances = [{"asset": "USDT", "balance": str(at_ms), "updateTime": at_ms}]
            for told_ms, symbol in ((at_ms - 5, "ETHUSDT"), (at_ms, "BTCUSDT")):
                wallet = wire.FeedBalance("USDT", Decimal(told_ms))
                held = wire.FeedPosition(symbol=symbol, quantity=Decimal(at_ms - NOW), entry_price=Decimal(1))
                rig.facts.change(wire.AccountUpdate(wire.FeedAccount("ORDER", [wallet], [held]), told_ms))
        return await exchange.answer(request)

    rig.reconciler.known_ms = None
    async with venue(answer) as rest:
        rig.reconciler._rest = rest
        await rig.reconciler._ask_facts(NOW)
    rig.facts.tell_all("reconciliation")
    look = rig.told.facts[-1]
    assert {item.symbol: item.quantity for item in look.positions} == dict.fromkeys(("BTCUSDT", "ETHUSDT"), at_ms - NOW)
    assert look.as_of_ms >= at_ms
