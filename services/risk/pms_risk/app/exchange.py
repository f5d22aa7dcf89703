"""Facts of the exchange account, and whether the books equal them.

Owns the first look (what is found becomes the house's), the periodic comparison, its alarm, event and metrics, and when
evidence is asked for: the executions of a symbol that differs, and the cash flows, since it was last seen equal. Never
changes a book to make it fit. Used by `updates` and by the periodic check.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pms_common.bus import Entry, Outbox
from pms_common.contracts.bus.orders import ExchangeAccount
from pms_common.contracts.events import ALL_ACCOUNTS
from pms_common.contracts.events.system import ReconciliationDrift
from pms_common.decimals import ZERO
from pms_common.logging import get_logger
from pms_common.metrics import counter, gauge
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.events import Events
from pms_risk.app.state import RiskState
from pms_risk.domain.first_look import Unseen, unseen
from pms_risk.domain.house import HOUSE
from pms_risk.domain.opening import open_house
from pms_risk.domain.reconciliation import Drift

log = get_logger(__name__)

CHECK_S = 2.0
"""Between two comparisons: longer than the exchange takes from a fact about the account to the execution behind it."""

ASK_AGAIN_MS = 30_000
"""Between the first two questions about a difference that lasts; each further pause is twice as long."""
MAX_PAUSE_MS = 3_600_000
DAY_MS = 86_400_000
"""How far back is asked where books and exchange were never seen equal."""
MARGIN_MS = 60_000
"""Of what may differ between this machine's clock and the exchange's, and between a trade and its telling."""

_questions = counter("risk_drift_questions", "Times that the executions of symbols that differ were asked for")
_difference = gauge("risk_books_difference", "Confirmed difference, exchange less books, by asset or symbol", ["what"])
_drifts = gauge("risk_drifts", "Confirmed differences between books and exchange")


@dataclass(frozen=True, slots=True)
class Asked:
    """When a lasting difference is asked about again, and how long that is after the last time."""

    again_ms: int
    pause_ms: int


Doubt = Callable[[Sequence[str], int], None]
"""Have the order service ask the exchange for the executions on symbols since a time, and tell all of them again."""


class Exchange:
    """Takes the exchange's facts and holds the books against them."""

    def __init__(self, state: RiskState, outbox: Outbox, journal: Journal, events: Events) -> None:
        self._state = state
        self._outbox = outbox
        self._journal = journal
        self._events = events
        self._shown: dict[str, Drift] = {}
        self._asked: dict[str, Asked] = {}
        self._opening = False
        """Whether the first look is on its way to the database."""

    def on_facts(self, facts: ExchangeAccount, entry: Entry) -> None:
        """What changed at the exchange, or everything. The first look is taken once, whatever crashes."""
        self._state.reconciliation.take(facts, self._state.now_ms())
        opened_ms = self._state.books.house.opened_ms
        changes = unseen(facts, opened_ms) if opened_ms is not None else []
        if facts.complete and opened_ms is None:
            self._opening = True
            self._open_house(facts)
            self._journal.then(self._opened)
        elif changes:
            self._note(changes)
        elif not self._opening:
            self._outbox.ack(entry)
            return
        self._journal.then(partial(self._outbox.ack, entry))  # after a kill all of it is seen again

    def _note(self, changes: list[Unseen]) -> None:
        for change in changes:
            noted = self._state.books.note_unseen(change)
            if noted is not None:
                self._journal.house(noted)
                log.warning("not_in_the_first_look", change=str(change.change), at_ms=change.at_ms)

    def _opened(self) -> None:
        self._opening = False

    def _open_house(self, facts: ExchangeAccount) -> None:
        entries, positions = open_house(self._state.books, facts)
        for entry in entries:
            self._journal.house(entry)
        for position in positions:
            self._journal.position(position, HOUSE, facts.event_ms)
        log.info("house_opened", assets=len(entries), positions=len(positions))

    def check(self, doubt: Doubt) -> None:
        """Compare once; tell what is newly confirmed and what has ended, ask for evidence of what lasts."""
        reconciliation, now_ms = self._state.reconciliation, self._state.now_ms()
        reconciliation.check(self._state.books, now_ms)
        confirmed = {drift.what: drift for drift in reconciliation.confirmed}
        for what, drift in self._shown.items():
            if what not in confirmed:
                _difference.remove(what)
                self._tell_end(drift)
        for what, drift in confirmed.items():
            _difference.labels(what).set(float(drift.difference))
            if what not in self._shown:
                self._tell(drift)
        self._shown = confirmed
        _drifts.set(len(confirmed))
        self._ask(doubt, now_ms)

    def _ask(self, doubt: Doubt, now_ms: int) -> None:
        """Ask about each frozen symbol and each wallet that differs, and ever more seldom again while it stays so."""
        frozen = self._state.reconciliation.frozen_symbols
        differing = frozen | {drift.what for drift in self._shown.values() if drift.kind == "cash"}
        self._asked = {what: asked for what, asked in self._asked.items() if what in differing}
        due = sorted(what for what in differing if what not in self._asked or now_ms >= self._asked[what].again_ms)
        if due:
            equal_ms = self._state.reconciliation.equal_ms
            since_ms = min(equal_ms.get(what, now_ms - DAY_MS) for what in due) - MARGIN_MS
            for what in due:
                pause_ms = min(2 * self._asked[what].pause_ms, MAX_PAUSE_MS) if what in self._asked else ASK_AGAIN_MS
                self._asked[what] = Asked(now_ms + pause_ms, pause_ms)
            _questions.inc()
            doubt([what for what in due if what in frozen], since_ms)

    def _tell(self, drift: Drift) -> None:
        log.error("drift", kind=drift.kind, what=drift.what, books=str(drift.books), exchange=str(drift.exchange))
        if drift.kind == "position":
            self._publish(drift, frozen=True)

    def _tell_end(self, drift: Drift) -> None:
        log.warning("drift_ended", kind=drift.kind, what=drift.what, difference=str(drift.difference))
        if drift.kind == "position":
            now = self._state.books.quantities().get((drift.symbol, drift.leg), ZERO)
            self._publish(replace(drift, books=now, exchange=now), frozen=False)

    def _publish(self, drift: Drift, *, frozen: bool) -> None:
        now_ms = self._state.now_ms()
        event = ReconciliationDrift(
            sub_account_id=ALL_ACCOUNTS,
            timestamp_ms=now_ms,
            symbol=drift.symbol,
            position_side=drift.leg,
            virtual_qty=drift.books,
            exchange_qty=drift.exchange,
            difference=drift.difference,
            frozen=frozen,
        )
        self._events.tell(f"drift:{drift.what}:{now_ms}", event)
