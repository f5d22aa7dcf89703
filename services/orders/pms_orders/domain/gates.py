"""Trading states: what may be sent now, globally, for an account, for a symbol, or for one of an account's symbols.

Owns the gates and the barriers of cancel_all. Pure. Used at signing, so a change also stops what waits in a lane.
"""

from pms_common.contracts.bus.orders import PlaceOrder
from pms_common.contracts.errors import CommandError, ErrorCode

ALL = ""
_SEVERITY = {"active": 0, "reducing": 1, "halted": 2}


class Gates:
    """The strictest of the states that apply to an order counts."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], str] = {}

    def set(self, account_id: str, symbol: str, state: str) -> None:
        """Set the state of an account (`""`: all) and symbol (`""`: all)."""
        if state not in _SEVERITY:
            raise ValueError(f"unknown trading state: {state}")
        if state == "active":
            self._states.pop((account_id, symbol), None)
        else:
            self._states[account_id, symbol] = state

    def state(self, account_id: str, symbol: str) -> str:
        """The strictest state that applies."""
        if not self._states:
            return "active"
        scopes = ((ALL, ALL), (ALL, symbol), (account_id, ALL), (account_id, symbol))
        return max((self._states.get(scope, "active") for scope in scopes), key=_SEVERITY.__getitem__)

    def check(self, place: PlaceOrder) -> None:
        """Raise `CommandError` where the order may not be sent, nor be amended, now."""
        state = self.state(place.account_id, place.symbol)
        if state == "active" or place.origin == "LIQUIDATION":
            return
        if state == "halted":
            raise CommandError(ErrorCode.TRADING_HALTED)
        if not place.reduce_only:
            raise CommandError(ErrorCode.TRADING_REDUCING)
