"""Wiring of the feed service."""

import functools

from pms_common.bus import Bus, LagSampler, Trimmer
from pms_common.clock import monotonic_ms
from pms_common.joining import join
from pms_common.names import Names
from pms_common.rate.shared import SharedRate, rate_address
from pms_common.rate.window import Window
from pms_common.service import Lifecycle, run
from pms_common.topology import kept_by
from pms_feed.adapters.members import Members
from pms_feed.adapters.rest import PublicRest
from pms_feed.adapters.socket import MARKS_ROUTE, STREAMS_ROUTE, connect
from pms_feed.adapters.watch_stream import WatchStream
from pms_feed.app.frames import Frames
from pms_feed.app.marks import Marks
from pms_feed.app.probe import Probe
from pms_feed.app.publisher import Publisher
from pms_feed.app.pulse import Pulse
from pms_feed.app.resync import Resync
from pms_feed.app.sharing import Sharing
from pms_feed.app.watching import Watching
from pms_feed.domain.budget import WeightBudget
from pms_feed.domain.shares import Shares
from pms_feed.domain.subscriptions import Leases

VENUE_WEIGHT = 2_400
"""A minute and address, the least of all exchange environments (exchangeInfo, September 2026)."""
AWAY_SHARE = 0.15
"""Of the address' weight, while Redis does not tell what others use: see `pms_common.rate.shared`."""


async def wire(life: Lifecycle) -> None:
    """Build the service and start its tasks."""
    settings = life.settings
    names = Names(settings.namespace, settings.feed_namespace)
    bus = await join(life, names)

    members = Members(bus.feed_redis, names.feeds)
    shares = Shares(members.name)
    sharing = Sharing(members, shares, life.ready)
    publisher = Publisher(bus, names, shares)
    rest = PublicRest(settings.binance_rest_url, await _budget(life, bus, names))
    life.on_stop(rest.close)
    resync = Resync(rest)
    life.on_stop(resync.close)
    frames = Frames()
    url = settings.binance_ws_url.rstrip("/")
    watching = Watching(
        Leases(settings.feed_symbols),
        shares,
        settings.l1_source,
        frames,
        publisher,
        resync,
        functools.partial(connect, url + STREAMS_ROUTE),
        lambda connection: life.spawn(connection.run(), "connection"),
    )
    probe = Probe(rest)
    life.on_stop(probe.close)
    pulse = Pulse(watching, frames, resync, probe, life.ready)
    leases = WatchStream(bus, names.watch, watching, life.ready)
    bus.write_while(lambda: watching.keeper and shares.believes(monotonic_ms()))

    life.spawn(sharing.run(), "share")
    life.on_stop(sharing.leave)
    life.spawn(publisher.writer.run(), "ticks")
    life.spawn(publisher.cache_prices(), "prices")
    life.spawn(leases.run(), "leases")
    life.spawn(pulse.run(), "pulse")
    if settings.liquidation_max_mark_gap_pct:
        life.spawn(Marks(functools.partial(connect, url + MARKS_ROUTE), watching.markets).run(), "marks")
    kept = kept_by(names, "feed")
    life.spawn(Trimmer(bus.redis, kept).run(), "trimmer")
    life.spawn(LagSampler(bus.redis, kept).run(), "lag")


async def _budget(life: Lifecycle, bus: Bus, names: Names) -> WeightBudget:
    """The feed's part of the address' weight; a ban that another process was told is known before the first request."""
    weight, at = Window(60_000, VENUE_WEIGHT, shared=True), rate_address(life.settings)
    budget = WeightBudget(weight)
    shared = SharedRate(bus.feed_redis, names.rate(at, "ban"), {names.rate(at, "weight"): weight}, budget, AWAY_SHARE)
    await shared.sync()
    life.spawn(shared.run(), "shared_rate")
    return budget


def main() -> None:
    """Run the feed in the foreground."""
    run("feed", wire)


if __name__ == "__main__":
    main()
