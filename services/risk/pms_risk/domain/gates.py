"""Trading states: active, reducing or halted; for all, an account, a symbol, or an account on a symbol.

Owns the states operators have set. The strictest that applies holds. Used by the handlers before anything is approved.
"""

from typing import Literal

State = Literal["active", "reducing", "halted"]
_STRICTNESS: dict[State, int] = {"active": 0, "reducing": 1, "halted": 2}


class Gates:
    """States by (account, symbol); an empty string means all of them."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], State] = {}

    def set(self, account_id: str, symbol: str, state: State) -> None:
        """Set the state of a scope."""
        if state == "active":
            self.states.pop((account_id, symbol), None)
        else:
            self.states[account_id, symbol] = state

    def state(self, account_id: str, symbol: str) -> State:
        """The strictest state that applies."""
        states = self.states
        if not states:
            return "active"
        scopes = (("", ""), (account_id, ""), ("", symbol), (account_id, symbol))
        return max((states.get(scope, "active") for scope in scopes), key=_STRICTNESS.__getitem__)
