"""A socket on /private: user events of one or more listen keys."""

from pms_simulator.adapters.ws_base import Socket
from pms_simulator.adapters.ws_subscriptions import StreamSocket
from pms_simulator.app.venue import Venue


class KeyReader:
    """One listen key read by a socket; an empty ``events`` means all of them."""

    __slots__ = ("_socket", "events", "key")

    def __init__(self, socket: "UserListener", key: str, events: frozenset[str]) -> None:
        self._socket = socket
        self.key = key
        self.events = events

    def send_event(self, payload: bytes) -> None:
        """One user event."""
        self._socket.send_named(self.key, payload)


class UserListener(StreamSocket):
    """User events; the stream names are listen keys."""

    route = "private"

    def __init__(
        self, venue: Venue, registry: set[Socket], keys: list[str], events: frozenset[str], *, combined: bool
    ) -> None:
        super().__init__(registry, combined=combined)
        self._venue = venue
        self._wanted = keys
        self._events = events
        self._readers: dict[str, KeyReader] = {}

    @property
    def accounts(self) -> frozenset[str]:
        """Accounts of the keys it reads."""
        known = self._venue.users.keys
        return frozenset(known[key].account.name for key in {*self.names, *self._wanted} if key in known)

    def opened(self) -> None:
        """Read the keys the URL names."""
        self.subscribe(self._wanted)

    def start_stream(self, name: str) -> None:
        """Read a key."""
        reader = self._readers[name] = KeyReader(self, name, self._events)
        self._venue.users.join(reader)

    def stop_stream(self, name: str) -> None:
        """Stop reading a key."""
        self._venue.users.leave(self._readers.pop(name))
