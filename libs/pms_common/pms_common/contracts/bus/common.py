"""Messages any service may write: results, public events, snapshots, watch leases, ticks.

Owns what several producers share. Used by all services.
"""

from typing import Literal

import msgspec

from pms_common.contracts.bus.base import Message, Update


class RequestDone(Update, frozen=True, kw_only=True, tag="done"):
    """A public request has ended; `body` is the result exactly as JS got it."""

    account_id: str
    request_id: str
    command: str
    body: msgspec.Raw


class PublicEvent(Update, frozen=True, kw_only=True, tag="event"):
    """An event for `pms:events`, complete but for what only the gateway gives: seq, eventId, epoch.

    `key` is derived from the cause, so a replay carries the same key and the gateway drops the repeat. `traceparent` is
    the context of the step that made it; empty where nobody traces its command.
    """

    key: str
    account_id: str
    type: str
    payload: msgspec.Raw
    traceparent: str = ""


class SnapshotRequest(Message, frozen=True, kw_only=True, tag="snapshot"):
    """Ask the owner of a queries stream to publish its objects on its updates stream.

    `fills_since_ms` asks the order service to tell every execution traded since then once more, each with its usual
    key, before SnapshotEnd. `compare_since_ms` asks for those on the symbols `compare` only, and it asks the exchange
    for them first, if that answers, and tells those of others again with them. Either asks for the cash flows and
    funding rates since then, which may come after SnapshotEnd.
    """

    asker: str
    token: str
    fills_since_ms: int | None = None
    compare: tuple[str, ...] = ()
    compare_since_ms: int | None = None


class SnapshotBegin(Update, frozen=True, kw_only=True, tag="snapshot_begin"):
    """Start of a snapshot asked for by `asker`; chunks follow in the same stream."""

    asker: str
    token: str


class SnapshotEnd(Update, frozen=True, kw_only=True, tag="snapshot_end"):
    """End of the snapshot with that token."""

    asker: str
    token: str


snapshot_request = msgspec.json.Decoder(SnapshotRequest)

HistoryKind = Literal["ledger", "trades", "orders", "statement"]


class HistoryRequest(Message, frozen=True, kw_only=True, tag="history"):
    """Ask the owner of a history for a page of it: at most `limit` items older than the cursor `before`."""

    token: str
    account_id: str
    what: HistoryKind
    before: str = ""
    limit: int


class HistoryPage(Update, frozen=True, kw_only=True, tag="history_page"):
    """The page that was asked for with that token, or the failure, as it is shown."""

    token: str
    body: msgspec.Raw


question = msgspec.json.Decoder(SnapshotRequest | HistoryRequest)
"""What a queries stream may carry."""


class WatchLease(Message, frozen=True, kw_only=True, tag="watch"):
    """Symbols `owner` wants ticks of until `until_ms`; a later lease of the same owner replaces the earlier."""

    owner: str
    symbols: list[str]
    until_ms: int


watch_lease = msgspec.json.Decoder(WatchLease)

TickState = Literal["live", "stale", "resyncing", "halted"]


class Tick(msgspec.Struct, frozen=True, array_like=True):
    """L1 of one symbol. Prices are floats: exact for display and decisions, put on the tick grid before any order.

    `ts_ms` is when the feed last knew the stream to be alive, `changed_ms` when a price last changed,
    `event_ms` the exchange's own time and `received_us` / `sent_us` the feed's clock around its work. `mark` is the
    exchange's mark price where the feed reads it and it is fresh, else 0: nothing is priced by it.
    """

    symbol: str
    bid: float
    bid_quantity: float
    ask: float
    ask_quantity: float
    event_ms: int
    received_us: int
    sent_us: int
    ts_ms: int
    changed_ms: int
    state: TickState = "live"
    mark: float = 0.0

    @property
    def mid(self) -> float:
        """The mean of best bid and ask: the single price source of margin and triggers."""
        return (self.bid + self.ask) / 2


ticks = msgspec.json.Decoder(list[Tick])
