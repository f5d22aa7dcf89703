"""Do the books equal the exchange? What the risk service that leads says of it in its heartbeat."""

from collections.abc import Iterable

from pms_cli.health.finding import Finding
from pms_common.contracts.bus.heartbeat import Heartbeat


def examine_books(alive: Iterable[Heartbeat]) -> list[Finding]:
    """One finding where they differ. Only a leader's figure counts: one that stands by compares nothing."""
    drifts = max((beat.figures.get("risk_drifts", 0.0) for beat in alive if beat.leads), default=0.0)
    if not drifts:
        return []
    what = f"differ from the exchange in {drifts:.0f} places; new risk on symbols that differ is refused"
    return [Finding("wrong", "books", what, "docs/operations.md, PmsBooksDiffer")]
