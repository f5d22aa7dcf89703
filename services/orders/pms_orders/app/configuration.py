"""The watch over the exchange account's configuration: a mismatch makes the service not ready, and says what to do.

Owns the looking: at the start, when the exchange tells of a change, and every hour, for not every change is told.
Changes nothing at the exchange: that is an operator's. Spawn `run`.
"""

import asyncio
from collections.abc import Callable, Mapping

from pms_common.contracts.bus.exchange import LeverageBracket
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.logging import get_logger
from pms_orders.adapters.binance.exchange_client import VenueRefused, VenueUnreachable
from pms_orders.adapters.binance.queries import Queries
from pms_orders.domain.configuration import SymbolSetting, Wanted, mismatches

log = get_logger(__name__)

EVERY_S = 3_600.0
RETRY_S = 5.0
LOOK_AFTER_MISMATCH_S = 10.0
"""While something is wrong, somebody is putting it right: 10 weight each time."""


class Configuration:
    """Compares what is set here with what the account has."""

    def __init__(
        self,
        queries: Queries,
        wanted: Wanted,
        specs: Mapping[str, SymbolSpec],
        brackets: Mapping[str, tuple[LeverageBracket, ...]],
        report: Callable[[bool, str], None],
    ) -> None:
        self._queries = queries
        self._wanted = wanted
        self._specs = specs
        self._brackets = brackets
        self._report = report
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """The exchange says that something was changed."""
        self._changed.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            pause_s = await self._look()
            try:
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()

    async def _look(self) -> float:
        """Look once; the seconds until the next time. A look that fails changes nothing about what is known."""
        try:
            account = await self._queries.account_config()
            settings = await self._queries.symbol_configs()
        except (VenueRefused, VenueUnreachable) as error:
            log.warning("configuration_not_seen", error=str(error))
            return RETRY_S
        rows = [SymbolSetting(row.symbol, row.margin_type, row.leverage) for row in settings]
        modes = account.dual_side_position, account.multi_assets_margin
        wrong = mismatches(self._wanted, *modes, rows, self._specs, self._brackets)
        for text in wrong:
            log.error("exchange_account_misconfigured", what=text)
        self._report(not wrong, "; ".join(wrong))
        return LOOK_AFTER_MISMATCH_S if wrong else EVERY_S
