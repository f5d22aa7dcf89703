"""Accounts as risk told them last: their positions for the plans, their snapshot for the events.

Owns the newest snapshot of each account, decoded when it is first looked at. Never decides; what a change of an
account's status means is the engine's.
"""

from collections import OrderedDict
from decimal import Decimal

import msgspec

from pms_algos.domain.events import Held
from pms_common.contracts.account import AccountSnapshot
from pms_common.contracts.bus.risk import AccountState

MAX_ACCOUNTS = 50_000
MAX_MISSED = 1_000
"""Positions remembered that nobody has, so that they are not looked for again with each price."""

_decode = msgspec.json.Decoder(AccountSnapshot).decode
"""The part of an account's snapshot that events carry."""


class _Account:
    """One account; `shown` and `held` are made of `raw` when asked for."""

    __slots__ = ("held", "raw", "shown", "status")

    def __init__(self, status: str, raw: bytes) -> None:
        self.status, self.raw = status, raw
        self.shown: AccountSnapshot | None = None
        self.held: tuple[Held, ...] | None = None


class Accounts:
    """All accounts that risk has spoken of."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._missed: set[bytes] = set()
        self.complete = False
        """Whether risk has told all of them since the start."""

    def take(self, state: AccountState) -> str | None:
        """Take an account's newest state; its status before, None where it was not known."""
        known = self._accounts.get(state.account_id)
        self._accounts[state.account_id] = account = _Account(state.status, bytes(state.snapshot))
        if self._missed:
            self._missed = {name for name in self._missed if name not in account.raw}
        if len(self._accounts) > MAX_ACCOUNTS:
            self._accounts.popitem(last=False)
        return None if known is None else known.status

    def status(self, account_id: str) -> str | None:
        """ACTIVE, FROZEN or LIQUIDATED; None where it is not known."""
        known = self._accounts.get(account_id)
        return None if known is None else known.status

    def unknown(self, account_id: str) -> bool:
        """Whether risk has no such account, as far as it has told. Of more than are remembered nothing is said."""
        return self.complete and account_id not in self._accounts and len(self._accounts) < MAX_ACCOUNTS

    def shown(self, account_id: str) -> AccountSnapshot | None:
        """What events carry."""
        account = self._accounts.get(account_id)
        if account is None:
            return None
        if account.shown is None:
            account.shown = _decode(account.raw)
        return account.shown

    def held(self, account_id: str) -> tuple[Held, ...] | None:
        """The account's positions; None where they are not known.

        That is before risk has told all accounts: what comes again after a restart may be older than a position.
        """
        account = self._accounts.get(account_id)
        if account is None or not self.complete:
            return None
        if account.held is None:
            shown = self.shown(account_id)
            assert shown is not None
            account.held = tuple(
                Held(p.id, p.symbol, p.side, p.quantity, p.entry_price, Decimal(p.leverage)) for p in shown.positions
            )
        return account.held

    def find(self, position_id: str) -> tuple[str, Held] | None:
        """An open position and whose it is."""
        name = position_id.encode()
        if name in self._missed:
            return None
        for account_id, account in self._accounts.items():
            if name in account.raw:
                for held in self.held(account_id) or ():
                    if held.position_id == position_id:
                        return account_id, held
        if self.complete:
            if len(self._missed) >= MAX_MISSED:
                self._missed.clear()
            self._missed.add(name)
        return None
