"""The one engine around all plans: hands them what happens, saves before it acts, wakes them, remembers how they ended.

Owns the algos in memory. What a plan wants saved is in the journal before what it governs leaves, and what caused it
is acknowledged only then; between a tick and an amend stands no database. Never decides for a plan. A process that
stops leaves its algos as they are.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

from pms_algos.adapters import store
from pms_algos.app.markets import Markets
from pms_algos.app.outputs import Outputs
from pms_algos.app.wakes import Wakes
from pms_algos.domain import chase as plans
from pms_algos.domain.actions import (
    Action,
    Amend,
    Ask,
    CancelChild,
    Ended,
    EndReason,
    Market,
    Progress,
    Save,
    Started,
    StartFailed,
)
from pms_algos.domain.chase_child import ASK_AGAIN_MS, Decision
from pms_algos.domain.chase_quote import PROGRESS_MS
from pms_algos.domain.chase_state import Chase, ChasePlan
from pms_common.bus import Entry, Outbox
from pms_common.contracts.bus.base import FINAL_STATES
from pms_common.contracts.bus.common import Tick
from pms_common.contracts.bus.orders import OrderUpdate, OrderView
from pms_common.contracts.bus.risk import ChildRefused
from pms_common.contracts.errors import ErrorCode
from pms_common.db import GroupCommit
from pms_common.logging import get_logger
from pms_common.metrics import counter, gauge

log = get_logger(__name__)

MAX_ENDED = store.MAX_ENDED
MAX_CHILDREN = 64
"""Names of an algo's children that are recognised; what is told of an older one is over."""

MAX_ORPHANS = 10_000
"""Live orders without a running chase whose last cancel is remembered, so that not every update cancels again."""

_active = gauge("algos_active", "Running algos", ["kind"])
_ended = counter("algos_ended", "Algos that ended", ["kind", "outcome"])
_orphans = counter("algo_orphans", "Cancels of live orders that no running algo owns", ["kind"])
_amends = counter("algo_amends", "Amends asked for", ["kind"])

Done = Callable[[], None]
OnEnd = Callable[[Chase], None]


@dataclass(slots=True)
class Running:
    """An algo in memory: its state, and what spares looking at it again."""

    chase: Chase
    warnings: tuple[str, ...] = ()
    quote: float = 0.0
    due_ms: int = 0
    on_end: list[OnEnd] = field(default_factory=list)
    children: list[str] = field(default_factory=list)


_NOTHING: dict[str, Running] = {}


