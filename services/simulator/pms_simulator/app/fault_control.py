"""Putting faults in force, listing and lifting them."""

from typing import Any

from pms_simulator.app.stage import LiveStage, SocketControl
from pms_simulator.app.venue import Venue
from pms_simulator.domain import faults
from pms_simulator.domain.errors import illegal

Body = dict[str, Any]


def add(venue: Venue, sockets: SocketControl, body: Body) -> Any:
    """Act at once, or put a fault in force: how many are, and its ``id``."""
    now_ms = venue.now_ms()
    wanted = faults.parse(body, now_ms)
    if isinstance(wanted, faults.Fault):
        return _enforce(venue, wanted)
    stage = LiveStage(venue, sockets)
    try:
        answer = wanted.act(stage)
    finally:
        venue.flush(now_ms)
    after = wanted.aftermath(now_ms) if isinstance(wanted, faults.CloseSockets) else None
    return answer if after is None else {**answer, **_enforce(venue, after)}


def _enforce(venue: Venue, fault: faults.Fault) -> Body:
    number = venue.faults.add(fault)
    if venue.faults.longest_lag_ms:
        venue.record_past()
    return {"active": len(venue.faults.active), "id": number}


def listing(venue: Venue, body: Body) -> Any:
    """The kinds in force, and what was struck so far (with the fault's id), oldest first."""
    account = body.get("account")
    found = [fault for fault in venue.faults.active if account is None or fault.account == account]
    found = [fault for fault in found if not fault.is_spent(venue.now_ms())]
    return {
        "faults": [fault.kind for fault in found],
        "ids": [fault.number for fault in found],
        "struck": list(venue.faults.struck),
    }


def clear(venue: Venue, body: Body) -> Any:
    """Lift all faults, those of one account, or one by its ``id``."""
    number = body.get("id")
    if number is not None and not str(number).isdigit():
        raise illegal("id")
    venue.faults.clear(body.get("account"), None if number is None else int(number))
    return {"active": len(venue.faults.active)}
