"""The bus: Redis Streams with consumer groups, the only way services talk.

Owns every bus rule of the design, in one implementation; never knows what an entry means.

    url, resp, dial      where Redis is; the thin RESP path; connecting (TCP, unix, TLS, ACL, Sentinel) and waiting
    write, outbox        the one adaptive-batching writer, executed exactly once; updates share entries
    entry, handling,     entries and their cursor; what becomes of failing handlers; one blocking read; a group's
    reader, consumer     streams, own pending entries first
    cursors, incarnation groups that come back where they were; which life of Redis this is
    updates, ticks       numbered updates and their gaps; newest-only ticks
    groups, trim, lag    where groups stand; retention; metrics and overload
    bus                  all of it for one process
"""

from pms_common.bus.bus import Bus
from pms_common.bus.consumer import Consumer
from pms_common.bus.cursors import CursorStore
from pms_common.bus.entry import Entry, updates_in
from pms_common.bus.errors import BusError, Malformed, OutboxError, OutboxFull, RespError
from pms_common.bus.lag import LagSampler
from pms_common.bus.outbox import Outbox
from pms_common.bus.ticks import TicksReader, TicksWriter
from pms_common.bus.trim import Trimmer
from pms_common.bus.updates import GapDetector, UpdatesWriter, peek

__all__ = [
    "Bus",
    "BusError",
    "Consumer",
    "CursorStore",
    "Entry",
    "GapDetector",
    "LagSampler",
    "Malformed",
    "Outbox",
    "OutboxError",
    "OutboxFull",
    "RespError",
    "TicksReader",
    "TicksWriter",
    "Trimmer",
    "UpdatesWriter",
    "peek",
    "updates_in",
]
