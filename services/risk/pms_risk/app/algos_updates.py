"""The algos' updates stream: of all they tell, risk needs to know when they have stopped.

Nothing here changes a book; their orders come as requests. Used by the bus.
"""

from collections.abc import Callable

from pms_common.bus import Entry, Outbox
from pms_common.bus.updates import peek
from pms_common.contracts.bus.algos import AlgosControlled
from pms_common.contracts.bus.streams import algos_updates

_CONTROLLED = str(AlgosControlled.__struct_config__.tag).encode()


class AlgosUpdates:
    """Reads what the algos tell."""

    def __init__(self, outbox: Outbox, *hear: Callable[[AlgosControlled, Entry], None]) -> None:
        self._outbox = outbox
        self._hear = hear

    def on_entry(self, entry: Entry) -> None:
        """One entry of the stream."""
        if peek(entry.data)[0] == _CONTROLLED:
            update = algos_updates.decode(entry.data)
            if isinstance(update, AlgosControlled):
                for hear in self._hear:
                    hear(update, entry)
        self._outbox.ack(entry)
