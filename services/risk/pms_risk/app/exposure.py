"""What all accounts together stand for: equity, equity at risk, notional. Every few seconds, in slices, in floats.

Owns these gauges. Only looks, at what the sentinel knows. Used by the wiring.
"""

import asyncio
from collections.abc import Mapping
from itertools import islice

from pms_common.metrics import gauge
from pms_risk.domain.liquidation.screen import Row

PERIOD_S = 15.0
AT_ONCE = 64
"""Accounts between two turns of the loop: about 0.2 ms."""

_equity = gauge("risk_equity", "Equity of all accounts together, in USDT")
_at_risk = gauge("risk_equity_at_risk", "Equity of accounts that are near or over their liquidation limit, in USDT")
_near = gauge("risk_accounts_at_risk", "Accounts that are near or over their liquidation limit")
_notional = gauge("risk_notional", "Size of all positions of all accounts at the mid, in USDT, long and short added")


class Exposure:
    """Adds up the rows of the sentinel. Spawn `run`."""

    def __init__(self, rows: Mapping[str, Row], mids: Mapping[str, float]) -> None:
        self._rows, self._mids = rows, mids

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PERIOD_S)

    async def look(self) -> None:
        """Add up once. An account with a position that has no price yet is left out."""
        equity = at_risk = notional = 0.0
        near = 0
        rows = iter(list(self._rows.values()))
        while part := list(islice(rows, AT_ONCE)):
            for row in part:
                stands = row.stand(self._mids)
                if stands is None:
                    continue
                own, needed = stands
                equity += own
                notional += sum([abs(quantity) * self._mids[symbol] for symbol, quantity, _ in row.legs])
                if row.legs and needed >= row.limit * own:
                    at_risk += own
                    near += 1
            await asyncio.sleep(0)
        _equity.set(equity)
        _at_risk.set(at_risk)
        _near.set(near)
        _notional.set(notional)
