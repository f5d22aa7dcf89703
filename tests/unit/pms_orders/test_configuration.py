"""How the exchange account has to be configured: what differs is named, with what to do."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tests.unit.pms_orders.orders import spec

from pms_common.contracts.bus.exchange import LeverageBracket
from pms_common.contracts.bus.orders import SymbolSpec
from pms_orders.adapters.binance.exchange_client import VenueUnreachable
from pms_orders.adapters.binance.queries import AccountConfig, SymbolConfig
from pms_orders.app.configuration import Configuration
from pms_orders.domain.configuration import SymbolSetting, Wanted, mismatches


def listed(*symbols: str, **fields: Any) -> dict[str, SymbolSpec]:
    return {symbol: msgspec.structs.replace(spec(), symbol=symbol, **fields) for symbol in symbols}


def tiers(leverage: int) -> tuple[LeverageBracket, ...]:
    return (LeverageBracket(cap=Decimal(10), rate=Decimal("0.01"), cum=Decimal(0), leverage=leverage),)


def wrong(
    settings: Sequence[SymbolSetting] = (),
    specs: dict[str, SymbolSpec] | None = None,
    *,
    hedge: bool = False,
    multi: bool = False,
    leverage: int | None = 20,
) -> list[str]:
    known = listed("AUSDT", "BUSDT") if specs is None else specs
    return mismatches(Wanted(False, leverage), hedge, multi, settings, known, {"BUSDT": tiers(5)})


def test_an_account_as_it_has_to_be() -> None:
    assert wrong([SymbolSetting("AUSDT", "CROSSED", 20), SymbolSetting("BUSDT", "CROSSED", 5)]) == []


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (wrong(hedge=True), "the exchange account is in hedge mode: set PMS_POSITION_MODE"),
        (wrong(multi=True), "set it to single-asset mode"),
        (wrong([SymbolSetting("AUSDT", "ISOLATED", 20)]), "margin type is not CROSSED: set it for AUSDT"),
        (wrong([SymbolSetting("AUSDT", "CROSSED", 10)]), "leverage is not 20: set it, or PMS_EXCHANGE_LEVERAGE, for A"),
        (wrong([SymbolSetting("BUSDT", "CROSSED", 20)]), "for BUSDT (20)"),
    ],
)
def test_each_mismatch_says_what_to_do(found: list[str], text: str) -> None:
    assert len(found) == 1 and text in found[0]


def test_leverage_that_is_not_set_here_is_not_checked() -> None:
    assert wrong([SymbolSetting("AUSDT", "CROSSED", 3)], leverage=None) == []


def test_what_cannot_trade_may_be_configured_anyhow() -> None:
    settings = [SymbolSetting("AUSDT", "ISOLATED", 1), SymbolSetting("GONE", "ISOLATED", 1)]
    assert wrong(settings, listed("AUSDT", status="SETTLING")) == []
    assert wrong(settings, listed("AUSDT", margin_asset="USDC")) == []


def test_many_symbols_are_counted() -> None:
    names = [f"S{n:02}USDT" for n in range(9)]
    (found,) = wrong([SymbolSetting(name, "ISOLATED", 20) for name in names], listed(*names))
    assert found.endswith("S00USDT, S01USDT, S02USDT, S03USDT, S04USDT and 4 more")


async def test_a_change_at_the_exchange_is_seen_and_a_failed_look_changes_nothing() -> None:
    account = AccountConfig(False, False)
    rows = [SymbolConfig("AUSDT", "CROSSED", 20)]
    reports: list[tuple[bool, str]] = []
    state = {"down": False}

    async def account_config() -> AccountConfig:
        if state["down"]:
            raise VenueUnreachable("down")
        return account

    async def symbol_configs() -> list[SymbolConfig]:
        return rows

    queries: Any = SimpleNamespace(account_config=account_config, symbol_configs=symbol_configs)
    watch = Configuration(queries, Wanted(False, 20), listed("AUSDT"), {}, lambda ok, why: reports.append((ok, why)))
    task = asyncio.create_task(watch.run())

    async def until(count: int) -> None:
        async with asyncio.timeout(30):
            while len(reports) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    await until(1)
    assert reports == [(True, "")]
    rows[0].leverage = 10
    watch.changed()
    await until(2)
    assert reports[1][0] is False and "leverage is not 20" in reports[1][1]
    state["down"] = True
    watch.changed()
    await asyncio.sleep(0.05)
    assert len(reports) == 2
    task.cancel()
