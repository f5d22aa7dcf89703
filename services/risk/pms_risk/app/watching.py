"""Which symbols risk wants prices of, and what waits for the first price of a symbol.

Owns risk's watch lease (symbols with positions or live orders, those of assets in the wallet, and those just asked for)
and the bounded waiting room. A trade on a symbol that is not watched, or not any more, waits here up to 2 seconds while
everything else goes on. Used by trading and children; hears every tick.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pms_common.bus import Outbox
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.common import Tick, WatchLease
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.names import Names
from pms_risk.app.state import RiskState
from pms_risk.domain.account import SETTLEMENT_ASSET

FIRST_PRICE_MS = 2_000
"""How long a first trade waits for its price (the design's bound)."""
LEASE_MS = 15_000
RENEW_MS = 5_000
LOOK_MS = 500
"""Between two looks at which symbols are held: well under the 3 s in which the price of a new one grows old."""
ASKED_MS = 60_000
"""A symbol that was asked for and not traded is watched this long."""
MAX_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that goes on when its symbol has a price, or when the time is up."""

    resume: Callable[[], None]
    deadline_ms: int


class Watching:
    """The lease, renewed by `tend`, and the waiting room."""

    def __init__(self, state: RiskState, outbox: Outbox, names: Names) -> None:
        self._state = state
        self._outbox = outbox
        self._stream = names.watch
        self._owner = f"{names.namespace}:risk"
        self._asked: dict[str, int] = {}
        self._waiting: dict[str, list[Waiting]] = {}
        self._count = 0
        self._leased: frozenset[str] = frozenset()
        self._renew_ms = self._look_ms = 0

    def wait_for_price(self, symbol: str, resume: Callable[[], None]) -> bool:
        """Have `resume` called at a fresh price, where asking for one helps. Raises NO_PRICE when full.

        It does not help on a symbol that is not listed, or whose price is not fresh though it is watched.
        """
        state = self._state
        now_ms = state.now_ms()
        if symbol not in state.specs or state.prices.fresh(symbol, now_ms):
            return False
        if symbol in self._leased and symbol not in self._waiting and state.prices.mark(symbol) is not None:
            return False
        if self._count >= MAX_WAITING:
            raise CommandError(ErrorCode.NO_PRICE, f"No price for {symbol} yet, and {self._count} requests wait")
        self._waiting.setdefault(symbol, []).append(Waiting(resume, now_ms + FIRST_PRICE_MS))
        self._count += 1
        self._asked[symbol] = now_ms + ASKED_MS
        if symbol not in self._leased:
            self._lease(now_ms)
        return True

    def on_ticks(self, ticks: list[Tick]) -> None:
        """Take newer prices; what waits for one of them goes on."""
        prices = self._state.prices
        for tick in ticks:
            prices.put(tick)
            if tick.symbol in self._waiting and prices.fresh(tick.symbol, self._state.now_ms()):
                for waiting in self._waiting.pop(tick.symbol):
                    self._resume(waiting)

    def tend(self) -> None:
        """Let go what has waited too long; renew the lease when due or when the symbols have changed."""
        now_ms = self._state.now_ms()
        for symbol in list(self._waiting):
            due = [waiting for waiting in self._waiting[symbol] if waiting.deadline_ms <= now_ms]
            self._waiting[symbol] = [waiting for waiting in self._waiting[symbol] if waiting.deadline_ms > now_ms]
            if not self._waiting[symbol]:
                del self._waiting[symbol]
            for waiting in due:
                self._resume(waiting)
        if now_ms >= self._look_ms:
            self._look_ms = now_ms + LOOK_MS
            if now_ms >= self._renew_ms or not self._wanted(now_ms) <= self._leased:
                self._lease(now_ms)

    def _resume(self, waiting: Waiting) -> None:
        self._count -= 1
        waiting.resume()

    def _wanted(self, now_ms: int) -> frozenset[str]:
        self._asked = {symbol: until_ms for symbol, until_ms in self._asked.items() if until_ms > now_ms}
        held = {symbol for account in self._state.books.accounts.values() for symbol, _ in account.holdings}
        return frozenset(held | self._asked.keys() | self._of_assets())

    def _of_assets(self) -> set[str]:
        """What tells the worth of the other assets in the wallet: commissions are paid in them."""
        state = self._state
        names = {f"{asset}{SETTLEMENT_ASSET}" for asset, amount in state.reconciliation.wallets.items() if amount}
        return names & state.specs.keys()

    def _lease(self, now_ms: int) -> None:
        self._leased = self._wanted(now_ms)
        self._renew_ms = now_ms + RENEW_MS
        lease = WatchLease(owner=self._owner, symbols=sorted(self._leased), until_ms=now_ms + LEASE_MS)
        self._outbox.add(self._stream, encode(lease))
