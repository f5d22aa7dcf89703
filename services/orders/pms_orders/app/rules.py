"""The venue's trading rules, margin tiers and the account's fee rates, as they are now.

Owns them, and the reading again: the venue changes ticks, steps and tiers of single symbols, lists and delists others,
and moves fee rates with the account's volume, without telling it on any stream. Whoever has `specs` or `brackets` sees
the change; other services are told. A standby reads them, too: it may lead at any moment. Used by the start-up; spawn
`run`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from pms_common.contracts.bus.exchange import LeverageBracket
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.logging import get_logger
from pms_orders.adapters.binance.exchange_client import ExchangeClient, VenueRefused, VenueUnreachable
from pms_orders.adapters.binance.exchange_info import apply_limits, symbol_spec
from pms_orders.adapters.binance.queries import Queries
from pms_orders.domain.rate import Budget

log = get_logger(__name__)

EVERY_S = 300.0
"""27 weight each time. Until then the exchange refuses what a change has made wrong."""


@dataclass(slots=True)
class Rules:
    """Rules by symbol, fee rates (fractions of the notional), the account's position mode, tiers by symbol."""

    specs: dict[str, SymbolSpec]
    maker_fee: Decimal
    taker_fee: Decimal
    hedge_mode: bool
    brackets: dict[str, tuple[LeverageBracket, ...]]

    def take(self, fresh: "Rules") -> bool:
        """Bring these in line, in place; whether something is another. What is not listed any more stays known."""
        known = dict(self.specs), dict(self.brackets), self.maker_fee, self.taker_fee
        self.specs.update(fresh.specs)
        self.brackets.update(fresh.brackets)
        self.maker_fee, self.taker_fee, self.hedge_mode = fresh.maker_fee, fresh.taker_fee, fresh.hedge_mode
        return known != (self.specs, self.brackets, self.maker_fee, self.taker_fee)


async def read_rules(rest: ExchangeClient, budget: Budget) -> Rules:
    """Ask the venue, and give the budget its limits. Raises `VenueRefused` or `VenueUnreachable`."""
    queries = Queries(rest)
    info = await rest.exchange_info()
    apply_limits(budget, info.rate_limits)
    specs = {symbol.symbol: symbol_spec(symbol) for symbol in info.symbols}
    ours = next((name for name, spec in specs.items() if spec.margin_asset == "USDT"), None)
    if ours is None:
        raise VenueUnreachable("exchangeInfo lists no symbol that is margined in USDT")
    fees = await rest.fee_rates(ours)
    hedge_mode = (await queries.account_config()).dual_side_position
    brackets = await queries.brackets()
    return Rules(specs, fees.maker_commission_rate, fees.taker_commission_rate, hedge_mode, brackets)


class RulesKeeper:
    """Reads the rules again."""

    def __init__(self, rules: Rules, rest: ExchangeClient, budget: Budget) -> None:
        self.rules = rules
        self.tell: Callable[[], None] = lambda: None
        """Publishes them; nobody does before this process leads."""
        self._rest = rest
        self._budget = budget

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.read()

    async def read(self) -> None:
        """Read once. What the venue does not answer stays as it was known."""
        try:
            fresh = await read_rules(self._rest, self._budget)
        except (VenueRefused, VenueUnreachable) as error:
            log.warning("rules_not_read", error=str(error))
            return
        if self.rules.take(fresh):
            log.info("rules_changed")
            self.tell()
