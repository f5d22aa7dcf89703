"""Barriers: what was asked for before a close of everything, or a liquidation, is not approved after it.

Owns them by account and symbol, and the hold on children of algos that may still be asked for until the algos have
answered. Pure. Kept by the clearing, asked by the approvals.
"""

from collections import OrderedDict
from dataclasses import dataclass

from pms_common.contracts.bus.algos import Control
from pms_risk.domain.pauses import lasts

MAX_BARRIERS = 10_000

Scope = tuple[str, str]
"""Account and symbol; an empty symbol means all of them."""


@dataclass(slots=True, kw_only=True)
class Barrier:
    """Of one scope. Times are of stream entries, so that asked and raised are told by one clock.

    What was asked for until `raised_ms` is not approved any more, of algos until `children_ms`, and nothing of theirs
    while `token` is not empty: they have still to answer it, having been told `action` at `told_ms`.
    """

    account_id: str
    symbol: str
    raised_ms: int = 0
    children_ms: int = 0
    token: str = ""
    action: Control = "stop"
    told_ms: int = 0

    def hold(self, token: str, action: Control, now_ms: int) -> None:
        """Approve no child of an algo until the algos have answered `token`."""
        self.token, self.action, self.told_ms = token, action, now_ms

    def release(self, at_ms: int) -> None:
        """The algos have answered at `at_ms`: what they asked for before is still on its way."""
        self.token = ""
        self.children_ms = max(at_ms, self.children_ms)

    def stops(self, asked_ms: int, *, child: bool) -> bool:
        """Whether something asked for at `asked_ms` is overtaken."""
        return asked_ms <= self.raised_ms or (child and (bool(self.token) or asked_ms <= self.children_ms))


class Barriers:
    """All of them, the one that was raised last at the end."""

    def __init__(self) -> None:
        self._by_scope: OrderedDict[Scope, Barrier] = OrderedDict()

    def put(self, barrier: Barrier) -> None:
        """Know one that a predecessor had raised."""
        self._by_scope[barrier.account_id, barrier.symbol] = barrier

    def raise_at(self, account_id: str, symbol: str, at_ms: int) -> Barrier:
        """What was asked until then is not approved any more."""
        scope = (account_id, symbol)
        barrier = self._by_scope.setdefault(scope, Barrier(account_id=account_id, symbol=symbol))
        barrier.raised_ms = max(at_ms, barrier.raised_ms)
        self._by_scope.move_to_end(scope)
        return barrier

    def drop_oldest(self) -> Barrier | None:
        """Forget one where there are too many."""
        return self._by_scope.popitem(last=False)[1] if len(self._by_scope) > MAX_BARRIERS else None

    def held(self, account_id: str, symbol: str, token: str) -> Barrier | None:
        """The one that waits for the answer to `token`."""
        barrier = self._by_scope.get((account_id, symbol))
        return barrier if barrier is not None and barrier.token == token else None

    def unanswered(self, now_ms: int, within_ms: int) -> list[Barrier]:
        """Those whose algos were told longer than so ago, and have not answered."""
        waiting = [barrier for barrier in self._by_scope.values() if barrier.token]
        return [barrier for barrier in waiting if not lasts(barrier.told_ms + within_ms, now_ms, within_ms)]

    def stops(self, account_id: str, symbol: str, asked_ms: int, *, child: bool) -> bool:
        """Whether something asked for at `asked_ms` is overtaken."""
        if not self._by_scope:
            return False
        found = (self._by_scope.get(scope) for scope in ((account_id, ""), (account_id, symbol)))
        return any(barrier is not None and barrier.stops(asked_ms, child=child) for barrier in found)
