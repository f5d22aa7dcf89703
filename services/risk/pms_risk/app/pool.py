"""Watches the exchange account's own margin: warns, stops new risk, then reduces accounts before the venue does.

Owns the measurement, once a second in slices, and which account is reduced: the one nearest its own limit among those
on the side of the pool's heaviest net position. Used by `main`.
"""

import asyncio
import time
from decimal import Decimal

from pms_common.contracts.events import ALL_ACCOUNTS
from pms_common.contracts.events.system import TradingStateChanged
from pms_common.logging import get_logger
from pms_common.metrics import gauge
from pms_risk.app.events import Events
from pms_risk.app.liquidator import Liquidator
from pms_risk.app.state import RiskState
from pms_risk.domain.account import Account
from pms_risk.domain.evaluation import Standing, evaluate
from pms_risk.domain.liquidation.decision import Decision, Tiers, facts_of
from pms_risk.domain.pauses import lasts
from pms_risk.domain.pool import Measured, Measuring
from pms_risk.domain.position import Position

log = get_logger(__name__)

MEASURE_S = 1.0
SLICE_S = 0.0005
COOLDOWN_MS = 5_000
"""Between two reductions for the pool's sake: the first must be seen in the measurement."""

_ratio = gauge("risk_pool_margin_ratio", "Maintenance margin of the exchange account over its equity; it goes at 1")
_needed = gauge("risk_pool_margin_needed", "Initial margin that all accounts may come to need at the exchange")


class PoolWatch:
    """Measures and acts. Spawn `run`."""

    def __init__(self, state: RiskState, liquidator: Liquidator, events: Events, tiers: Tiers) -> None:
        self._state = state
        self._liquidator = liquidator
        self._events = events
        self._tiers = tiers
        self._cool_until_ms = 0

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(MEASURE_S)
            if self._state.reconciliation.known:
                self.take(await self.measure())

    async def measure(self) -> Measured:
        """Add all accounts and the house up, in slices."""
        state = self._state
        measuring = Measuring(state.prices.mark)
        measuring.cash = state.books.house.total("USDT")
        for position in state.books.house.positions.values():
            measuring.hold(position)
        until = time.perf_counter() + SLICE_S
        for account in list(state.books.accounts.values()):
            measuring.add(account)
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + SLICE_S
        return measuring.measured(state.mode, state.exchange_leverage, state.brackets)

    def take(self, measured: Measured) -> None:
        """Act on a measurement."""
        pool = self._state.pool
        before, was_reducing = pool.state, pool.reducing
        pool.take(measured)
        _ratio.set(float(measured.ratio))
        _needed.set(float(measured.needed))
        if pool.state != before:
            log.error("pool_margin", state=pool.state, ratio=str(measured.ratio), equity=str(measured.equity))
        if pool.reducing != was_reducing:
            self._tell()
        now_ms = self._state.now_ms()
        if (
            pool.state == "critical"
            and measured.worst is not None
            and not lasts(self._cool_until_ms, now_ms, COOLDOWN_MS)
        ):
            self._reduce(*measured.worst, now_ms)

    def _tell(self) -> None:
        now_ms = self._state.now_ms()
        event = TradingStateChanged(
            sub_account_id=ALL_ACCOUNTS,
            timestamp_ms=now_ms,
            state="reducing" if self._state.pool.reducing else self._state.gates.state("", ""),
            symbol=None,
            reason="pool_margin",
        )
        self._events.tell(f"pool_margin:{now_ms}", event)

    def _reduce(self, symbol: str, net: Decimal, now_ms: int) -> None:
        """Reduce the account nearest its own limit whose position makes the net larger."""
        if not self._state.prices.fresh(symbol, now_ms):
            return
        found = max(self._candidates(symbol, net), key=lambda one: one[0], default=None)
        if found is None:
            log.error("pool_cannot_be_reduced", symbol=symbol, net=str(net))
            return
        ratio, account, position = found
        self._cool_until_ms = now_ms + COOLDOWN_MS
        standing = self._standing(account, position)
        decision = Decision("reduce", ratio, "POOL_GUARD", None, self._tiers.fraction, position.id)
        self._liquidator.begin(account, decision, facts_of(account, standing, self._tiers, escalating=False))

    def _standing(self, account: Account, position: Position) -> Standing:
        """Of the positions that stand or fall with this one."""
        isolated = position if position.isolated is not None else None
        return evaluate(account, self._state.prices.mark, self._state.brackets, isolated)

    def _candidates(self, symbol: str, net: Decimal) -> list[tuple[Decimal, Account, Position]]:
        found = []
        for account in self._state.books.accounts.values():
            if self._state.courses.under_way(account.id):
                continue
            for position in account.open_positions():
                if position.symbol == symbol and (position.quantity > 0) == (net > 0):
                    found.append((self._standing(account, position).ratio, account, position))
        return found
