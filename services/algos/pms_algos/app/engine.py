"""The one engine around all plans: hands them what happens, saves before it acts, wakes them, ends them.

What a plan wants saved is in the journal before what it governs leaves, and what caused it is acknowledged only then;
between a tick and an amend stands no database. Never decides for a plan. A process that stops leaves its algos as they
are.
"""

from collections import OrderedDict
from collections.abc import Callable, Container
from functools import partial

from pms_algos.adapters import store
from pms_algos.app.accounts import Accounts
from pms_algos.app.kinds.base import Algo, Decision, Kind
from pms_algos.app.markets import Markets
from pms_algos.app.outputs import TAGS, Outputs
from pms_algos.app.running import Algos, OnEnd, Running
from pms_algos.app.wakes import Wakes
from pms_algos.domain import pauses
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
    StartFailed,
)
from pms_algos.domain.chase_child import ASK_AGAIN_MS
from pms_algos.domain.chase_quote import PROGRESS_MS
from pms_algos.domain.chase_state import Chase, ChasePlan
from pms_algos.domain.events import (
    AccountChanged,
    Cancelled,
    Event,
    LookedUp,
    Missing,
    Paused,
    Quoted,
    Refused,
    Restarted,
    Resumed,
    Saved,
    Scene,
    Told,
    Woken,
)
from pms_algos.domain.parts import PlanAction, Within
from pms_common.bus import Entry, Outbox
from pms_common.contracts.bus.algos import ControlAlgos
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.common import Tick
from pms_common.contracts.bus.orders import OrderUpdate, OrderView
from pms_common.contracts.bus.risk import AccountState, ChildRefused
from pms_common.contracts.errors import ErrorCode
from pms_common.db import GroupCommit
from pms_common.logging import get_logger
from pms_common.metrics import counter

log = get_logger(__name__)

MAX_ORPHANS = 10_000
"""Live orders without a running algo whose last cancel is remembered, so that not every update cancels again."""

