"""Carries out liquidations: clears the way, closes what the course says as it becomes free, tells the end.

Owns the courses under way: attempts at closing (each a close like any other, `closings`), their retries, and what goes
to the house. A course is kept in a Redis hash, written in the same MULTI as what it sends, so that a successor goes on
where it stood; its decision is journalled with the facts it was made from. Never decides whom to liquidate: that is the
sentinel. Used by it, by the order feed and by the algos' updates.
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Literal

import msgspec

from pms_common import ids
from pms_common.bus import Entry, Outbox
from pms_common.contracts.bus.algos import AlgosControlled, Control
from pms_common.contracts.bus.base import encode
from pms_common.decimals import ZERO
from pms_common.logging import get_logger
from pms_common.metrics import counter, gauge
from pms_common.names import Names
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.clearing import Clearing
from pms_risk.app.closings import Closings
from pms_risk.app.liquidation_events import LiquidationEvents
from pms_risk.app.state import RiskState
from pms_risk.app.takeovers import Takeovers
from pms_risk.domain.account import Account
from pms_risk.domain.closing import Closing, closing_side
from pms_risk.domain.liquidation.course import ALARM_AFTER, Course, Target, target_of
from pms_risk.domain.liquidation.decision import Decision, Facts
from pms_risk.domain.orders import LiveOrder
from pms_risk.domain.pauses import lasts
from pms_risk.domain.position import Position

log = get_logger(__name__)

ALGOS_WAIT_MS = 200
"""How long algos with live children are given to answer (the design's bound)."""
REASON = "liquidation"
"""Why the account's other orders are cancelled."""
ORIGIN: Literal["LIQUIDATION"] = "LIQUIDATION"

_begun = counter("risk_liquidations", "Liquidation decisions carried out, by kind", ["kind"])
_stuck = counter("risk_liquidation_alarms", "Liquidations whose orders fail again and again, or that do not end")
_running = gauge("risk_liquidations_running", "Liquidations under way")

_decode = msgspec.json.Decoder(Course).decode


class Liquidator:
    """All courses, by account. `on_end` hears of each that has ended."""

    def __init__(
        self,
        state: RiskState,
        outbox: Outbox,
        journal: Journal,
        events: LiquidationEvents,
        clearing: Clearing,
        closings: Closings,
        takeovers: Takeovers,
        names: Names,
    ) -> None:
        self._state = state
        self._outbox = outbox
        self._journal = journal
        self._events = events
        self._clearing = clearing
        self._closings = closings
        self._takeovers = takeovers
        self._tried: dict[str, Closing] = {}
        """The attempts this process has begun, to learn how they end."""
        self._positions: dict[str, Position] = {}
        """The positions of the courses under way."""
        self._taking: set[str] = set()
        """Takeovers of this process that are not in the database yet."""
        self._stored: dict[str, bytes] = {}
        self._resumed = False
        self.key = names.own("risk", "liquidations")
        self.on_end: Callable[[Account, Course], None] = lambda _account, _course: None
        _running.set_function(lambda: sum(not course.done for course in state.courses.all()))

    # -- beginning

    def begin(self, account: Account, decision: Decision, facts: Facts) -> None:
        """Carry out a decision; the earlier one about the same has ended, or gives way to this graver one.

        What an earlier one has sent goes on: it is reserved, so that nothing is closed twice. What the house has taken
        for it is in the database first: the decision is made again until then.
        """
        now_ms = self._state.now_ms()
        before = self._state.courses.get(account.id, facts.isolated)
        if before is not None and before.takes:
            return
        course = Course(
            id=f"liq_{ids.token(self._state.namespace, account.id, now_ms, decision.kind, decision.position_id)}",
            account_id=account.id,
            decision=decision,
            begun_ms=now_ms,
            from_ms=now_ms,
            targets=[],
            facts=facts,
            isolated=facts.isolated,
        )
        wanted = _cross(account) if course.full else [account.position(decision.position_id)]
        course.targets = [self._target(held, decision) for held in wanted if held is not None]
        log.warning("liquidation", account_id=account.id, course=course.id, kind=decision.kind, tier=decision.tier)
        _begun.labels(decision.kind).inc()
        self._state.courses.put(course)
        self._record(course)
        self._clear(account, course)
        if before is not None and not before.done:
            self._replaced(before, course)
        self._advance(account, course)

    def _record(self, course: Course) -> None:
        if course.facts is not None:  # one that an earlier release has begun has none
            self._journal.liquidation(course.id, course.account_id, course.begun_ms, course.decision, course.facts)

    def _replaced(self, before: Course, course: Course) -> None:
        log.warning("liquidation_replaced", account_id=course.account_id, course=before.id, by=course.id)
        for number, target in enumerate(before.targets):
            self._tried.pop(before.attempt_key(target, number), None)
            if not course.concerns(target.symbol):
                self._clearing.let_go_on(course.account_id, target.symbol, before.id)

    def restore(self, stored: Iterable[bytes | str], booked: Collection[str] = ()) -> None:
        """Take over what a predecessor had begun, before anything it missed is heard. `booked`: which of `takes_of`
        these are in the database."""
        for value in stored:
            course = _decode(value)
            account = self._state.books.accounts.get(course.account_id)
            if account is None:
                continue
            self._state.courses.put(course)
            for target in course.targets:
                self._look(account, target)
                if course.take_key(target) in booked:
                    target.taken()

    def resume(self) -> None:
        """Go on: all live orders are known."""
        self._resumed = True
        for course in self._state.courses.all():
            account = self._state.books.accounts[course.account_id]
            self._record(course)  # killed before its commit, the predecessor has told nobody
            if course.done and not course.full:
                self._go_from(account, course)
                continue
            course.done = False  # of a full one the database may not know
            log.warning("liquidation_resumed", account_id=account.id, course=course.id)
            self._clear(account, course)
            self._advance(account, course)

    def _target(self, position: Position, decision: Decision) -> Target:
        mark = self._state.prices.mark(position.symbol)
        return target_of(position, decision, self._state.specs.get(position.symbol), mark)

    def _clear(self, account: Account, course: Course) -> None:
        """Nothing the account has under way may come after; of an algo elsewhere the children stay. Where an isolated
        position is concerned, all orders elsewhere stay; where the cross ones are, a person's that close one."""
        now_ms = self._state.now_ms()
        action: Control = "stop" if course.ends else "pause"
        cancelled = []
        for symbol in course.scopes:
            cancelled += self._clearing.clear(
                *(account, symbol, now_ms, action, course.id, REASON), spares=partial(_spared, account, course)
            )
        for order in list(account.orders.values()):
            if not course.isolated and not course.concerns(order.symbol) and order.parent_id is None:
                self._closings.way.cancel(order, REASON)
        if any(order.parent_id is not None for order in cancelled):
            course.from_ms = now_ms + ALGOS_WAIT_MS

    # -- going on

    def on_algos(self, answer: AlgosControlled, _: Entry) -> None:
        """The algos have answered."""
        for course in self._state.courses.of(answer.account_id):
            if course.id == answer.token and not course.done:
                course.from_ms = 0
                self._advance(self._state.books.accounts[course.account_id], course)

    def on_progress(self, account: Account) -> None:
        """An order or a position of an account has changed."""
        for course in self._state.courses.of(account.id):
            if not course.done:
                self._advance(account, course)
        whole = self._state.courses.get(account.id)
        if account.status == "LIQUIDATED" and (whole is None or whole.done) and _cross(account):
            # an execution nobody expected any more: it is watched again
            log.error("position_after_liquidation", account_id=account.id)
            account.set_status("FROZEN")
            self._journal.account(account)

    def tend(self) -> None:
        """Go on with what has waited: for the algos, for a price, for another attempt."""
        now_ms = self._state.now_ms()
        for course in [course for course in self._state.courses.all() if not course.done]:
            self._advance(self._state.books.accounts[course.account_id], course)
            if course.overdue(now_ms):
                course.alarm_ms = now_ms
                self._overdue(course)

    def let_go(self, course: Course) -> None:
        """A decision is of no interest once the database has it and what came of it."""
        self._journal.then(partial(self.forget, course))

    def forget(self, course: Course) -> None:
        """A decision is of no interest any more."""
        if self._state.courses.get(course.account_id, course.isolated) is course:
            self._state.courses.drop(course)
            self._stored.pop(course.name, None)
            self._outbox.command("HDEL", self.key, course.name)

    def _advance(self, account: Account, course: Course) -> None:
        """Do what can be done now; end the course where nothing is left."""
        for target in course.targets:
            self._look(account, target)
        if not self._resumed or lasts(course.from_ms, self._state.now_ms(), ALGOS_WAIT_MS):
            self._store(course)
            return
        if course.full:
            known = {target.position_id for target in course.targets}
            new = [held for held in _cross(account) if held.id not in known]
            course.targets += [self._target(held, course.decision) for held in new]
        for number, target in enumerate(course.targets):
            self._close(account, course, target, number)
        self._store(course)
        if course.finished and not (course.full and _left(account, course)):
            self._end(account, course)

    def _overdue(self, course: Course) -> None:
        _stuck.inc()
        account = self._state.books.accounts[course.account_id]
        left = [target.symbol for target in course.targets if target.excess]
        log.error(
            "liquidation_overdue", account_id=account.id, course=course.id, left=left, orders=list(account.orders)
        )

    def _look(self, account: Account, target: Target) -> None:
        """What has become of a position: its object tells it even after its end."""
        position = account.position(target.position_id)
        if position is not None:
            self._positions[position.id] = position
        seen = self._positions.get(target.position_id)
        if seen is not None:
            target.moved(seen)
        if position is None:
            target.left = ZERO

    def _close(self, account: Account, course: Course, target: Target, number: int) -> None:
        """See to it that one position is being closed."""
        if target.take_price is not None:
            self._take(account, course, target, account.position(target.position_id))
            return
        key = course.attempt_key(target, number)
        if target.trying and self._is_trying(account.id, target, key):
            return
        now_ms = self._state.now_ms()
        if target.trying:
            closing = self._tried.pop(key, None)
            target.ended(closing.error_code if closing is not None else "", now_ms)
            _alarm(course, target, closing)
        position = account.position(target.position_id)
        if not target.excess or position is None:
            return
        if target.refused:
            self._give_to_house(account, course, target, position)
        elif not target.pauses(now_ms) and target.symbol in self._state.specs:
            self._try(course, target, number)

    def _is_trying(self, account_id: str, target: Target, key: str) -> bool:
        """Whether an attempt goes on."""
        under_way = self._closings.under_way(account_id, target.symbol, target.leg)
        return any(closing.key == key for closing in under_way)

    def _try(self, course: Course, target: Target, number: int) -> None:
        if not target.attempt:
            symbol = target.symbol
            target.settle(course.decision, self._state.specs[symbol], self._state.prices.mark(symbol))
        target.try_again()
        tier = course.decision.tier
        key = course.attempt_key(target, number)
        closing = self._tried[key] = Closing(
            key=key,
            account_id=course.account_id,
            symbol=target.symbol,
            leg=target.leg,
            position_id=target.position_id,
            seed=key,
            request_id=course.id,
            command=f"ADL_TIER{tier}" if tier is not None else "LIQUIDATE",
            origin=ORIGIN,
            unsent=None,
            leave=target.keep,
        )
        self._store(course)
        self._closings.begin(closing)

    def _give_to_house(self, account: Account, course: Course, target: Target, position: Position) -> None:
        """What the exchange does not take, as soon as no live order may close it any more, and at a fresh mid only."""
        if account.holding(target.symbol, target.leg).side(closing_side(position)):
            return
        now_ms = self._state.now_ms()
        price = self._state.prices.fresh_mark(target.symbol, now_ms)
        if price is not None:
            target.take(price, now_ms)
            self._take(account, course, target, position)

    def _take(self, account: Account, course: Course, target: Target, position: Position | None) -> None:
        """Take over what was told once: a successor that does not find it in the database takes the same at the same
        price, whatever is held by now. What is left has to wait until it is there."""
        key = course.take_key(target)
        if key in self._taking:
            return
        self._taking.add(key)
        quantity = min(target.take_quantity, abs(position.quantity)) if position is not None else ZERO
        if position is not None and target.take_price is not None and quantity:
            reference = course.take_reference(target)
            self._takeovers.take(
                *(account, position, quantity, target.take_price, reference, target.take_ms), releases=False
            )
            target.moved(position)
        self._store(course)
        self._journal.then(partial(self._taken, account, course, target, key), hurry=True)

    def _taken(self, account: Account, course: Course, target: Target, key: str) -> None:
        """The database has it."""
        self._taking.remove(key)
        target.taken()
        self._advance(account, course)

    # -- ending

    def _end(self, account: Account, course: Course) -> None:
        course.done = True
        for target in course.targets:
            self._positions.pop(target.position_id, None)
        if course.full:
            account.set_status("LIQUIDATED")
            self._journal.account(account)
        elif not course.ends:
            for symbol in course.scopes:
                self._clearing.let_go_on(account.id, symbol, course.id)
        self._events.ended(account, course, self._state.now_ms())
        log.warning("liquidation_done", account_id=account.id, course=course.id, attempts=course.attempts)
        self._store(course)
        self._go_from(account, course)

    def _go_from(self, account: Account, course: Course) -> None:
        """It is done. What comes next depends on a reduction of the third tier, for as long as there may be a next."""
        if course.decision.tier != 3 or (course.isolated and account.position(course.isolated) is None):
            self.let_go(course)
        self.on_end(account, course)

    def _store(self, course: Course) -> None:
        value = encode(course)
        if self._stored.get(course.name) != value:
            self._stored[course.name] = value
            self._outbox.command("HSET", self.key, course.name, value)


def takes_of(stored: Iterable[bytes | str]) -> list[str]:
    """The takeovers that these courses have told: references of their moves, where the database has them."""
    courses = [_decode(value) for value in stored]
    return [course.take_key(target) for course in courses for target in course.targets if target.take_price]


def _spared(account: Account, course: Course, order: LiveOrder) -> bool:
    """Whether an order only closes an isolated position that the course does not concern."""
    position = account.holding(order.symbol, order.leg).position
    closes = position is not None and position.isolated is not None and order.reduce_only and order.parent_id is None
    return course.full and closes


def _left(account: Account, course: Course) -> bool:
    """Whether a full course has orders to wait for, or positions that came after it began."""
    return bool(_cross(account)) or any(not _spared(account, course, order) for order in account.orders.values())


def _cross(account: Account) -> list[Position]:
    return [position for position in account.open_positions() if position.isolated is None]


def _alarm(course: Course, target: Target, closing: Closing | None) -> None:
    if target.failures >= ALARM_AFTER:
        _stuck.inc()
        log.error(
            "liquidation_stuck",
            account_id=course.account_id,
            course=course.id,
            symbol=target.symbol,
            failures=target.failures,
            error=closing.error if closing is not None else "",
        )