class Engine:
    """All algos of this service."""

    def __init__(
        self, markets: Markets, outputs: Outputs, outbox: Outbox, journal: GroupCommit, now_ms: Callable[[], int]
    ) -> None:
        self.markets = markets
        self._outputs, self._outbox, self._journal, self._now_ms = outputs, outbox, journal, now_ms
        self._running: dict[str, Running] = {}
        self._by_symbol: dict[str, dict[str, Running]] = {}
        self._children: dict[str, tuple[str, int, int]] = {}
        self._ended: OrderedDict[str, Chase] = OrderedDict()
        self._orphans: OrderedDict[str, int] = OrderedDict()
        self._wakes = Wakes(self._wake, now_ms)
        self.on_symbols: Callable[[], None] = lambda: None
        """Told when the set of symbols has changed."""

    # -- what is there

    def __len__(self) -> int:
        """Running algos."""
        return len(self._running)

    @property
    def symbols(self) -> Iterable[str]:
        """Symbols of running algos."""
        return self._by_symbol.keys()

    def find(self, algo_id: str) -> Chase | None:
        """An algo that runs or ended lately."""
        running = self._running.get(algo_id)
        return running.chase if running is not None else self._ended.get(algo_id)

    def is_running(self, algo_id: str) -> bool:
        """Whether an algo has not ended."""
        return algo_id in self._running

    def resume(self, loaded: store.Loaded) -> None:
        """Take over what a predecessor left; nothing is done before `lookup_done`."""
        for chase in loaded.ended:
            self._remember(chase)
        for chase in loaded.running:
            answered = chase.answered or self._outputs.was_answered(chase)
            self._add(plans.resumed(chase, answered), ())

    def lookup_done(self) -> None:
        """Orders has told all it knows: go on with every algo, asking again for children nobody knows."""
        now = self._now_ms()
        for running in list(self._running.values()):
            market = self._market(running.chase, now)
            self._apply(running, plans.on_lookup_done(running.chase, market, now), f"resumed-{now}")

    def snapshot_ended(self, named: Container[str]) -> None:
        """Orders has named all orders that live: what became of children that are missing is asked."""
        now = self._now_ms()
        for running in list(self._running.values()):
            if running.children[-1] not in named:
                self._apply(running, plans.on_missing(running.chase, now), f"missing-{now}")

    def tell_all(self) -> None:
        """Tell readers of every running algo that was shown (a snapshot)."""
        for running in self._running.values():
            if running.chase.answered:
                self._outputs.state(running.chase)

    # -- commands

    def start(self, plan: ChasePlan, expires_ms: int | None, warnings: tuple[str, ...], saved: Done) -> None:
        """Begin a chase; `saved` is called once it is durable. Its first child expires with the command."""
        chase, actions = plans.start(plan, expires_ms)
        running = self._add(chase, warnings)
        self._apply(running, (chase, actions), "start", saved)

    def answer_again(self, algo_id: str) -> None:
        """Answer the command that started an algo, if its answer was lost; one still starting is answered later."""
        chase = self.find(algo_id)
        if chase is None or (not chase.answered and not chase.ended):
            return
        if chase.answered:
            self._outputs.started(chase, ())
        else:
            error = ErrorCode.CANCELLED_BEFORE_SEND
            self._outputs.start_failed(chase, error, "The chase ended before its first order was at the exchange.")

    def cancel(self, algo_id: str, reason: EndReason, on_end: OnEnd | None = None) -> None:
        """End an algo that runs; `on_end` is called when its end is durable."""
        running = self._running[algo_id]
        if on_end is not None:
            running.on_end.append(on_end)
        self._apply(running, plans.on_cancel(running.chase, reason, self._now_ms()), f"cancel-{self._now_ms()}")

    def cancel_scope(self, account_id: str, symbol: str, reason: EndReason) -> None:
        """End all algos of an account and symbol; an empty string means all of them."""
        for algo_id, running in list(self._running.items()):
            plan = running.chase.plan
            if account_id in ("", plan.account_id) and symbol in ("", plan.symbol):
                self.cancel(algo_id, reason)

    # -- what happens

    def tick(self, tick: Tick) -> bool:
        """A price; whether it is alive.

        Costs only the algos of its symbol, and those only when their side moved or a second passed.
        """
        if not self.markets.tick(tick):
            return False
        now = self._now_ms()
        for running in tuple(self._by_symbol.get(tick.symbol, _NOTHING).values()):
            quote = tick.bid if running.chase.plan.side == "BUY" else tick.ask
            if quote == running.quote and now < running.due_ms:
                continue
            market = self._market(running.chase, now)
            if market is None:
                continue
            running.quote, running.due_ms = quote, now + PROGRESS_MS
            chase = running.chase
            decision = plans.on_quote(chase, market, now)
            if decision[0] is not chase:
                self._apply(running, decision, f"t{now // 1000}")
        return True

    def order(self, update: OrderUpdate, entry: Entry) -> None:
        """An update of an order, perhaps a child of ours. One of a chase that nobody runs must not live."""
        named = self._children.get(update.order.client_order_id)
        running = self._running.get(named[0]) if named else None
        if named is None or running is None:
            if update.order.origin == "CHASE":
                self._orphan(update.order)
            self._outbox.ack(entry)
            return
        spec = self.markets.specs.get(update.order.symbol)
        decision = plans.on_child(running.chase, named[1], named[2], update, spec, self._now_ms())
        cause = f"{update.key}:{update.order.version}" if update.cause == "snapshot" else update.key
        self._apply(running, decision, cause, lambda: self._outbox.ack(entry), update.order.client_order_id)

    def refused(self, refused: ChildRefused, entry: Entry) -> None:
        """Risk refused a child or an amend."""
        named = self._children.get(refused.client_order_id)
        running = self._running.get(named[0]) if named else None
        if named is None or running is None:
            self._outbox.ack(entry)
            return
        chase, now = running.chase, self._now_ms()
        decision = plans.on_refused(chase, *named[1:], refused.amend, refused.error_code, refused.error, now)
        cause = f"{refused.client_order_id}:refused"
        self._apply(running, decision, cause, lambda: self._outbox.ack(entry), refused.client_order_id)

    def _orphan(self, order: OrderView) -> None:
        if order.state in FINAL_STATES:
            self._orphans.pop(order.client_order_id, None)
            return
        now = self._now_ms()
        if now - self._orphans.get(order.client_order_id, 0) < ASK_AGAIN_MS:
            return
        self._orphans[order.client_order_id] = now
        if len(self._orphans) > MAX_ORPHANS:
            self._orphans.popitem(last=False)
        _orphans.labels("chase").inc()
        log.warning("orphan_cancelled", client_order_id=order.client_order_id, parent_id=order.parent_id)
        self._outputs.cancel_orphan(order)

    def _wake(self, algo_id: str, at_ms: int) -> None:
        running = self._running.get(algo_id)
        if running is not None and running.chase.wake_ms == at_ms:
            now = self._now_ms()
            decision = plans.on_clock(running.chase, self._market(running.chase, now), now)
            self._apply(running, decision, f"t{now // 1000}")

    # -- what follows

    def _apply(
        self, running: Running, decision: Decision, cause: str, done: Done | None = None, child_id: str | None = None
    ) -> None:
        """Take the new state and do what it asks for; `done` is called when its causes need not come again."""
        before, (chase, actions) = running.chase, decision
        running.chase = chase
        if chase.child.number != before.child.number or chase.child.attempt != before.child.attempt:
            self._name_child(running)
        if chase.wake_ms and chase.wake_ms != before.wake_ms:
            self._wakes.at(chase.wake_ms, chase.plan.algo_id)
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

    def _act(self, running: Running, action: Action, cause: str, child_id: str | None) -> None:
        chase = running.chase
        match action:
            case Amend():
                _amends.labels("chase").inc()
                self._outputs.amend(chase, action)
            case Ask():
                self._outputs.ask(chase, action)
            case CancelChild():
                self._outputs.cancel(chase, action)
            case Progress():
                self._outputs.progress(chase, cause, child_id, self._now_ms())
            case Started():
                self._outputs.started(chase, running.warnings)
            case StartFailed():
                self._outputs.start_failed(chase, action.code, action.message)
            case Ended():
                self._outputs.ended(chase, child_id, self._now_ms())

    def _save(self, running: Running, done: Done | None) -> None:
        version = running.chase.version
        self._journal.add(store.SAVE, store.row(running.chase))
        self._journal.then(lambda: self._saved(running, version, done))

    def _saved(self, running: Running, version: int, done: Done | None) -> None:
        if done is not None:
            done()
        chase = running.chase
        if chase.version != version:
            return
        if chase.ended:
            self._remove(running)
            return
        now = self._now_ms()
        self._apply(running, plans.on_saved(chase, self._market(chase, now), now), f"v{version}")

    def _market(self, chase: Chase, now_ms: int) -> Market | None:
        return self.markets.market(chase.plan.symbol, chase.plan.account_id, now_ms)

    # -- coming and going

    def _add(self, chase: Chase, warnings: tuple[str, ...]) -> Running:
        plan, running = chase.plan, Running(chase, warnings)
        self._running[plan.algo_id] = running
        self._by_symbol.setdefault(plan.symbol, {})[plan.algo_id] = running
        self._name_child(running)
        _active.labels("chase").set(len(self._running))
        self.on_symbols()
        return running

    def _name_child(self, running: Running) -> None:
        chase, child = running.chase, running.chase.child
        child_id = self._outputs.child_id(chase, child.number, child.attempt)
        self._children[child_id] = (chase.plan.algo_id, child.number, child.attempt)
        running.children.append(child_id)
        if len(running.children) > MAX_CHILDREN:
            self._children.pop(running.children.pop(0), None)

    def _remove(self, running: Running) -> None:
        chase, plan = running.chase, running.chase.plan
        if self._running.pop(plan.algo_id, None) is None:
            return
        of_symbol = self._by_symbol[plan.symbol]
        del of_symbol[plan.algo_id]
        if not of_symbol:
            del self._by_symbol[plan.symbol]
        for child_id in running.children:
            self._children.pop(child_id, None)
        self._remember(chase)
        _active.labels("chase").set(len(self._running))
        _ended.labels("chase", chase.outcome or "").inc()
        for on_end in running.on_end:
            on_end(chase)
        self.on_symbols()

    def _remember(self, chase: Chase) -> None:
        self._ended[chase.plan.algo_id] = chase
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)