_orphans = counter("algo_orphans", "Cancels of live orders that no running algo owns", ["kind"])
_failures = counter("algo_failures", "Events that a plan could not carry out; the algo ends with `error`", ["kind"])
_amends = counter("algo_amends", "Amends asked for", ["kind"])

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
        now_ms: Callable[[], int],
    ) -> None:
        self.markets, self.accounts = markets, accounts
        self.algos = Algos(outputs.child_id)
        self._outputs, self._outbox, self._journal, self._now_ms = outputs, outbox, journal, now_ms
        self._orphans: OrderedDict[str, int] = OrderedDict()
        self._unreadable: set[str] = set()
        self._wakes = Wakes(self._wake, now_ms)
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

    # -- after a start

    def resume(self, loaded: store.Loaded) -> None:
        """Take over what a predecessor left; nothing is done before `lookup_done`."""
        self._unreadable = loaded.unreadable
        for kind, algo in loaded.ended:
            self.algos.remember(kind, algo)
        for kind, algo in loaded.running:
            answered = algo.answered or self._outputs.was_answered(algo)
            scene = self.scene(algo.plan.account_id)
            state, _ = kind.step(algo, Restarted(answered), scene)
            self.algos.add(kind, state, scene, ())
        self.on_symbols()

    def lookup_done(self) -> None:
        """Orders has told all it knows: go on with every algo, asking again for children nobody knows."""
        for running in self.algos:
            if not self._await_end(running, LookedUp()):
                self._looked_up(running)

    def _looked_up(self, running: Running) -> None:
        self._step(running, LookedUp(), f"resumed-{self._now_ms()}")
        if running.algo.answered:
            self._outputs.show(running.kind, running.algo)

    def snapshot_ended(self, named: Container[str]) -> None:
        """Orders has named all orders that live: what became of children that are missing is asked."""
        cause = f"missing-{self._now_ms()}"
        for running in self.algos:
            for chase in tuple(running.kind.chases(running.algo)):
                if self._outputs.child_id(chase.plan, chase.child.number, chase.child.attempt) not in named:
                    self._step(running, Missing(chase.plan.algo_id), cause)

    def tell_all(self) -> None:
        """Tell readers of every running algo that was shown (a snapshot)."""
        for running in self.algos:
            if running.algo.answered:
                self._outputs.show(running.kind, running.algo)

    # -- commands

    def start(self, kind: Kind, decision: Decision, warnings: tuple[str, ...], saved: Done) -> None:
        """Begin an algo; `saved` is called once it is durable. One that it replaces ends first, in the same commit."""
        algo: Algo = decision[0]
        running = self.algos.add(kind, algo, self.scene(algo.plan.account_id), warnings)
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
                self._step(running, then, "replaced")

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
            error = ErrorCode.CANCELLED_BEFORE_SEND
            self._outputs.start_failed(kind, algo, error, "It ended before its first order was at the exchange.")

    def cancel(
        self, algo_id: str, reason: EndReason, close_positions: bool = False, on_end: OnEnd | None = None
    ) -> None:
        """End an algo that runs; `on_end` is called when its end is durable."""
        running = self.algos.get(algo_id)
        assert running is not None
        if on_end is not None:
            running.on_end.append(on_end)
        self._step(running, Cancelled(reason, close_positions), f"cancel-{self._now_ms()}")

    def pause(self, algo_id: str, by: str, saved: Done | None = None) -> None:
        """Have an algo that runs take its orders back and wait; `saved` is called when that is durable."""
        self._control(algo_id, Paused(by), saved)

    def go_on(self, algo_id: str, by: str, saved: Done | None = None) -> None:
        """Have an algo that runs go on; `saved` is called when that is durable."""
        self._control(algo_id, Resumed(by), saved)

    def _control(self, algo_id: str, event: Event, saved: Done | None) -> None:
        running = self.algos.get(algo_id)
        assert running is not None
        self._step(running, event, f"control-{self._now_ms()}", saved)

    def control(self, control: ControlAlgos, saved: Done) -> None:
        """Do what is asked, and answer at once: from here on nothing more is asked for."""
        concerned = [
            running
            for running in self.algos.of_account(control.account_id)
            if (not control.symbol or control.symbol in running.symbols)
            and not (control.spare_closing and not running.kind.opens(running.algo))
        ]
        for running in concerned:
            match control.action:
                case "stop":
                    self.cancel(running.id, control.reason)
                case "pause":
                    self.pause(running.id, pauses.risk(control.symbol))
                case "resume":
                    self.go_on(running.id, pauses.risk(control.symbol))
        self._outputs.controlled(control, tuple(running.id for running in concerned))
        self._journal.then(saved)

    def cancel_scope(self, account_id: str, symbol: str, reason: EndReason) -> None:
        """End all algos of an account and symbol; an empty string means all of them."""
        for running in self.algos.of_account(account_id) if account_id else self.algos:
            if not symbol or symbol in running.symbols:
                self.cancel(running.id, reason)

    # -- what happens

    def tick(self, tick: Tick) -> bool:
        """A price; whether it is alive.

        Costs only the algos of its symbol, and those only when their side moved or a second passed.
        """
        if not self.markets.tick(tick):
            return False
        now, event = self._now_ms(), Quoted(tick.symbol)
        for running in self.algos.of_symbol(tick.symbol):
            side = running.side
            quote = tick.bid if side == "BUY" else tick.ask if side == "SELL" else tick.bid + tick.ask
            if (quote == running.quote and now < running.due_ms) or running.after:
                continue
            running.quote, running.due_ms = quote, now + PROGRESS_MS
            running.scene.now_ms = now
            algo = running.algo
            decision = self._decide(running, event)
            if decision[0] is not algo:
                self._apply(running, decision, _of_time(decision, now))
        return True

    def account(self, state: AccountState) -> None:
        """An account's positions, or its status: what may open risk waits while the account is frozen.

        What is told first counts as a change: the account may have changed while nobody listened.
        """
        before = self.accounts.take(state)
        running = self.algos.of_account(state.account_id)
        if state.status != before:
            for one in running:
                self._follow_status(one, state.status)
        for one in running:
            self._step(one, AccountChanged(), f"account-{state.epoch}-{state.n}")

    def accounts_known(self) -> None:
        """Risk has told all accounts since the start: positions count from now on."""
        self.accounts.complete = True
        for running in self.algos:
            self._step(running, AccountChanged(), f"accounts-{self._now_ms()}")

    def _follow_status(self, running: Running, status: str) -> None:
        if status == "LIQUIDATED":
            self.cancel(running.id, "risk")
        elif not running.kind.opens(running.algo):
            return
        elif status == "FROZEN":
            self.pause(running.id, pauses.FROZEN)
        else:
            self.go_on(running.id, pauses.FROZEN)

    def order(self, update: OrderUpdate, entry: Entry) -> None:
        """An update of an order, perhaps a child of ours. One of an algo that nobody runs must not live."""
        known = self.algos.child(update.order.client_order_id)
        if known is None:
            if update.order.origin in TAGS:
                self._orphan(update.order)
            self._outbox.ack(entry)
            return
        running, child = known
        cause = f"{update.key}:{update.order.version}" if update.cause == "snapshot" else update.key
        acknowledge = partial(self._outbox.ack, entry)
        self._step(running, Told(*child, update), cause, acknowledge, update.order.client_order_id)

    def refused(self, refused: ChildRefused, entry: Entry) -> None:
        """Risk refused a child or an amend."""
        known = self.algos.child(refused.client_order_id)
        if known is None:
            self._outbox.ack(entry)
            return
        running, child = known
        event = Refused(*child, refused.amend, refused.error_code, refused.error)
        cause, acknowledge = f"{refused.client_order_id}:refused", partial(self._outbox.ack, entry)
        self._step(running, event, cause, acknowledge, refused.client_order_id)

    def _orphan(self, order: OrderView) -> None:
        if order.parent_id in self._unreadable:
            return  # its algo may run again under a version that can read it
        if order.state in FINAL_STATES:
            self._orphans.pop(order.client_order_id, None)
            return
        now = self._now_ms()
        if now - self._orphans.get(order.client_order_id, 0) < ASK_AGAIN_MS:
            return
        self._orphans[order.client_order_id] = now
        if len(self._orphans) > MAX_ORPHANS:
            self._orphans.popitem(last=False)
        _orphans.labels(order.origin.lower()).inc()
        log.warning("orphan_cancelled", client_order_id=order.client_order_id, parent_id=order.parent_id)
        self._outputs.cancel_orphan(order)

    def _wake(self, algo_id: str, at_ms: int) -> None:
        running = self.algos.get(algo_id)
        if running is not None and running.algo.wake_ms == at_ms and not running.after:
            running.scene.now_ms = now = self._now_ms()
            decision = self._decide(running, Woken())
            self._apply(running, decision, _of_time(decision, now))

    # -- what follows

    def _step(
        self, running: Running, event: Event, cause: str, done: Done | None = None, child_id: str | None = None
    ) -> None:
        running.scene.now_ms = self._now_ms()
        self._apply(running, self._decide(running, event), cause, done, child_id)

    def _decide(self, running: Running, event: Event) -> Decision:
        """What the plan makes of an event. Where it fails, that is the end of this algo, and of no other."""
        try:
            return running.kind.step(running.algo, event, running.scene)
        except Exception:
            _failures.labels(running.kind.name).inc()
            if not (running.failed and isinstance(event, Quoted)):
                log.exception("algo_failed", algo_id=running.id, happened=type(event).__name__)
        if running.failed:
            return running.algo, ()
        running.failed = True
        return self._decide(running, Cancelled("error"))

    def _apply(
        self, running: Running, decision: Decision, cause: str, done: Done | None = None, child_id: str | None = None
    ) -> None:
        """Take the new state and do what it asks for; `done` is called when its causes need not come again."""
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
        elif done is not None:
            done()

    def _act(self, running: Running, action: PlanAction, cause: str, child_id: str | None) -> None:
        kind, algo = running.kind, running.algo
        match action:
            case Within():
                self._act_on_child(running, action.plan, action.action)
            case Amend() | Ask() | CancelChild():
                assert isinstance(algo, Chase)
                self._act_on_child(running, algo.plan, action)
            case Progress():
                self._outputs.progress(kind, algo, cause, child_id, self._now_ms())
            case Notice():
                self._outputs.notice(kind, algo, action, child_id, self._now_ms())
            case Started():
                self._outputs.started(kind, algo, running.warnings)
            case StartFailed():
                self._outputs.start_failed(kind, algo, action.code, action.message)
            case Ended():
                self._outputs.ended(kind, algo, child_id, self._now_ms())

    def _act_on_child(self, running: Running, plan: ChasePlan, action: ChildAction) -> None:
        match action:
            case Amend():
                _amends.labels(running.kind.name).inc()
                self._outputs.amend(plan, action)
                self._outbox.let_go()
            case Ask():
                self._outputs.ask(plan, action)
            case CancelChild():
                algo = running.algo
                self._outputs.cancel(plan, action, algo.ending or ("paused" if algo.paused else "replaced"))

    def _save(self, running: Running, done: Done | None) -> None:
        version = running.algo.version
        self._journal.add(store.SAVE, store.row(running.kind, running.algo, running.symbols))
        self._journal.then(lambda: self._saved(running, version, done))

    def _saved(self, running: Running, version: int, done: Done | None) -> None:
        if done is not None:
            done()
        algo = running.algo
        if algo.version != version:
            return
        if algo.outcome is not None:
            self._end(running)
        elif not running.after:
            self._step(running, Saved(), f"v{version}")

    def _end(self, running: Running) -> None:
        if self.algos.get(running.id) is None:
            return
        self.algos.remove(running)
        for on_end in running.on_end:
            on_end(running.algo)
        self.on_symbols()


def _of_time(decision: Decision, now_ms: int) -> str:
    """The cause of what time or a price brings: once a second, and each change that is saved."""
    return f"t{now_ms // 1000}:v{decision[0].version}"
