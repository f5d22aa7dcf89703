"""Wiring of what speaks with the exchange: what is connected and known before this process leads, and the two ways to
send orders.
"""

from hashlib import sha256
from typing import NamedTuple

from pms_common.bus import Bus
from pms_common.clock import now_ms
from pms_common.names import Names
from pms_common.rate.shared import SharedRate, rate_address
from pms_common.rate.window import Window
from pms_common.service import Lifecycle
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.exchange_client import ExchangeClient
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.trading_rest import TradingRest
from pms_orders.adapters.binance.trading_socket import TradingSocket
from pms_orders.adapters.binance.user_stream import UserStream
from pms_orders.app.outcomes import Outcomes
from pms_orders.app.rules import RulesKeeper
from pms_orders.app.standby import Standby
from pms_orders.app.startup import ClockKeeper, learn
from pms_orders.domain.rate import Budget

AWAY_SHARE = 0.4
"""Of the address' weight, while Redis does not tell what others use: see `pms_common.rate.shared`."""


class Exchange(NamedTuple):
    """What is connected and known before this process leads."""

    signer: Signer
    clock: VenueClock
    budget: Budget
    rest: ExchangeClient
    rules: RulesKeeper
    stream: UserStream
    keeper: ClockKeeper
    standby: Standby


async def stand_by(life: Lifecycle, names: Names, bus: Bus) -> Exchange:
    """Know the exchange's rules and hear the user stream, whoever leads."""
    settings = life.settings
    signer, clock, budget = await _venue(life, names, bus)
    rest = ExchangeClient(settings.binance_rest_url, signer, clock, budget, now_ms)
    life.on_stop(rest.close)
    standby = Standby(life.ready)
    rules = RulesKeeper(await learn(rest, clock, budget, standby.clock), rest, budget)
    stream = UserStream(
        rest, settings.binance_ws_url, heard=standby.heard, connected=standby.connected, venue_ms=clock.told_ms
    )
    life.on_stop(stream.close)
    keeper = ClockKeeper(clock, rest, standby.clock)
    life.spawn(stream.run(), "user_stream")
    life.spawn(keeper.run(), "clock")
    life.spawn(rules.run(), "rules")
    return Exchange(signer, clock, budget, rest, rules, stream, keeper, standby)


async def _venue(life: Lifecycle, names: Names, bus: Bus) -> tuple[Signer, VenueClock, Budget]:
    """What is needed before anything is asked: the key, the clock, and the budget as other processes have left it."""
    settings = life.settings
    settings.require_keys()
    assert settings.binance_api_key is not None and settings.binance_api_secret is not None
    signer = Signer(settings.binance_api_key.get_secret_value(), settings.binance_api_secret.get_secret_value())
    # Until exchangeInfo is read: the venue's limits of September 2026.
    budget = Budget((Window(10_000, 300), Window(60_000, 1_200)), Window(60_000, 2_400, shared=True))
    at, account = rate_address(settings), sha256(signer.api_key.encode()).hexdigest()[:16]
    windows = {names.rate(at, f"orders:{account}:{window.span_ms}"): window for window in budget.orders}
    windows = {names.rate(at, "weight"): budget.weight, **windows}
    shared = SharedRate(bus.feed_redis, names.rate(at, "ban"), windows, budget, AWAY_SHARE)
    await shared.sync()
    life.spawn(shared.run(), "shared_rate")
    return signer, VenueClock(), budget


def lines(
    life: Lifecycle, signer: Signer, clock: VenueClock, budget: Budget, outcomes: Outcomes
) -> tuple[TradingSocket, TradingRest]:
    """The two ways to send orders."""
    heard, urls = (outcomes.answered, outcomes.lost), life.settings
    rest = TradingRest(urls.binance_rest_url, signer, clock, budget, *heard)
    socket = TradingSocket(urls.binance_wsapi_url, signer, clock, budget, *heard)
    life.on_stop(rest.close)
    life.on_stop(socket.close)
    return socket, rest
