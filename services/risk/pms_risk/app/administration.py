"""What the JS application does to accounts and rules in its own tables, taken over here; and what is done here, there.

Owns that a change there takes effect within a second, exactly once, with a ledger entry and its counter-entry in the
house where it is one of a balance; and what becomes of an account that was deleted there: its orders are cancelled, its
positions and its cash go to the house. Asks the database every 0.3 s what differs, one question after the other, off
the hot path.
"""

import asyncio
from decimal import Decimal

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pms_common.contracts.events.system import AccountUpdated
from pms_common.logging import get_logger
from pms_common.metrics import counter
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.adapters.postgres.shared_accounts import SharedAccounts
from pms_risk.app.caches import Caches
from pms_risk.app.clearing import Clearing
from pms_risk.app.events import Events
from pms_risk.app.liquidator import Liquidator
from pms_risk.app.state import RiskState
from pms_risk.app.takeovers import Takeovers
from pms_risk.domain.account import Account
from pms_risk.domain.administration import Difference, Terms, apply, terms_of, unreadable
from pms_risk.domain.position import Position
from pms_risk.domain.snapshot import snapshot

log = get_logger(__name__)

LOOK_S = 0.3
NOTHING = (Decimal(0), 0)
MAX_SAID = 10_000
AT_ONCE = 50
"""Accounts changed without a pause: a few milliseconds."""

_changes = counter("risk_administered", "Changes of the JS application's tables that were taken over", ["what"])
_orphaned = counter("risk_positions_of_deleted_accounts", "Positions of deleted accounts, taken over by the house")


