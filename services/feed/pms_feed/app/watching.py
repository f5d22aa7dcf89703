"""Which symbols are watched: leases in, markets and connections out.

Owns the markets and the connections. A change touches only what it concerns. Used by `main` and `app.pulse`.
"""

import asyncio
from collections.abc import Callable

import msgspec

from pms_common import metrics
from pms_common.bus import Entry, Malformed, Outbox
from pms_common.clock import now_ms
from pms_common.contracts.bus.common import watch_lease
from pms_common.contracts.symbols import InvalidSymbol, native_symbol
from pms_feed.app.connection import Connect, Connection
from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.app.publisher import Publisher
from pms_feed.app.resync import Resync
from pms_feed.domain.merge import Source
from pms_feed.domain.subscriptions import LeaseRefused, Leases, Places

_watched = metrics.gauge("feed_watched_symbols", "Symbols under a lease or always watched")

Spawn = Callable[[Connection], object]
"""Starts a new connection's `run`."""


class Watching:
    """Markets by symbol, and who carries them."""

    def __init__(
        self,
        leases: Leases,
        source: Source,
        frames: Frames,
        publisher: Publisher,
        resync: Resync,
        outbox: Outbox,
        connect: Connect,
        spawn: Spawn,
    ) -> None:
        self.markets: dict[str, Market] = {}
        self.connections: list[Connection] = []
        self.changed = asyncio.Event()
        self._leases = leases
        self._source = source
        self._frames = frames
        self._publisher = publisher
        self._resync = resync
        self._outbox = outbox
        self._entries: dict[str, Entry] = {}
        self._connect = connect
        self._spawn = spawn
        self._places = Places(streams_per_symbol=2 if source == "both" else 1)

    def on_lease(self, entry: Entry) -> None:
        """A lease from `bus:watch`. Raises `Malformed`.

        Its entry is acknowledged when it is over or replaced, so that a feed that starts again finds it pending.
        """
        try:
            lease = watch_lease.decode(entry.data)
            symbols = {native_symbol(symbol) for symbol in lease.symbols}
            holds = self._leases.put(lease.owner, symbols, lease.until_ms, now_ms())
        except (msgspec.MsgspecError, LeaseRefused) as error:
            raise Malformed(str(error)) from None
        except InvalidSymbol as error:
            raise Malformed(f"symbols: {error} is no symbol") from None
        self._acknowledge(lease.owner)
        self._entries[lease.owner] = entry
        if not holds:
            self._acknowledge(lease.owner)
        self.changed.set()

    def _acknowledge(self, owner: str) -> None:
        if entry := self._entries.pop(owner, None):
            self._outbox.ack(entry)

    def follow(self) -> None:
        """Bring markets and connections to what is wanted now."""
        for owner in self._leases.end(now_ms()):
            self._acknowledge(owner)
        wanted = self._leases.wanted()
        if wanted == self.markets.keys():
            return
        for symbol in self.markets.keys() - wanted:
            self._drop(self.markets.pop(symbol))
        for symbol in wanted - self.markets.keys():
            market = Market(symbol, self._source, self._publisher.publish, now_ms())
            self.markets[symbol] = market
            self._frames.add(market)
        self._places.assign(wanted)
        for at, symbols in enumerate(self._places.connections):
            if at == len(self.connections):
                connection = Connection(self._connect, self._frames)
                self.connections.append(connection)
                self._spawn(connection)
            self.connections[at].carry(self.markets[symbol] for symbol in symbols)
        _watched.set(len(wanted))

    def _drop(self, market: Market) -> None:
        self._frames.remove(market)
        self._publisher.forget(market.symbol)
        self._resync.forget(market.symbol)
