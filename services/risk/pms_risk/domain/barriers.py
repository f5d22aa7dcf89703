"""Barriers: what was asked for before a close of everything, or a liquidation, is not approved after it.

Owns them by account and symbol, and for how long the children of algos are held that may still be asked for until the
algos have been stopped. Pure. Used by the approvals.
"""

from collections import OrderedDict

MAX_BARRIERS = 10_000
HOLD_MS = 60_000
"""How long children are held where the algos do not answer: they are not running, or their order was lost."""

Scope = tuple[str, str]
"""Account and symbol; an empty symbol means all of them."""


class Barriers:
    """Times of a request's stream entry, so that asked and raised are told by one clock."""

    def __init__(self) -> None:
        self._raised: OrderedDict[Scope, int] = OrderedDict()
        self._children: OrderedDict[Scope, int] = OrderedDict()
        self._held: dict[Scope, tuple[str, int]] = {}

    def raise_at(self, account_id: str, symbol: str, at_ms: int) -> None:
        """What was asked until then is not approved any more."""
        _put(self._raised, (account_id, symbol), at_ms)

    def hold(self, account_id: str, symbol: str, token: str, now_ms: int) -> None:
        """Approve no child of an algo until the algos have answered `token`."""
        self._held[account_id, symbol] = (token, now_ms + HOLD_MS)

    def release(self, account_id: str, symbol: str, token: str, at_ms: int) -> None:
        """The algos have answered at `at_ms`: what they asked for before is still on its way."""
        held = self._held.get((account_id, symbol))
        if held is not None and held[0] == token:
            del self._held[account_id, symbol]
            _put(self._children, (account_id, symbol), at_ms)

    def stops(self, account_id: str, symbol: str, asked_ms: int, now_ms: int, *, child: bool) -> bool:
        """Whether something asked for at `asked_ms` is overtaken."""
        for scope in ((account_id, ""), (account_id, symbol)):
            if asked_ms <= self._raised.get(scope, 0):
                return True
            if child and (asked_ms <= self._children.get(scope, 0) or self._held_at(scope, now_ms)):
                return True
        return False

    def _held_at(self, scope: Scope, now_ms: int) -> bool:
        held = self._held.get(scope)
        if held is not None and held[1] < now_ms:
            del self._held[scope]
            return False
        return held is not None


def _put(barriers: OrderedDict[Scope, int], scope: Scope, at_ms: int) -> None:
    barriers[scope] = max(at_ms, barriers.get(scope, 0))
    barriers.move_to_end(scope)
    if len(barriers) > MAX_BARRIERS:
        barriers.popitem(last=False)
