"""Clearing the way: before everything of an account is closed, nothing that it has under way may come after.

Owns the sequence: a barrier here and in the order service, the algos told (risk refuses their new children at once),
and the account's orders cancelled. Used by `close_all` and by the liquidation.
"""

from pms_common.bus import Entry, Outbox
from pms_common.contracts.bus.algos import AlgosControlled, Control, ControlAlgos
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.orders import RaiseBarrier
from pms_common.names import Names
from pms_risk.app.closings import GAVE_WAY, Closings
from pms_risk.app.state import RiskState
from pms_risk.domain.account import Account
from pms_risk.domain.orders import LiveOrder


class Clearing:
    """Raises barriers, stops algos, cancels orders."""

    def __init__(self, state: RiskState, closings: Closings, outbox: Outbox, names: Names) -> None:
        self._state = state
        self._closings = closings
        self._outbox = outbox
        self._urgent = names.urgent("orders")
        self._algos = names.requests("algos")

    def clear(
        self, account: Account, symbol: str, at_ms: int, action: Control, token: str, reason: str = GAVE_WAY
    ) -> list[LiveOrder]:
        """Stop what was asked for until `at_ms` (the time of the command's entry); the orders that are cancelled.

        An empty symbol means all of them. Closes that are on their way at market go on.
        """
        barriers = self._state.barriers
        barriers.raise_at(account.id, symbol, at_ms)
        barriers.hold(account.id, symbol, token, self._state.now_ms())
        self._outbox.add(self._urgent, encode(RaiseBarrier(account_id=account.id, symbol=symbol, at_ms=at_ms)))
        self.control(account.id, symbol, action, token)
        orders = [order for order in account.orders.values() if symbol in ("", order.symbol) and not order.closes_now]
        for order in orders:
            self._closings.cancel(order, reason)
        return orders

    def control(self, account_id: str, symbol: str, action: Control, token: str) -> None:
        """Tell the account's algos."""
        asked = ControlAlgos(token=token, account_id=account_id, symbol=symbol, action=action)
        self._outbox.add(self._algos, encode(asked))

    def on_algos(self, answer: AlgosControlled, entry: Entry) -> None:
        """The algos have stopped, or paused: they ask for nothing more."""
        self._state.barriers.release(answer.account_id, answer.symbol, answer.token, entry.ms)
