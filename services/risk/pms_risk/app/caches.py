"""`pms:risk:{account}` for JS and AccountState for the gateway's read model.

Owns how often: within a quarter of a second after a change, and each account at least every 5 seconds for as long as it
lives; AccountState without a change only where there are positions. Used by the service's clock.
"""

from collections import deque
from math import ceil

import msgspec

from pms_common.bus import Outbox, UpdatesWriter
from pms_common.contracts.base import encode
from pms_common.contracts.bus.risk import AccountState
from pms_common.contracts.caches import RISK_REFRESH_S, RISK_TTL_S
from pms_common.names import Names
from pms_risk.app.state import RiskState
from pms_risk.domain.account import Account
from pms_risk.domain.snapshot import risk_snapshot

TURN_S = 0.25
"""The least time between two snapshots of an account."""
_TURNS = RISK_REFRESH_S / TURN_S - 2
"""Turns in which every account is refreshed once; two are kept back for a late turn."""


class Caches:
    """Writes snapshots, a share of the accounts in each turn."""

    def __init__(self, state: RiskState, outbox: Outbox, updates: UpdatesWriter, names: Names) -> None:
        self._state = state
        self._outbox = outbox
        self._updates = updates
        self._names = names
        self._written: dict[str, int] = {}
        self._round: deque[str] = deque()

    def turn(self) -> None:
        """Write the accounts that have changed, and the next ones of the round."""
        accounts = self._state.books.accounts
        changed = [account for account in accounts.values() if self._written.get(account.id) != account.version]
        for account in changed:
            self.write(account)
        if not self._round:
            self._round.extend(accounts)
        fresh = {account.id for account in changed}
        for _ in range(min(ceil(len(accounts) / _TURNS), len(self._round))):
            account_id = self._round.popleft()
            known = accounts.get(account_id)
            if known is not None and account_id not in fresh:
                refresh = self.write if known.positions else self._cache  # prices move equity, margin ratio and PnL
                refresh(known)

    def write(self, account: Account) -> None:
        """Write the cache and tell the state of one account."""
        body = self._cache(account)
        self._updates.add(
            AccountState,
            account_id=account.id,
            name=account.name,
            status=account.status,
            version=account.version,
            snapshot=msgspec.Raw(body),
        )
        self._written[account.id] = account.version

    def close(self, account: Account) -> None:
        """Tell the last state of an account that is no more."""
        self.write(account)
        self._outbox.command("DEL", self._names.risk(account.id))
        del self._written[account.id]

    def _cache(self, account: Account) -> bytes:
        body = encode(risk_snapshot(account, self._state.prices.mark, self._state.brackets, self._state.now_ms()))
        self._outbox.set(self._names.risk(account.id), body, RISK_TTL_S)
        return body
