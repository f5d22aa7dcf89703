"""The one engine around all plans: hands them what happens, saves before it acts, wakes them, ends them.

What a plan wants saved is in the journal before what it governs leaves, and what caused it is acknowledged only then;
an end is told only then, too. Between a tick and an amend stands no database. Never decides for a plan. A process that
stops leaves its algos as they are. What orders and risk say of children comes through `children`, who holds algos back
or ends them through `controls`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from pms_algos.adapters import store
from pms_algos.app.accounts import Accounts
from pms_algos.app.clock import Clock
from pms_algos.app.kinds import KINDS
from pms_algos.app.kinds.base import Algo, Decision, Kind
from pms_algos.app.kinds.chase import KIND as CHASE
from pms_algos.app.markets import Markets
from pms_algos.app.outputs import Outputs
from pms_algos.app.running import Algos, OnEnd, Running
from pms_algos.app.tape import Tape
from pms_algos.app.wakes import Wakes
from pms_algos.domain.actions import (
    Amend,
    Ask,
    CancelChild,
    ChildAction,
    Ended,
    EndReason,
    Notice,
    Progress,
    Save,
    Started,
)
from pms_algos.domain.chase_state import Chase, ChasePlan
from pms_algos.domain.events import Cancelled, Event, LookedUp, Missed, Quoted, Restarted, Saved, Scene, Woken
from pms_algos.domain.parts import PartChanged, PartEnded, PlanAction, Within, cut_off, shown
from pms_algos.domain.times import later
from pms_common.bus import Outbox
from pms_common.contracts.bus.common import Tick
from pms_common.db import GroupCommit
from pms_common.logging import get_logger
from pms_common.metrics import counter

log = get_logger(__name__)

LOOK_MS = 1_000
"""How often an algo is told of a price that does not move: the pace of progress, and of what waits for no moment."""
SPREAD_MS = 7
"""Between the looks at algos that began together, as all do at a start: thousands in one turn would hold up prices."""

_failures = counter("algo_failures", "Events that a plan could not carry out; the algo ends with `error`", ["kind"])
_amends = counter("algo_amends", "Amends asked for", ["kind"])
_amends_of = {kind: _amends.labels(kind) for kind in KINDS}
_WOKEN = Woken()

Done = Callable[[], None]


class Engine:
    """All algos of this service."""

    def __init__(
        self,
        markets: Markets,
        accounts: Accounts,
        outputs: Outputs,
        outbox: Outbox,
        journal: GroupCommit,
        clock: Clock,
    ) -> None:
        self.markets, self.accounts = markets, accounts
        self.algos = Algos(outputs.child_id)
        self.unreadable: set[str] = set()
        """Algos that run and whose state this version cannot read: their orders are left alone."""
        self._outputs, self._outbox, self._journal = outputs, outbox, journal
        self._now_ms, clock.on_step = clock.now_ms, self._stepped
        self._wakes, self._looks = Wakes(self._wake, clock.now_ms), Wakes(self._look, clock.now_ms)
        self.on_symbols: Callable[[], None] = lambda: None
        """Told when the set of symbols has changed."""

    def scene(self, account_id: str) -> Scene:
        """What an algo of this account sees now."""
        scene = Scene(
            now_ms=self._now_ms(),
            market=lambda symbol: self.markets.market(symbol, account_id, scene.now_ms),
            spec=self.markets.specs.get,
            held=partial(self.accounts.held, account_id),
        )
        return scene

    def _add(self, kind: Kind, algo: Algo, scene: Scene, warnings: tuple[str, ...]) -> Running:
        running = self.algos.add(kind, algo, scene, warnings)
        self._looks.at(scene.now_ms + len(self.algos) * SPREAD_MS % LOOK_MS, running.id)
        return running

    # -- after a start

    def resume(self, loaded: store.Loaded) -> None:
        """Take over what a predecessor left, and tell the ends it did not; no more is done before `lookup_done`."""
        self.unreadable = loaded.unreadable
        for kind, algo in loaded.ended:
            self.algos.remember(kind, algo)
        for kind, algo in loaded.running:
            scene = self.scene(algo.plan.account_id)
            if algo.outcome is not None:
                self._end(self._add(kind, algo, scene, ()))
                continue
            answered = algo.answered or self._outputs.was_answered(algo)
            state, _ = kind.step(algo, Restarted(answered), scene)
            self._add(kind, state, scene, ()).durable = algo.version
        self.on_symbols()

    def lookup_done(self) -> None:
        """Orders has told all it knows: go on with every algo, asking again for children nobody knows."""
        for running in self.algos:
            if not self._await_end(running, LookedUp()):
                self._looked_up(running)

    def _looked_up(self, running: Running) -> None:
        self.step(running, LookedUp(), f"resumed-{self._now_ms()}")
        if running.algo.answered:
            self._outputs.show(running.kind, running.algo)

    def tell_all(self) -> None:
        """Tell readers of every running algo that was shown (a snapshot)."""
        for running in self.algos:
            if running.algo.answered:
                self._outputs.show(running.kind, running.algo)

    # -- start and end

    def start(self, kind: Kind, decision: Decision, warnings: tuple[str, ...], saved: Done) -> None:
        """Begin an algo; `saved` is called once it is durable. One that it replaces ends first, in the same commit."""
        algo: Algo = decision[0]
        running = self._add(kind, algo, self.scene(algo.plan.account_id), warnings)
        self.on_symbols()
        self._await_end(running, Saved())
        self._apply(running, decision, "start", saved)

    def _await_end(self, running: Running, then: Event) -> bool:
        """Nothing happens to an algo before the ones have ended that it replaces; whether there is one."""
        replaced = self._replaced(running.algo)
        if replaced is None:
            return False

        def go_on(_: Algo) -> None:
            running.after = ""
            if self._await_end(running, then):
                return
            if isinstance(then, LookedUp):
                self._looked_up(running)
            else:
                self.step(running, then, "replaced")

        running.after = replaced
        self.cancel(replaced, "cancelled", on_end=go_on)
        return True

    def _replaced(self, algo: Algo) -> str | None:
        """The algo that still runs of those it replaces: one that ended while it waited leaves what it waited for."""
        replaced = algo.plan.replaces_id
        while replaced is not None and self.algos.get(replaced) is None:
            found = self.algos.find(replaced)
            replaced = found[1].plan.replaces_id if found is not None else None
        return replaced

    def answer_again(self, algo_id: str) -> None:
        """Answer the command that started an algo, if its answer was lost; one still starting is answered later."""
        found = self.algos.find(algo_id)
        if found is None:
            return
        kind, algo = found
        if algo.answered:
            self._outputs.started(kind, algo, ())
        elif algo.outcome is not None:
            self._outputs.start_failed(kind, algo)

    def cancel(
        self, algo_id: str, reason: EndReason, close_positions: bool = False, on_end: OnEnd | None = None
    ) -> None:
        """End an algo that runs; `on_end` is called when its end is durable."""
        running = self.algos.get(algo_id)
        assert running is not None
        if on_end is not None:
            running.on_end.append(on_end)
        self.step(running, Cancelled(reason, close_positions), f"cancel-{self._now_ms()}")

    def _end(self, running: Running) -> None:
        """Its end is durable: tell it, and write that it was told. Who finds it untold tells it, under the same key."""
        if self.algos.get(running.id) is None:
            return
        kind, algo = running.kind, running.algo
        if not algo.answered:
            self._outputs.start_failed(kind, algo)
        self._outputs.ended(kind, algo, running.ended_by, self._now_ms())
        self._journal.add(store.SAVE, store.row(kind, algo, running.symbols, over=True))
        self.algos.remove(running)
        for on_end in running.on_end:
            on_end(algo)
        self.on_symbols()

    # -- prices and time

    def missed(self) -> Callable[[list[Tick]], None] | None:
        """Who takes what was quoted while nobody read prices, where there is an algo that must not miss it."""
        must = any(running.kind.seen_us(running.algo) is not None for running in self.algos)
        return self._catch_up if must else None

    def _catch_up(self, ticks: list[Tick]) -> None:
        tape = Tape(ticks)
        for running in self.algos:
            seen_us = running.kind.seen_us(running.algo)
            between = None if seen_us is None else tape.since(running.symbols[0], seen_us)
            if between is not None:
                self.step(running, Missed(*between), f"missed-{self._now_ms()}")

    def tick(self, tick: Tick) -> None:
        """A price. Costs only the algos of its symbol that follow what it moved, and most of those very little."""
        now, event = self._now_ms(), Quoted(tick.symbol)
        moved = self.markets.tick(tick, now)
        market = self.markets.ungated(tick.symbol, now) if moved else None
        if market is None:
            return
        for side in moved:
            for running in self.algos.following(tick.symbol, side):
                if not running.after and not running.kind.unmoved(running.algo, market, now):
                    self._quoted(running, event, now)
        self._outbox.let_go()

    def _look(self, algo_id: str, _: int) -> None:
        running, now = self.algos.get(algo_id), self._now_ms()
        if running is None:
            return
        self._looks.at(now + LOOK_MS, algo_id)
        for symbol in running.symbols:
            if not running.after and self.markets.ungated(symbol, now) is not None:
                self._quoted(running, Quoted(symbol), now)

    def _quoted(self, running: Running, event: Quoted, now_ms: int) -> None:
        running.scene.now_ms = now_ms
        algo = running.algo
        decision = self._decide(running, event)
        if decision[0] is not algo:
            self._apply(running, decision, "")

    def _wake(self, algo_id: str, at_ms: int) -> None:
        running = self.algos.get(algo_id)
        if running is not None and running.algo.wake_ms == at_ms and not running.after:
            running.scene.now_ms = self._now_ms()
            self._apply(running, self._decide(running, _WOKEN), "")

    def _stepped(self, by_ms: int) -> None:
        """The wall clock was set by so much: what was to be in a while is to be in that while."""
        log.warning("clock_stepped", by_ms=by_ms)
        self.markets.stepped(by_ms)
        for wakes in (self._wakes, self._looks):
            wakes.stepped(by_ms)
        for running in self.algos:
            state: Any = running.algo
            running.algo = replace(later(state, by_ms), version=state.version + 1)
            running.scene.now_ms += by_ms
            self._save(running, None)

    # -- what happens, and what follows

    def step(
        self, running: Running, event: Event, cause: str, done: Done | None = None, child_id: str | None = None
    ) -> None:
        """Hand an algo an event; `cause` names what readers are told of it, `done` is called when it is durable."""
        running.scene.now_ms = self._now_ms()
        self._apply(running, self._decide(running, event), cause, done, child_id)

    def _decide(self, running: Running, event: Event) -> Decision:
        """What the plan makes of an event. Where it fails, that is the end of this algo, and of no other.

        One that cannot even end is cut off: it would be there again after a restart, without the event.
        """
        try:
            return running.kind.step(running.algo, event, running.scene)
        except Exception:
            _failures.labels(running.kind.name).inc()
            if not (running.failed and isinstance(event, Quoted)):
                log.exception(
                    "algo_failed",
                    algo_id=running.id,
                    happened=type(event).__name__,
                    traceparent=running.algo.plan.traceparent,
                )
        if running.failed:
            return cut_off(running.algo, running.kind.chases(running.algo))
        running.failed = True
        return self._decide(running, Cancelled("error"))

    def _apply(
        self, running: Running, decision: Decision, cause: str, done: Done | None = None, child_id: str | None = None
    ) -> None:
        """Take the new state and do what it asks for; `done` is called when its causes need not come again.

        Without a cause it is what time or a price brings: once a second, and each change that is saved.
        """
        before, (algo, actions) = running.algo, decision
        running.algo = algo
        if algo.version != before.version:
            self.algos.name_children(running)
        if algo.wake_ms and algo.wake_ms != before.wake_ms:
            self._wakes.at(algo.wake_ms, running.id)
        saving = False
        for action in actions:
            if isinstance(action, Save):
                saving = True
            else:
                self._act(running, action, cause, child_id)
        if saving:
            self._save(running, done)
        elif done is not None and running.durable < algo.version:
            self._journal.then(done)
        elif done is not None:
            done()

    def _act(self, running: Running, action: PlanAction, cause: str, child_id: str | None) -> None:
        kind, algo = running.kind, running.algo
        match action:
            case Amend() | Ask() | CancelChild():
                assert isinstance(algo, Chase)
                self._act_on_child(running, algo.plan, action)
            case Within():
                self._act_on_child(running, action.plan, action.action)
            case PartChanged():
                self._outputs.progress(CHASE, action.part, cause or self._of_time(algo), child_id, self._now_ms())
            case PartEnded():
                self._tell_part(running, action)
            case Progress():
                self._outputs.progress(kind, algo, cause or self._of_time(algo), child_id, self._now_ms())
            case Notice():
                self._outputs.notice(kind, algo, action, child_id, self._now_ms())
            case Started():
                self._outputs.started(kind, algo, running.warnings)
            case Ended():
                running.ended_by = child_id

    def _tell_part(self, running: Running, over: PartEnded) -> None:
        part, now = over.part, self._now_ms()
        child = part.child
        child_id = self.algos.name(running, part.plan, child.number, child.attempt) if child.seen else None
        if over.notice is not None:
            self._outputs.notice(running.kind, running.algo, over.notice, child_id, now)
        if shown(part):
            self._outputs.ended(CHASE, part, child_id, now)

    def _act_on_child(self, running: Running, plan: ChasePlan, action: ChildAction) -> None:
        name = self.algos.name(running, plan, action.number, action.attempt)
        match action:
            case Amend():
                _amends_of[running.kind.name].inc()
                self._outputs.amend(name, plan, action)
            case Ask():
                self._outputs.ask(name, plan, action)
            case CancelChild():
                algo = running.algo
                self._outputs.cancel(name, plan, algo.ending or ("paused" if algo.paused else "replaced"))

    def _of_time(self, algo: Algo) -> str:
        return f"t{self._now_ms() // 1000}:v{algo.version}"

    def _save(self, running: Running, done: Done | None) -> None:
        version = running.algo.version
        self._journal.add(store.SAVE, store.row(running.kind, running.algo, running.symbols))
        self._journal.then(lambda: self._saved(running, version, done))

    def _saved(self, running: Running, version: int, done: Done | None) -> None:
        running.durable = version
        if done is not None:
            done()
        algo = running.algo
        if algo.version != version:
            return
        if algo.outcome is not None:
            self._end(running)
        elif not running.after:
            self.step(running, Saved(), f"v{version}")
