"""Which symbols are watched here: leases and this feed's share in, markets and connections out.

Owns the markets and the connections. A change touches only what it concerns. Used by `main`, `app.pulse` and
`adapters.watch_stream`.
"""

import asyncio
from collections.abc import Callable

import msgspec

from pms_common import metrics
from pms_common.bus import Malformed
from pms_common.bus.ids import id_key
from pms_common.clock import monotonic_ms, now_ms
from pms_common.contracts.bus.common import watch_lease
from pms_common.contracts.symbols import InvalidSymbol, native_symbol
from pms_feed.app.connection import Connection
from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.app.publisher import Publisher
from pms_feed.app.resync import Resync
from pms_feed.app.session import Connect
from pms_feed.domain.merge import Source
from pms_feed.domain.shares import KEEPER, Shares
from pms_feed.domain.subscriptions import LeaseRefused, Leases, Places

_watched = metrics.gauge("feed_watched_symbols", "Symbols under a lease or always watched")

Spawn = Callable[[Connection], object]
"""Starts a new connection's `run`."""


class Watching:
    """Markets by symbol, and who carries them."""

    def __init__(
        self,
        leases: Leases,
        shares: Shares,
        source: Source,
        frames: Frames,
        publisher: Publisher,
        resync: Resync,
        connect: Connect,
        spawn: Spawn,
    ) -> None:
        self.markets: dict[str, Market] = {}
        self.connections: list[Connection] = []
        self.changed = asyncio.Event()
        self.keeper = False
        self._leases = leases
        self._shares = shares
        self._source = source
        self._frames = frames
        self._publisher = publisher
        self._resync = resync
        self._entries: dict[str, str] = {}
        self._connect = connect
        self._spawn = spawn
        self._places = Places(streams_per_symbol=2 if source == "both" else 1)

    def on_lease(self, entry_id: str, data: bytes) -> None:
        """A lease from `bus:watch`. Raises `Malformed`."""
        try:
            lease = watch_lease.decode(data)
            symbols = {native_symbol(symbol) for symbol in lease.symbols}
            holds = self._leases.put(lease.owner, symbols, lease.until_ms, now_ms())
        except (msgspec.MsgspecError, LeaseRefused) as error:
            raise Malformed(str(error)) from None
        except InvalidSymbol as error:
            raise Malformed(f"symbols: {error} is no symbol") from None
        self._entries.pop(lease.owner, None)
        if holds:
            self._entries[lease.owner] = entry_id
        self.changed.set()

    def oldest_lease(self) -> str | None:
        """The entry of the oldest lease that holds: a feed that starts must find it in the stream."""
        return min(self._entries.values(), key=id_key, default=None)

    def follow(self) -> None:
        """Bring markets and connections to what is wanted of this feed now."""
        for owner in self._leases.end(now_ms()):
            self._entries.pop(owner, None)
        carried, told = self._shares.split(self._leases.wanted() | {KEEPER}, monotonic_ms())
        self.keeper = KEEPER in told
        self._carry(carried - {KEEPER})
        for symbol, market in self.markets.items():
            market.told = symbol in told

    def _carry(self, wanted: frozenset[str]) -> None:
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
        market.told = False  # also if its tick waits to be written
        self._frames.remove(market)
        self._publisher.forget(market.symbol)
        self._resync.forget(market.symbol)
