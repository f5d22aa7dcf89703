"""The inside of risk that watches margin, without its servers: what it would write is counted.

Owns the population of the benchmark: 1,000 accounts with 10 positions each on 20 symbols, half of them in BTC, and
victims on symbols of their own that a single price can bring down. Used by `risk_evaluation`.
"""

import random
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from pms_common.answers import Answers
from pms_common.bus import UpdatesWriter
from pms_common.clock import now_ms
from pms_common.contracts.bus.common import Tick
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.marks import Marks
from pms_common.names import Names
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.approvals import Approvals
from pms_risk.app.clearing import Clearing
from pms_risk.app.closings import Closings
from pms_risk.app.events import Events
from pms_risk.app.liquidation_events import LiquidationEvents
from pms_risk.app.liquidator import Liquidator
from pms_risk.app.sentinel import Sentinel
from pms_risk.app.state import RiskState
from pms_risk.app.takeovers import Takeovers
from pms_risk.app.waits import Waits
from pms_risk.app.watches import Watches
from pms_risk.domain.account import Account
from pms_risk.domain.books import Books
from pms_risk.domain.liquidation.decision import Tiers
from pms_risk.domain.liquidation.watch import Guards
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules

ACCOUNTS, POSITIONS = 1_000, 10
SYMBOLS = ("BTCUSDT", *(f"S{number:02}USDT" for number in range(19)))
VICTIMS = 400
PRICE = 100.0
CASH, VICTIMS_CASH = Decimal(4_000), Decimal(2_000)
WIDE = Rules(max_notional_per_trade=Decimal(10**9), max_total_exposure=Decimal(10**9))


class Counting:
    """Where the outbox would write; `on_close` hears of each account of which a position is closed."""

    def __init__(self) -> None:
        self.written = 0
        self.on_add: Callable[[bytes], None] = lambda _: None

    def register(self, _: Any) -> None:
        """Nothing is rolled back."""

    def add(self, _: str, data: bytes) -> None:
        self.written += 1
        self.on_add(data)

    tell = add

    def command(self, *_: Any) -> None:
        self.written += 1

    def set(self, *_: Any) -> None:
        self.written += 1


class Inside:
    """State, sentinel and approvals over the population."""

    def __init__(self) -> None:
        self.outbox = outbox = Counting()
        names = Names("bench", "bench")
        self.state = state = RiskState(
            books=Books(lambda owner, leg, reference: f"{owner}/{leg}/{reference}"),
            namespace="bench",
            mode="oneway",
            now_ms=now_ms,
            journal_lag_s=lambda: 0.0,
            overloaded=lambda: False,
        )
        state.orders_ready = True
        written: Any = outbox
        bus: Any = SimpleNamespace(outbox=outbox)
        commit: Any = SimpleNamespace(has_room=lambda: True, on_room=[])
        journal = Journal(commit, written)
        updates = UpdatesWriter(written, names.updates("risk"), 1)
        events = Events(updates, state.brackets)
        waits = Waits(state, written, Answers(names, written, updates, Marks(bus, names, "risk")), "waits")
        self.approvals = Approvals(state, written, names)
        takeovers = Takeovers(state, journal, events)
        closings = Closings(state, self.approvals, waits, takeovers, journal, written, names, "closings")
        clearing = Clearing(state, closings, written, names)
        told = LiquidationEvents(state, events)
        self.liquidator = Liquidator(state, written, journal, told, clearing, closings, takeovers, names)
        self.sentinel = Sentinel(state, self.liquidator, told, Watches(written, "watches"), Tiers(), Guards())
        self.liquidator.resume()
        self._populate()

    def _populate(self) -> None:
        draw = random.Random(1)
        for symbol in (*SYMBOLS, *map(victim_symbol, range(VICTIMS))):
            self.state.specs[symbol] = _spec(symbol)
        for number in range(ACCOUNTS):
            held = draw.sample(SYMBOLS[1:], POSITIONS)
            if number % 2:
                held[0] = SYMBOLS[0]
            self._account(f"account-{number}", held, Decimal(draw.choice((10, 20, -10, -20))), CASH)
        for number in range(VICTIMS):
            self._account(f"victim-{number}", [victim_symbol(number)], Decimal(100), VICTIMS_CASH)
        self.tick([*SYMBOLS, *map(victim_symbol, range(VICTIMS))], PRICE)

    def _account(self, account_id: str, symbols: list[str], quantity: Decimal, cash: Decimal) -> None:
        account = self.state.books.accounts[account_id] = Account(account_id, account_id, 1)
        account.set_rules(WIDE)
        account.cash = cash
        for symbol in symbols:
            cost = quantity * Decimal(str(PRICE))
            position = Position(f"{account_id}/{symbol}", symbol, "BOTH", Decimal(10), 1, quantity, cost)
            self.state.books.take_position(account, position)

    def tick(self, symbols: list[str], mid: float, at_ms: int | None = None) -> list[Tick]:
        """Give these symbols a price."""
        at_ms = now_ms() if at_ms is None else at_ms
        ticks = [Tick(symbol, mid - 0.01, 9.0, mid + 0.01, 9.0, at_ms, 0, 0, at_ms, at_ms) for symbol in symbols]
        self.feed(ticks)
        return ticks

    def feed(self, ticks: list[Tick]) -> None:
        """What the service does with an entry of ticks."""
        for tick in ticks:
            self.state.prices.put(tick)
        self.sentinel.on_ticks(ticks)


def victim_symbol(number: int) -> str:
    """The symbol of which only this victim has a position."""
    return f"V{number:03}USDT"


def _spec(symbol: str) -> SymbolSpec:
    one, none = Decimal(1), Decimal(0)
    return SymbolSpec(
        symbol=symbol,
        status="TRADING",
        base_asset=symbol[:-4],
        quote_asset="USDT",
        margin_asset="USDT",
        tick_size=Decimal("0.01"),
        min_price=Decimal("0.01"),
        max_price=none,
        step_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        max_quantity=none,
        market_step_size=Decimal("0.001"),
        market_min_quantity=Decimal("0.001"),
        market_max_quantity=none,
        min_notional=Decimal(5),
        percent_price_up=one * 2,
        percent_price_down=none,
        max_orders=200,
        market_take_bound=Decimal("0.05"),
    )