class Administration:
    """Takes over what differs. `open` it when the books are loaded."""

    def __init__(
        self,
        state: RiskState,
        shared: SharedAccounts,
        journal: Journal,
        events: Events,
        takeovers: Takeovers,
        clearing: Clearing,
        liquidator: Liquidator,
        caches: Caches,
    ) -> None:
        self._state = state
        self._shared = shared
        self._journal = journal
        self._events = events
        self._takeovers = takeovers
        self._clearing = clearing
        self._liquidator = liquidator
        self._caches = caches
        self._orders_known = False
        self._closing: set[str] = set()
        """Deleted accounts of which something is still under way."""
        self._booked: dict[str, tuple[Decimal, int]] = {}
        """By account what of its balance's changes is booked, and in how many entries."""
        self._unknown: dict[str, list[str]] = {}
        """By account the symbols of positions there that another engine has opened."""
        self._enrolled: set[str] = set()
        self._said: set[tuple[str, str]] = set()

    async def open(self) -> None:
        """Go on where the books stand, with all that was changed meanwhile: the first look will agree on it."""
        self._booked = await self._shared.booked()
        await self._take_over()

    async def run(self) -> None:
        """Look regularly, when all live orders are known. A database that does not answer is asked again."""
        self._orders_known = True
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except (OSError, SQLAlchemyError) as error:
                self._say("", f"{type(error).__name__}: {str(error)[:300]}", "administration_not_read")
                await asyncio.sleep(1)

    async def look(self) -> None:
        """Take over what differs now, and return when it is committed on both sides, but for rows that are locked."""
        agreed: list[tuple[Difference, Terms]] = []
        for found in await self._take_over():
            if found.shared is None or found.agreed is None:
                continue
            theirs = found.theirs()
            theirs = {name: value for name, value in theirs.items() if name not in unreadable(theirs)}
            own = found.own()
            if theirs or (found.moved and not own):
                agreed.append((found, {**found.agreed, **theirs}))
            elif own:
                await self._give(found, own)
        if agreed:
            await self._shared.agree(agreed)

    async def _take_over(self) -> list[Difference]:
        """Bring into the books what differs now; it is committed there."""
        found = await self._shared.differences()
        if not found:
            return []
        accounts = self._state.books.accounts
        gone = [difference for difference in found if difference.shared is None and difference.agreed is not None]
        if len(found) == len(gone) == len(accounts) > 1:
            self._say("", f"none of {len(gone)} accounts is in sub_accounts any more", "all_accounts_deleted")
            return []
        if any(difference.agreed is None and difference.ours is None for difference in found):
            self._unknown = await self._shared.unknown_positions()
        for number, difference in enumerate(found, 1):
            self._take(difference)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        await self._journal.committed()
        return found

    def _take(self, found: Difference) -> None:
        account = self._state.books.accounts.get(found.account_id)
        if found.shared is None and found.agreed is not None:
            self._close(found, account)
        elif account is None and found.agreed is None and found.ours is None:
            self._create(found)
        elif account is not None and found.agreed is None:
            self._enrol(account)
        elif account is not None:
            self._change(found, account)
        else:
            self._say(found.account_id, "agreed on once, unknown here", "account_of_nobody")

    async def _give(self, found: Difference, own: Terms) -> None:
        try:
            await self._shared.give(found, own)
        except DBAPIError as error:  # of this account alone: the others go on
            if error.connection_invalidated:
                raise
            self._say(found.account_id, str(error.orig)[:300], "terms_not_given")

    # -- one account

    def _create(self, found: Difference) -> None:
        assert found.shared is not None
        assert found.balance is not None
        bad = unreadable(found.shared)
        if bad or not found.balance.readable:
            why = f"not numbers one can work with: {sorted(bad) or 'the balance'}"
            self._say(found.account_id, why, "account_not_taken")
            return
        account = Account(found.account_id, found.shared["name"], found.created_ms, "sub_accounts")
        apply(account, found.shared)
        if symbols := self._unknown.get(account.id):
            # Their prices are doubles of another engine's books, and nothing tells whether the exchange has them.
            account.set_status("FROZEN")
            log.error("open_positions_not_taken", account_id=account.id, symbols=symbols)
        self._state.books.accounts[account.id] = account
        self._journal.account(account)
        self._journal.rules(account)
        self._book(account, found.balance.found_by_now())
        self._journal.enrol(account, found.shared)
        self._tell(found, account, "created")

    def _enrol(self, account: Account) -> None:
        if account.id in self._enrolled:
            return  # the tables did not take it: said by the journal
        self._enrolled.add(account.id)
        self._journal.enrol(account)
        self._journal.account(account)

    def _change(self, found: Difference, account: Account) -> None:
        theirs = found.theirs()
        if bad := unreadable(theirs):
            self._say(account.id, f"not numbers one can work with: {sorted(bad)}", "terms_not_taken")
        changed = apply(account, {name: value for name, value in theirs.items() if name not in bad})
        if changed:
            self._journal.rules(account)
        assert found.balance is not None
        if not found.balance.readable:
            self._say(account.id, f"{found.balance.value} is nobody's cash", "balance_not_taken")
        booked, _ = self._booked.get(account.id, NOTHING)
        amount = found.balance.found_by_now() - booked
        if changed or amount or found.behind:  # a term that is not taken is seen again at each look
            self._book(account, amount)
        if changed or amount:
            self._tell(found, account, "administered")

    def _book(self, account: Account, amount: Decimal) -> None:
        """Journal the account, with what was changed of its balance and is not booked."""
        self._journal.account(account)
        if not amount:
            return  # it is written all the same: the shared row may be behind, because it was locked too long
        booked, times = self._booked.get(account.id, NOTHING)
        now_ms = self._state.now_ms()
        credit, debit = self._state.books.transfer(account, amount, f"sub_accounts:{times}", now_ms, "admin_set")
        self._booked[account.id] = (booked + amount, times + 1)
        self._journal.ledger(credit)
        self._journal.house(debit)
        self._journal.account(account)
        house = self._state.books.house
        if house.opened_ms is not None and house.free() < 0:
            log.error("house_overdrawn", account_id=account.id, amount=str(amount), free=str(house.free()))

    def _close(self, found: Difference, account: Account | None) -> None:
        """Once nothing of it is under way any more; what it still has goes to the house, at each look."""
        if account is None:
            self._say(found.account_id, "deleted there, unknown here", "account_of_nobody")
            return
        if not self._orders_known:
            return
        now_ms = self._state.now_ms()
        if account.id not in self._closing:
            self._closing.add(account.id)
            self._clearing.clear(account, "", now_ms, "stop", f"deleted:{account.id}:{now_ms}", "account_deleted")
            account.set_status("FROZEN")
        unpriced = [p.symbol for p in list(account.open_positions()) if not self._inherit(account, p, now_ms)]
        if unpriced:
            why = f"the house takes no position without a fresh price: {sorted(unpriced)}"
            self._say(account.id, why, "deleted_account_unpriced")
        if unpriced or account.orders or self._state.courses.under_way(account.id):
            self._journal.account(account)
            return
        if account.cash:
            transfer = self._state.books.transfer(account, -account.cash, "sub_accounts", now_ms, "account_closed")
            self._journal.ledger(transfer[0])
            self._journal.house(transfer[1])
        account.set_status("CLOSED")
        self._journal.account(account)
        self._journal.forget(account)
        self._closing.discard(account.id)
        for course in self._state.courses.of(account.id):
            self._liquidator.forget(course)
        del self._state.books.accounts[account.id]
        self._caches.close(account)
        self._tell(found, account, "deleted")

    def _inherit(self, account: Account, position: Position, now_ms: int) -> bool:
        """Whether the house could take it: at a fresh mid only, which the account's cash is settled by."""
        symbol = position.symbol
        price = self._state.prices.fresh_mark(symbol, now_ms)
        if price is None:
            return False
        self._takeovers.take(account, position, abs(position.quantity), price, f"deleted:{now_ms}", now_ms)
        _orphaned.inc()
        log.error("position_of_deleted_account", account_id=account.id, symbol=symbol)
        return True

    def _tell(self, found: Difference, account: Account, reason: str) -> None:
        _changes.labels(reason).inc()
        log.info("account_administered", account_id=account.id, reason=reason, **terms_of(account))
        event = AccountUpdated(
            sub_account_id=account.id,
            timestamp_ms=self._state.now_ms(),
            name=account.name,
            status=account.status,
            liquidation_mode=account.liquidation_mode,
            reason=reason,
            account=snapshot(account, self._state.prices.mark),
        )
        # an id may be deleted, made anew and deleted again
        self._events.tell(f"{account.id}:{account.created_ms}:{reason}:{found.version}:account_updated", event)

    def _say(self, account_id: str, why: str, what: str) -> None:
        """Once: it is seen again at each look."""
        if len(self._said) > MAX_SAID:
            self._said.clear()
        if (account_id, why) not in self._said:
            self._said.add((account_id, why))
            log.error(what, account_id=account_id, why=why)
