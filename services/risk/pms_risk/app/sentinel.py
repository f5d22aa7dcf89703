"""Watches every account's margin ratio: hears all ticks, looks closely at the few accounts near a limit.

Owns who is looked at and when: a tick marks the accounts within its reach, which are looked at in slices of
0.4 ms; changed accounts within 20 ms; all of them once a second. Decides by exact decimals, on prices that are fresh,
tight and, where that is asked for, near the exchange's mark; a symbol without one counts as the best it can be for the
account. Never sends anything: warnings go out as events, liquidations to the liquidator.
"""

import asyncio
import time
from collections.abc import Mapping
from itertools import islice

from pms_common.contracts.bus.common import Tick
from pms_common.decimals import ZERO
from pms_common.logging import get_logger
from pms_common.metrics import counter, gauge
from pms_risk.app.liquidation_events import LiquidationEvents
from pms_risk.app.liquidator import Liquidator
from pms_risk.app.state import RiskState
from pms_risk.app.watches import Watches
from pms_risk.domain.account import Account, Marks
from pms_risk.domain.evaluation import evaluate
from pms_risk.domain.liquidation.course import Course, name_of
from pms_risk.domain.liquidation.decision import INSOLVENCY, Tiers, facts_of
from pms_risk.domain.liquidation.marks import bound, near, tight
from pms_risk.domain.liquidation.screen import CUSHION, Row, Screen
from pms_risk.domain.liquidation.watch import Guards, Watch
from pms_risk.domain.pauses import lasts
from pms_risk.domain.position import Position

log = get_logger(__name__)

SLICE_S = 0.00035
"""How long looking at accounts may keep everything else waiting: a sweep's slice may be followed at once by one of
looks, and both together are to stay below a millisecond."""
TEND_S = 0.02
"""Between two looks at which accounts have changed: how long new rules, deposits and fills may go unseen."""
SWEEP_S = 1.0
PAUSE_MS = 100
"""Until an account is looked at again that is over its limit and may not be liquidated now."""

_unpriced = gauge(
    "risk_accounts_unpriced", "Accounts that can be judged by a bound only: a position without a fresh, tight price"
)
_looks = counter("risk_evaluations", "Accounts evaluated exactly")


