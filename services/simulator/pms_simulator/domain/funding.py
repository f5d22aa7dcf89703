"""Funding: longs pay shorts (or the other way round) the rate on their notional at the mark.

Owns the amount, its income record and its ACCOUNT_UPDATE (``m`` FUNDING_FEE, ``S`` the symbol). Cross positions are
told of by the balance alone, isolated ones by their position too.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from pms_simulator.domain import events as build
from pms_simulator.domain.account import Account
from pms_simulator.domain.positions import CENT8, ZERO, Holding
from pms_simulator.domain.state import Funding, Market

if TYPE_CHECKING:
    from pms_simulator.domain.engine import Engine


def settle_funding(engine: "Engine", market: Market, rate: Decimal, now_ms: int) -> dict[str, Decimal]:
    """Book ``rate`` (a fraction) on every position; what each account was paid, by account name."""
    market.funding_rate = rate
    market.fundings.append(Funding(rate, market.mark, now_ms))
    paid: dict[str, Decimal] = {}
    for account in engine.accounts.values():
        held = account.holdings.get(market.spec.symbol)
        if held is not None and held.has_position:
            paid[account.name] = _pay(engine, account, held, rate, now_ms)
    return paid


def _pay(engine: "Engine", account: Account, held: Holding, rate: Decimal, now_ms: int) -> Decimal:
    spec = held.spec
    total = ZERO
    legs = [leg for leg in held.legs.values() if leg.quantity]
    for leg in legs:
        amount = (-spec.money(leg.quantity * held.mark) * rate).quantize(CENT8)
        account.cash(spec.symbol, "FUNDING_FEE", amount, now_ms)
        total += amount
    if account.watched:
        changed = [(held, leg) for leg in legs] if held.margin_type == "ISOLATED" else []
        event = build.account_update(account, changed, "FUNDING_FEE", now_ms, f"{total:.8f}")
        event["a"]["S"] = spec.symbol
        engine.events.append((account, event))
    return total
