"""A socket on /public or /market."""

from pms_simulator.adapters.ws_base import Socket
from pms_simulator.adapters.ws_subscriptions import StreamSocket
from pms_simulator.app.venue import Venue


class MarketListener(StreamSocket):
    """Market streams by name."""

    def __init__(self, venue: Venue, registry: set[Socket], route: str, streams: list[str], *, combined: bool) -> None:
        super().__init__(registry, combined=combined)
        self.route = route
        self._venue = venue
        self._wanted = streams

    def opened(self) -> None:
        """Subscribe to what the URL names."""
        self.subscribe(self._wanted)

    def start_stream(self, name: str) -> None:
        """Join; silent where this route does not carry the stream."""
        self._venue.streams.join(self, name)

    def stop_stream(self, name: str) -> None:
        """Leave."""
        self._venue.streams.leave(self, name)

    def send_stream(self, stream: str, payload: bytes) -> None:
        """One event of a stream."""
        self.send_named(stream, payload)