class Sentinel:
    """The watch over all accounts. Spawn `run`; call `tend` every TEND_S."""

    def __init__(
        self,
        state: RiskState,
        liquidator: Liquidator,
        events: LiquidationEvents,
        watches: Watches,
        tiers: Tiers,
        guards: Guards,
    ) -> None:
        self._state = state
        self._liquidator = liquidator
        self._events = events
        self._tiers = tiers
        self._guards = guards
        self._mids: dict[str, float] = {}
        self._taken: dict[str, tuple[int, frozenset[str]]] = {}
        """Version of each account as it was taken, and the names of what stands or falls together in it."""
        self._rows: dict[str, Row] = {}
        self._watches = watches
        self._screen = Screen({})
        self._next: Screen | None = None
        self._due: dict[str, None] = {}
        self._paused: dict[str, int] = {}
        self._blind: set[str] = set()
        self._going_on = False
        liquidator.on_end = self._on_end
        _unpriced.set_function(lambda: len(self._blind))

    @property
    def seen(self) -> tuple[Mapping[str, Row], Mapping[str, float]]:
        """The accounts in floats and the mids, as they are at any time; only to look at."""
        return self._rows, self._mids

    @property
    def busy(self) -> bool:
        """Whether accounts wait to be looked at."""
        return bool(self._due)

    # -- who is looked at

    def on_ticks(self, ticks: list[Tick]) -> None:
        """Newer prices, already known to the state."""
        for tick in ticks:
            mid = tick.mid
            self._mids[tick.symbol] = mid
            for name in self._screen.move(tick.symbol, mid):
                self._due[name] = None
        self._look_on()

    def tend(self) -> None:
        """Take over what has changed about accounts."""
        taken, accounts = self._taken, self._state.books.accounts
        for account in accounts.values():
            known = taken.get(account.id)
            if known is None or known[0] != account.version:
                self._take(account)
        for account_id in taken.keys() - accounts.keys() if len(taken) > len(accounts) else ():
            for name in taken.pop(account_id)[1]:
                self._forget(name)
        self._look_on()

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            await self.sweep()

    async def sweep(self) -> None:
        """Measure every account's reach from the newest prices, in slices."""
        screen = self._next = Screen(self._mids)
        now_ms = self._state.now_ms()
        sound = frozenset([symbol for symbol in self._mids if self._sound(symbol, now_ms)])
        blind = set(self._blind)
        accounts = iter(list(self._state.books.accounts.values()))
        while True:
            until = time.perf_counter() + SLICE_S
            while time.perf_counter() < until:
                part = list(islice(accounts, 8))
                for account in part:
                    self._measure(account, screen, sound)
                if not part:
                    await asyncio.sleep(0)
                    self._swap(screen)
                    for name in self._watches.names():
                        if name not in self._rows:  # gone before a restart
                            self._watches.drop(name)
                    if new := self._blind - blind:
                        log.error("accounts_unpriced", accounts=len(self._blind), new=len(new), one=min(new))
                    return
            await asyncio.sleep(0)

    def _measure(self, account: Account, screen: Screen, sound: frozenset[str]) -> None:
        known = self._taken.get(account.id)
        if known is None or known[0] != account.version:
            self._take(account)
            return
        for name in known[1]:
            row = self._rows[name]
            if screen.put(row) or name in self._watches:
                self._due[name] = None
            if row.symbols <= sound:
                self._blind.discard(name)
            else:
                self._blind.add(name)

    def _swap(self, screen: Screen) -> None:
        self._screen, self._next = screen, None
        moved = [(symbol, mid) for symbol, mid in self._mids.items() if screen.base.get(symbol) != mid]
        for symbol, mid in moved:
            for name in screen.move(symbol, mid):
                self._due[name] = None
        self._look_soon()

    def _take(self, account: Account) -> None:
        isolated = [position for position in account.open_positions() if position.isolated is not None]
        rows = [self._row(account, None), *[self._row(account, position) for position in isolated]]
        names = frozenset([row.name for row in rows])
        _, before = self._taken.get(account.id, (0, names))
        self._taken[account.id] = account.version, names
        for name in before - names:
            self._forget(name)
        for row in rows:
            name = row.name
            self._rows[name] = row
            self._screen.put(row)
            if self._next is not None:
                self._next.put(row)
            self._paused.pop(name, None)
            self._due[name] = None

    def _row(self, account: Account, isolated: Position | None) -> Row:
        name = name_of(account.id, isolated.id if isolated is not None else "")
        return Row(account, self._state.brackets, self._limit(account, name), isolated)

    def _forget(self, name: str) -> None:
        row = self._rows.pop(name)
        course = self._state.courses.get(row.account_id, row.isolated)
        if course is not None and course.done:
            self._liquidator.let_go(course)
        self._screen.drop(name)
        if self._next is not None:
            self._next.drop(name)
        self._watches.drop(name)
        self._blind.discard(name)
        self._paused.pop(name, None)

    def _limit(self, account: Account, name: str) -> float:
        """The margin ratio from which on there may be something to do."""
        threshold = min(account.rules.liquidation_threshold, INSOLVENCY)
        watch = self._watches.get(name)
        warns = account.liquidation_mode == "ADL_30" and threshold > self._tiers.warning
        if warns and (watch is None or not watch.warned):
            threshold -= self._tiers.warning
        return float(threshold)

    # -- looking

    def _look_on(self) -> None:
        """Look at accounts for one slice; the rest after whatever else waits."""
        until = time.perf_counter() + SLICE_S
        while self._due and time.perf_counter() < until:
            name = next(iter(self._due))
            del self._due[name]
            self._look(name)
        self._look_soon()

    def _look_soon(self) -> None:
        if self._due and not self._going_on:
            self._going_on = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._going_on = False
        self._look_on()

    def _look(self, name: str) -> None:
        """Look at what stands or falls together in floats, and exactly where there may be something to do."""
        row = self._rows.get(name)
        if row is None or not row.legs:
            return
        account = self._state.books.accounts.get(row.account_id)
        course = self._state.courses.get(row.account_id, row.isolated)
        if account is None or (course is not None and course.ends and not course.done):
            return
        now_ms = self._state.now_ms()
        watch = self._watches.get(name)
        ratio = row.ratio(self._mids)
        if ratio is not None and ratio < row.limit * (1 - CUSHION):
            if watch is None:
                return
            watch.since_ms = {}
        elif watch is not None and watch.waits(*self._told_ms(row, now_ms), self._guards):
            return
        if not lasts(self._paused.get(name, 0), now_ms, PAUSE_MS):
            self._judge(account, row, now_ms)

    def _told_ms(self, row: Row, now_ms: int) -> tuple[int, int]:
        """Its newest update, and the one that all its prices have had: one whose stream has died does not count as told
        again.

        What is not fresh any more counts as a bound, which asks for nothing.
        """
        prices = self._state.prices
        fresh = [prices.seen_ms(symbol) for symbol in row.symbols if prices.fresh(symbol, now_ms)] or [now_ms]
        return max(fresh), min(fresh)

    def _judge(self, account: Account, row: Row, now_ms: int) -> None:
        isolated = account.position(row.isolated) if row.isolated else None
        if isolated is None and row.isolated:
            return  # it is closed, which the next look at changed accounts sees
        watch = self._watches.of(row.name)
        unsound = {symbol for symbol in row.symbols if not self._sound(symbol, now_ms)}
        self._see(row, unsound)
        if unsound == row.symbols:
            self._put_off(row, watch, now_ms)
            return
        _looks.inc()
        marks = self._bounded(account, unsound, now_ms) if unsound else self._state.prices.mark
        standing = evaluate(account, marks, self._state.brackets, isolated)
        facts = facts_of(account, standing, self._tiers, watch.escalating, unsound)
        if unsound and not facts.over:
            self._put_off(row, watch, now_ms)
            return
        before = (watch.warned, watch.escalating)
        told_ms = self._told_ms(row, now_ms)
        course = self._state.courses.get(account.id, row.isolated)
        under_way = course.decision.gravity if course is not None and not course.done else 0
        judged = watch.judge(facts, *told_ms, self._guards, under_way)
        if (watch.warned, watch.escalating) != before:
            self._watches.keep(row.name)
            self._remember(account, row, watch)
        if judged is None:
            if not watch.waits(*told_ms, self._guards):
                self._pause(row, now_ms)
            return
        decision, facts = judged
        if decision.act == "warn":
            self._events.warn(account, decision, facts, now_ms)
        else:
            self._liquidator.begin(account, decision, facts)

    def _sound(self, symbol: str, now_ms: int) -> bool:
        prices, guards = self._state.prices, self._guards
        quote = prices.quote(symbol)
        return (
            quote is not None
            and prices.fresh(symbol, now_ms)
            and tight(quote, guards.max_spread)
            and near(quote, prices.venue_mark(symbol) if guards.max_mark_gap else None, guards.max_mark_gap)
        )

    def _bounded(self, account: Account, unsound: set[str], now_ms: int) -> Marks:
        """Marks at which the account stands no worse than it can."""
        prices = self._state.prices
        bounds = {}
        cross = [position for position in account.open_positions() if position.isolated is None]
        for symbol in unsound.intersection([position.symbol for position in cross]):  # the row may know more of them
            held = [position for position in cross if position.symbol == symbol]
            quantity = sum([position.quantity for position in held], ZERO)
            entry_price = max([position.entry_price for position in held])
            fresh, venue_mark = prices.fresh(symbol, now_ms), prices.venue_mark(symbol)
            if self._guards.max_mark_gap:
                fresh = fresh and venue_mark is not None
            bounds[symbol] = bound(quantity, entry_price, prices.quote(symbol), fresh, venue_mark)
        return lambda symbol: bounds[symbol] if symbol in bounds else prices.mark(symbol)

    def _see(self, row: Row, unsound: set[str]) -> None:
        """Say that an account, or an isolated position, has come to be judged by bounds."""
        if not unsound:
            self._blind.discard(row.name)
        elif row.name not in self._blind:
            self._blind.add(row.name)
            log.error("account_unpriced", account_id=row.account_id, position=row.isolated, symbol=min(unsound))

    def _put_off(self, row: Row, watch: Watch, now_ms: int) -> None:
        """Nothing can be said of it now."""
        watch.since_ms = {}
        self._pause(row, now_ms)

    def _pause(self, row: Row, now_ms: int) -> None:
        self._paused[row.name] = now_ms + PAUSE_MS

    def _remember(self, account: Account, row: Row, watch: Watch) -> None:
        """Another limit concerns it now."""
        course = self._state.courses.get(account.id, row.isolated)
        if course is not None and not watch.escalating:
            self._liquidator.forget(course)
        self._take(account)
        del self._due[row.name]

    def _on_end(self, account: Account, course: Course) -> None:
        if course.decision.act == "reduce" and not (course.isolated and account.position(course.isolated) is None):
            self._watches.of(course.name).reduced(course.decision, self._state.now_ms(), self._guards)
            self._watches.keep(course.name)
        self._take(account)
