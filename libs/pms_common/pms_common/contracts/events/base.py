"""What all public events share, and how the gateway puts its own fields into an encoded one.

Producers (risk, algos) write `type`, account, time and payload; the gateway alone gives `seq`, `eventId`, `epoch`.
"""

from __future__ import annotations

import msgspec

from pms_common.contracts.account import AccountSnapshot
from pms_common.contracts.base import Wire
from pms_common.contracts.traceparent import told

ALL_ACCOUNTS = "*"
"""`subAccountId` of an event that belongs to no account."""


class Event(Wire, frozen=True, kw_only=True, tag_field="type"):
    """Base of all events. `timestamp` is when it happened, `subAccountId` "*" when it concerns no account."""

    sub_account_id: str
    timestamp_ms: int = msgspec.field(name="timestamp")


class AlgoEvent(Event, frozen=True, kw_only=True):
    """Base of the algos' events: the order that caused it, if one did, and the account as last known."""

    client_order_id: str | None = None
    account: AccountSnapshot | None = None


class Sequenced(Wire, frozen=True, kw_only=True):
    """What stands in a published event beside its own fields.

    `seq` rises by one per account, across restarts; `eventId` is its id in `pms:events`, to read on from;
    another `epoch` means a restored or lost Redis: start cold. `traceparent` is there where the command that caused the
    event had one, or is traced.
    """

    seq: int
    event_id: str
    epoch: int
    traceparent: str | None = None


def splice(payload: bytes, seq: int, event_id: str, epoch: int, traceparent: str = "") -> bytes:
    """`payload` (an encoded event, never empty) with the gateway's fields put around it, without parsing it again."""
    head = b'{"seq":%d,"eventId":"%s","epoch":%d,' % (seq, event_id.encode(), epoch)
    return told(head + payload[1:], traceparent)
