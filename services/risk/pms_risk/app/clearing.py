"""Clearing the way: before everything of an account is closed, nothing that it has under way may come after.

Owns the sequence: a barrier here and in the order service, the algos told (risk refuses their new children at once, and
until they answer), and the account's orders cancelled. A barrier is kept in a Redis hash, with the outputs that raise
it, so that a successor refuses the same. Used by `close_all`, by the liquidation and the clock (`tend`).
"""

from collections.abc import Callable, Iterable

import msgspec

from pms_common.bus import Entry, Outbox
from pms_common.contracts.bus.algos import AlgosControlled, Control, ControlAlgos
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.orders import RaiseBarrier
from pms_common.names import Names
from pms_risk.app.closings import Closings
from pms_risk.app.giving_way import GAVE_WAY
from pms_risk.app.state import RiskState
from pms_risk.domain.account import Account
from pms_risk.domain.barriers import Barrier
from pms_risk.domain.orders import LiveOrder

TELL_AGAIN_MS = 60_000
"""After which algos that do not answer are told again: they are not running, or Redis has lost what they were told."""

_decode = msgspec.json.Decoder(Barrier).decode
_encode = msgspec.json.Encoder().encode


class Clearing:
    """Raises barriers, stops algos, cancels orders."""

    def __init__(self, state: RiskState, closings: Closings, outbox: Outbox, names: Names) -> None:
        self._state = state
        self._closings = closings
        self._outbox = outbox
        self._urgent = names.urgent("orders")
        self._algos = names.requests("algos")
        self.key = names.own("risk", "barriers")

    def restore(self, stored: Iterable[bytes | str]) -> None:
        """Know a predecessor's barriers."""
        for barrier in sorted(map(_decode, stored), key=lambda barrier: barrier.raised_ms):
            self._state.barriers.put(barrier)

    def clear(
        self,
        account: Account,
        symbol: str,
        at_ms: int,
        action: Control,
        token: str,
        reason: str = GAVE_WAY,
        *,
        spares: Callable[[LiveOrder], bool] = lambda _: False,
    ) -> list[LiveOrder]:
        """Stop what was asked for until `at_ms` (the time of the command's entry); the orders that are cancelled.

        An empty symbol means all of them. Closes that are on their way at market go on, and what `spares` says.
        """
        barrier = self._state.barriers.raise_at(account.id, symbol, at_ms)
        barrier.hold(token, action, self._state.now_ms())
        self._keep(barrier)
        if (oldest := self._state.barriers.drop_oldest()) is not None:
            self._outbox.command("HDEL", self.key, _field(oldest))
        self._outbox.add(self._urgent, encode(RaiseBarrier(account_id=account.id, symbol=symbol, at_ms=at_ms)))
        self._tell(account.id, symbol, action, token)
        concerned = [order for order in account.orders.values() if symbol in ("", order.symbol)]
        orders = [order for order in concerned if not order.closes_now and not spares(order)]
        for order in orders:
            self._closings.way.cancel(order, reason)
        return orders

    def let_go_on(self, account_id: str, symbol: str, token: str) -> None:
        """The algos that were paused may go on, and have not to answer any more that they were."""
        self._release(account_id, symbol, token, 0)
        self._tell(account_id, symbol, "resume", token)

    def tend(self) -> None:
        """Tell the algos again that have not answered."""
        now_ms = self._state.now_ms()
        for barrier in self._state.barriers.unanswered(now_ms, TELL_AGAIN_MS):
            barrier.told_ms = now_ms
            self._tell(barrier.account_id, barrier.symbol, barrier.action, barrier.token)

    def on_algos(self, answer: AlgosControlled, entry: Entry) -> None:
        """The algos have stopped, or paused: they ask for nothing more."""
        self._release(answer.account_id, answer.symbol, answer.token, entry.ms)

    def _release(self, account_id: str, symbol: str, token: str, at_ms: int) -> None:
        barrier = self._state.barriers.held(account_id, symbol, token)
        if barrier is not None:
            barrier.release(at_ms)
            self._keep(barrier)

    def _keep(self, barrier: Barrier) -> None:
        self._outbox.command("HSET", self.key, _field(barrier), _encode(barrier))

    def _tell(self, account_id: str, symbol: str, action: Control, token: str) -> None:
        asked = ControlAlgos(token=token, account_id=account_id, symbol=symbol, action=action)
        self._outbox.add(self._algos, encode(asked))


def _field(barrier: Barrier) -> str:
    return f"{barrier.account_id}\x1f{barrier.symbol}"
