"""Facts of the exchange account, and whether the books equal them.

Owns the first look (what is found becomes the house's), the periodic comparison, its alarm, event and metrics. Never
changes a book to make it fit. Used by `updates` and by the periodic check.
"""

from pms_common.contracts.bus.orders import ExchangeAccount
from pms_common.contracts.events import ALL_ACCOUNTS
from pms_common.contracts.events.system import ReconciliationDrift
from pms_common.logging import get_logger
from pms_common.metrics import gauge
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.events import Events
from pms_risk.app.state import RiskState
from pms_risk.domain.house import HOUSE
from pms_risk.domain.reconciliation import Drift

log = get_logger(__name__)

CHECK_S = 2.0
"""Between two comparisons: longer than the exchange takes from a fact about the account to the execution behind it."""

_difference = gauge("risk_books_difference", "Confirmed difference, exchange less books, by asset or symbol", ["what"])
_drifts = gauge("risk_drifts", "Confirmed differences between books and exchange")


class Exchange:
    """Takes the exchange's facts and holds the books against them."""

    def __init__(self, state: RiskState, journal: Journal, events: Events) -> None:
        self._state = state
        self._journal = journal
        self._events = events
        self._shown: set[str] = set()

    def on_facts(self, facts: ExchangeAccount) -> None:
        """What changed at the exchange, or everything."""
        self._state.reconciliation.take(facts)
        if facts.complete and self._state.books.house.opened_ms is None:
            self._open_house(facts)

    def _open_house(self, facts: ExchangeAccount) -> None:
        entries, positions = self._state.books.open_house(facts)
        for entry in entries:
            self._journal.house(entry)
        for position in positions:
            self._journal.position(position, HOUSE, facts.event_ms)
        log.info("house_opened", assets=len(entries), positions=len(positions))

    def check(self) -> None:
        """Compare once; tell what is newly confirmed."""
        reconciliation = self._state.reconciliation
        for drift in reconciliation.check(self._state.books):
            self._tell(drift)
        confirmed = {drift.what: drift for drift in reconciliation.confirmed}
        for what in self._shown - confirmed.keys():
            _difference.remove(what)
        for what, drift in confirmed.items():
            _difference.labels(what).set(float(drift.difference))
        self._shown = set(confirmed)
        _drifts.set(len(confirmed))

    def _tell(self, drift: Drift) -> None:
        log.error("drift", kind=drift.kind, what=drift.what, books=str(drift.books), exchange=str(drift.exchange))
        if drift.kind != "position":
            return
        now_ms = self._state.now_ms()
        event = ReconciliationDrift(
            sub_account_id=ALL_ACCOUNTS,
            timestamp_ms=now_ms,
            symbol=drift.symbol,
            position_side=drift.leg,
            virtual_qty=drift.books,
            exchange_qty=drift.exchange,
            difference=drift.difference,
            frozen=True,
        )
        self._events.tell(f"drift:{drift.what}:{now_ms}", event)
