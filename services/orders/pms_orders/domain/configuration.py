"""How the exchange account has to be configured, and what to do where it is not.

Owns the rules: position mode as set here, single-asset margin, and every tradable symbol CROSSED, with the set leverage
where its brackets allow that much. Virtual leverage is risk's and never sent. Pure. Used by the watch over the account.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pms_common.contracts.bus.exchange import LeverageBracket
from pms_common.contracts.bus.orders import SymbolSpec

SHOWN = 5
"""Symbols named in one text."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is set here; `leverage` None: whatever the exchange has."""

    hedge_mode: bool
    leverage: int | None


@dataclass(frozen=True, slots=True)
class SymbolSetting:
    """What the exchange has for a symbol: CROSSED or ISOLATED, and its leverage."""

    symbol: str
    margin_type: str
    leverage: int


def mismatches(
    wanted: Wanted,
    hedge_mode: bool,
    multi_assets: bool,
    settings: Iterable[SymbolSetting],
    specs: Mapping[str, SymbolSpec],
    brackets: Mapping[str, tuple[LeverageBracket, ...]],
) -> list[str]:
    """What is not as it has to be, each with what to do; empty where all is well."""
    found: list[str] = []
    if hedge_mode != wanted.hedge_mode:
        mode = "hedge" if hedge_mode else "one-way"
        found.append(f"the exchange account is in {mode} mode: set PMS_POSITION_MODE or the account's position mode")
    if multi_assets:
        found.append("the exchange account is in multi-assets mode: set it to single-asset mode")
    isolated, levered = [], []
    for setting in settings:
        spec = specs.get(setting.symbol)
        if spec is None or spec.margin_asset != "USDT" or spec.status != "TRADING":
            continue
        if setting.margin_type != "CROSSED":
            isolated.append(setting.symbol)
        if wanted.leverage is not None and setting.leverage != _capped(wanted.leverage, brackets.get(setting.symbol)):
            levered.append(f"{setting.symbol} ({setting.leverage})")
    if isolated:
        found.append(f"margin type is not CROSSED: set it for {_names(isolated)}")
    if levered:
        found.append(f"leverage is not {wanted.leverage}: set it, or PMS_EXCHANGE_LEVERAGE, for {_names(levered)}")
    return found


def _capped(leverage: int, tiers: tuple[LeverageBracket, ...] | None) -> int:
    return min(leverage, tiers[0].leverage) if tiers else leverage


def _names(symbols: list[str]) -> str:
    more = len(symbols) - SHOWN
    return ", ".join(sorted(symbols)[:SHOWN]) + (f" and {more} more" if more > 0 else "")
