"""Trading states: what may be sent now, globally, for an account, for a symbol, or for one of an account's symbols.

Owns the gates and the barriers of cancel_all. Pure. Used at signing, so a change also stops what waits in a lane.
"""

from collections import OrderedDict

from pms_common.contracts.bus.orders import PlaceOrder
from pms_common.contracts.errors import CommandError, ErrorCode

ALL = ""
MAX_BARRIERS = 10_000
_SEVERITY = {"active": 0, "reducing": 1, "halted": 2}


class Gates:
    """The strictest of the states that apply to an order counts."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], str] = {}
        self._barriers: OrderedDict[tuple[str, str, bool], int] = OrderedDict()

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

    def raise_barrier(self, account_id: str, symbol: str, children: bool, at_ms: int) -> None:
        """What was approved for the account (and symbol) until now is not to be sent; algo children only if asked."""
        key = (account_id, symbol, children)
        self._barriers[key] = max(at_ms, self._barriers.get(key, 0))
        self._barriers.move_to_end(key)
        if len(self._barriers) > MAX_BARRIERS:
            self._barriers.popitem(last=False)

    def behind_barrier(self, place: PlaceOrder) -> bool:
        """Whether a cancel of all has overtaken this order. A close at market is none of what that cancels."""
        if not self._barriers or (place.reduce_only and place.order_type == "MARKET"):
            return False
        asked_ms = place.asked_ms or place.approved_ms
        kinds = (True,) if place.parent_id is not None else (True, False)
        keys = [(place.account_id, symbol, kind) for symbol in (ALL, place.symbol) for kind in kinds]
        return any(asked_ms <= self._barriers.get(key, 0) for key in keys)
