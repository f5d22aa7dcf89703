"""Funding rates are told once, and the payments that the feed names are asked for at once (R-33)."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import REGISTRY
from tests.unit.pms_orders.orders import NOW
from tests.unit.pms_orders.others import income, told
from tests.unit.pms_orders.test_reconciling import Rig
from tests.unit.pms_orders.venue import Exchange, traded, venue

from pms_common.contracts.bus.exchange import CashFlows, ForeignOrder, FundingRates
from pms_orders.adapters.binance import queries, wire
from pms_orders.app.fundings import CHUNK, DAY_MS
from pms_orders.app.reconciler import MAX_FLOW_LOOKS


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    exchange = Exchange()
    async with venue(exchange.answer) as rest:
        yield Rig(rest, exchange)


def settled(symbol: str, at_ms: int, mark: str = "100.5") -> dict[str, Any]:
    return {"symbol": symbol, "fundingRate": "-0.00010000", "fundingTime": at_ms, "markPrice": mark}


def rates(rig: Rig) -> list[tuple[str, int]]:
    return [(rate.symbol, rate.time_ms) for update in told(rig, FundingRates) for rate in update.rates]


async def test_r33_rates_are_told_once_and_again_to_who_asks(rig: Rig) -> None:
    rig.exchange.funding_rates = [settled(f"S{n:03}USDT", NOW) for n in range(CHUNK + 5)]
    since_ms = await rig.fundings._ask(NOW - DAY_MS)
    assert len(rates(rig)) == CHUNK + 5 and len(told(rig, FundingRates)) == 2
    (first, *_) = told(rig, FundingRates)[0].rates
    assert (first.rate, first.mark) == (Decimal("-0.0001"), Decimal("100.5"))
    rig.exchange.funding_rates += [settled("S000USDT", NOW + 3_600_000), settled("OLDUSDT", NOW, mark="")]
    await rig.fundings._ask(since_ms)
    assert rates(rig)[CHUNK + 5 :] == [("S000USDT", NOW + 3_600_000)]
    rig.wall_ms = NOW + DAY_MS + 1
    rig.fundings.tell_again(rig.wall_ms)
    assert rates(rig)[CHUNK + 6 :] == [("S000USDT", NOW + 3_600_000)], "those of the last day"
    rig.fundings.tell_again(NOW - 1)
    assert len(rates(rig)[CHUNK + 7 :]) == CHUNK + 6, "or since then"


async def test_a_funding_without_its_mark_is_said_once_and_told_when_it_has_one(rig: Rig) -> None:
    before = REGISTRY.get_sample_value("pms_fundings_unmarked_total") or 0
    rig.exchange.funding_rates = [settled("BTCUSDT", NOW, mark="")]
    for _ in range(3):
        await rig.fundings._ask(NOW - 1)
    assert REGISTRY.get_sample_value("pms_fundings_unmarked_total") == before + 1
    assert not rates(rig)
    rig.exchange.funding_rates = [settled("BTCUSDT", NOW)]
    await rig.fundings._ask(NOW - 1)
    assert rates(rig) == [("BTCUSDT", NOW)]


async def test_a_page_of_rates_ends_between_those_of_one_instant(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PAGE", 4)
    rig.exchange.funding_rates = [settled(f"S{n}USDT", NOW + n // 3) for n in range(9)]
    await rig.fundings._ask(NOW)
    assert sorted(rates(rig)) == sorted((f"S{n}USDT", NOW + n // 3) for n in range(9))


async def test_a_payment_that_the_feed_tells_is_asked_for_until_the_list_shows_it(rig: Rig) -> None:
    rig.exchange.balances = [{"asset": "USDT", "balance": "100"}]
    rig.exchange.positions = [{"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "1", "entryPrice": "100"}]
    await rig.reconciler.run()
    rig.facts.change(paid("FUNDING_FEE", rig.wall_ms, "100"))
    asked = rig.exchange.asked.count("income")
    for _ in range(3):
        await rig.reconciler.look_again()
    assert rig.exchange.asked.count("income") == asked + 3
    rig.exchange.income = [{**income("BTCUSDT", "FUNDING_FEE", 7), "time": rig.wall_ms}]
    for _ in range(3):
        await rig.reconciler.look_again()
    assert rig.exchange.asked.count("income") == asked + 4
    assert [flow.flow_id for update in told(rig, CashFlows) for flow in update.flows] == [7]


async def test_a_payment_that_never_comes_is_not_asked_for_for_ever(rig: Rig) -> None:
    rig.exchange.balances = [{"asset": "USDT", "balance": "100"}]
    await rig.reconciler.run()
    rig.facts.change(paid("DEPOSIT", rig.wall_ms, "100"))
    asked = rig.exchange.asked.count("income")
    for _ in range(2 * MAX_FLOW_LOOKS):
        rig.facts.stirred = True
        await rig.reconciler.look_again()
    assert rig.exchange.asked.count("income") == asked + MAX_FLOW_LOOKS


def paid(cause: str, at_ms: int, wallet: str) -> wire.AccountUpdate:
    event = wire.decode_event(
        b'{"e":"ACCOUNT_UPDATE","E":%d,"T":%d,"a":{"m":"%b","B":[{"a":"USDT","wb":"%b","cw":"1","bc":"0"}],"P":[]}}'
        % (at_ms, at_ms, cause.encode(), wallet.encode())
    )
    assert isinstance(event, wire.AccountUpdate)
    return event


async def test_r11_who_doubts_a_symbol_is_told_the_executions_of_others_again(rig: Rig) -> None:
    rig.exchange.trades = [traded(1, "1", 55, side="SELL")]
    for _ in range(2):
        await rig.reconciler.compare(["BTCUSDT"], NOW - 1_000)
    await rig.reconciler.compare([], NOW - 1_000)
    assert [update.key for update in told(rig, ForeignOrder)] == ["BTCUSDT:55:1"] * 2
