"""The operators' account commands: create, deposit, withdraw, freeze, unfreeze, assign, set_rules, set_mode.

Owns their rules and that each is durable before it is answered; `takeover` is handed on to `closes`. Used by the inlet
of `op:account`.
"""

import uuid
from collections.abc import Callable, Set
from dataclasses import replace
from decimal import Decimal
from functools import partial

from pms_common.answers import Answers
from pms_common.contracts.commands.admin import Account as AccountCommand
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.events.system import AccountUpdated
from pms_common.contracts.results import AccountDone
from pms_common.decimals import ZERO
from pms_common.inlet import CommandInlet, Request, Taken
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.assignments import Wanted
from pms_risk.app.events import Events
from pms_risk.app.state import RiskState
from pms_risk.domain.account import Account
from pms_risk.domain.rules import ALL_SYMBOLS
from pms_risk.domain.snapshot import snapshot

_RULES = (
    *("max_leverage", "max_notional_per_trade", "max_total_exposure"),
    *("liquidation_threshold", "allowed_symbols", "max_open_orders"),
    *("max_daily_loss", "max_orders_per_minute"),
)
_ACCOUNT_IDS = uuid.UUID("6f1f0f2e-0c53-5b44-9c6a-7c2f0e8f4f11")
"""Name space of account ids: the same request makes the same id."""


class Accounts:
    """Decides account commands. `transferred` (account, request id, cause) was booked before a restart."""

    def __init__(
        self,
        state: RiskState,
        journal: Journal,
        events: Events,
        answers: Answers,
        inlet: CommandInlet,
        transferred: Set[tuple[str, str, str]],
        take_over: Callable[[Request], Taken],
        assign: Callable[[Wanted], None],
    ) -> None:
        self._state = state
        self._journal = journal
        self._events = events
        self._answers = answers
        self._inlet = inlet
        self._transferred = transferred
        self._take_over = take_over
        self._ask_to_assign = assign
        self._actions: dict[str, Callable[[Request, AccountCommand], Account]] = {
            "create": self._create,
            "deposit": self._deposit,
            "withdraw": self._withdraw,
            "freeze": self._freeze,
            "unfreeze": self._unfreeze,
            "set_rules": self._set_rules,
            "set_mode": self._set_mode,
        }

    def decide(self, request: Request) -> Taken:
        """Apply, journal; the answer follows the commit."""
        command = request.command
        assert isinstance(command, AccountCommand)
        if command.action == "takeover":
            return self._take_over(request)
        if command.action == "assign":
            return self._assign(request, command)
        self._finish(request, command, self._actions[command.action](request, command))
        return Taken.LATER

    def _finish(self, request: Request, command: AccountCommand, account: Account) -> None:
        self._journal.account(account)
        self._journal.then(partial(self._answer, request, command, account), hurry=True)

    def _assign(self, request: Request, command: AccountCommand) -> Taken:
        account = self._state.account(command.sub_account_id)
        done, refuse = partial(self._finish, request, command, account), partial(self._refuse, request)
        self._ask_to_assign(Wanted(account, command.symbol or "", command.exchange_order_id or 0, done, refuse))
        return Taken.LATER

    def _refuse(self, request: Request, error: CommandError) -> None:
        self._inlet.acknowledge(request, error)
        self._answers.fail(request.request_id, request.account_id, request.type, error, request.traceparent)

    def _answer(self, request: Request, command: AccountCommand, account: Account) -> None:
        shot = snapshot(account, self._state.prices.mark)
        self._inlet.acknowledge(request)
        done = AccountDone(
            request_id=request.request_id,
            warnings=request.warnings or None,
            sub_account_id=account.id,
            action=command.action,
            name=account.name,
            status=account.status,
            balance=account.cash,
            account=shot,
        )
        self._answers.succeed(request.request_id, request.account_id, request.type, done, request.traceparent)
        event = AccountUpdated(
            sub_account_id=account.id,
            timestamp_ms=request.entry.ms,
            name=account.name,
            status=account.status,
            liquidation_mode=account.liquidation_mode,
            reason=command.action,
            account=shot,
        )
        self._events.tell(f"{account.id}:{request.request_id}:account_updated", event, request.traceparent)

    # -- actions

    def _create(self, request: Request, command: AccountCommand) -> Account:
        seed = f"{self._state.namespace}:{request.request_id}"
        account_id = command.sub_account_id or str(uuid.uuid5(_ACCOUNT_IDS, seed))
        accounts = self._state.books.accounts
        known = accounts.get(account_id)
        if known is not None and known.created_by == request.request_id:
            return known  # committed before a crash, not answered
        name = command.name or account_id
        if known is not None or any(account.name == name for account in accounts.values()):
            raise CommandError(ErrorCode.ACCOUNT_ALREADY_EXISTS, f"An account {account_id} or named {name} exists")
        if command.balance:
            self._require_house_cash(command.balance, allow_unfunded=False)
        account = accounts[account_id] = Account(account_id, name, request.entry.ms, request.request_id)
        self._journal.account(account)
        self._journal.rules(account)
        if command.balance:
            self._transfer(account, command.balance, request)
        self._journal.enrol(account)
        return account

    def _deposit(self, request: Request, command: AccountCommand) -> Account:
        account = self._state.account(command.sub_account_id)
        amount = command.amount or ZERO
        if not self._booked(account, request, "deposit"):
            self._require_house_cash(amount, command.allow_unfunded)
            self._transfer(account, amount, request)
        return account

    def _withdraw(self, request: Request, command: AccountCommand) -> Account:
        account = self._state.account(command.sub_account_id)
        amount = command.amount or ZERO
        if not self._booked(account, request, "withdrawal"):
            self._require_free_cash(account, amount)
            self._transfer(account, -amount, request)
        return account

    def _freeze(self, _: Request, command: AccountCommand) -> Account:
        account = self._state.account(command.sub_account_id)
        account.set_status("FROZEN")
        return account

    def _unfreeze(self, _: Request, command: AccountCommand) -> Account:
        account = self._state.account(command.sub_account_id)
        account.set_status("ACTIVE")
        return account

    def _set_rules(self, _: Request, command: AccountCommand) -> Account:
        account = self._state.account(command.sub_account_id)
        given = {name: value for name in _RULES if (value := getattr(command, name)) is not None}
        if "allowed_symbols" in given:
            given["allowed_symbols"] = frozenset(given["allowed_symbols"]) - {ALL_SYMBOLS}
        if "max_leverage" in given:
            given["max_leverage"] = Decimal(given["max_leverage"])
        account.set_rules(replace(account.rules, **given))
        self._journal.rules(account)
        return account

    def _set_mode(self, _: Request, command: AccountCommand) -> Account:
        account = self._state.account(command.sub_account_id)
        account.set_mode(
            command.liquidation_mode or account.liquidation_mode,
            command.maintenance_mode or account.maintenance_mode,
            command.maintenance_rate or account.maintenance_rate,
        )
        account.set_margin_mode(command.margin_mode or account.margin_mode)
        return account

    # -- cash

    def _booked(self, account: Account, request: Request, cause: str) -> bool:
        """Whether the transfer was committed before a crash, and not answered."""
        return (account.id, request.request_id, cause) in self._transferred

    def _transfer(self, account: Account, amount: Decimal, request: Request) -> None:
        credit, debit = self._state.books.transfer(account, amount, request.request_id, request.entry.ms)
        self._journal.ledger(credit)
        self._journal.house(debit)

    def _require_house_cash(self, amount: Decimal, allow_unfunded: bool) -> None:
        if allow_unfunded:
            return
        if self._state.books.house.opened_ms is None:
            raise CommandError(ErrorCode.INFRA_NOT_READY, "The exchange's wallet is not known yet")
        free = self._state.books.house.free()
        if amount > free:
            raise CommandError(ErrorCode.HOUSE_UNFUNDED, f"The house has {free:.2f} left, {amount:.2f} was asked for")

    def _require_free_cash(self, account: Account, amount: Decimal) -> None:
        """A withdrawal leaves what positions and live orders need; profit that is not realised cannot be withdrawn.
        What an isolated position has lost is a part of its margin."""
        marks = self._state.prices.fresh_marks(self._state.now_ms())
        pnl, missing = account.pnl(marks)
        if missing is not None:
            raise CommandError(ErrorCode.NO_PRICE, f"No fresh price for {missing}")
        free = account.cash + min(pnl - account.isolated_pnl(marks), ZERO) - account.margin - account.reserved_margin
        if amount > free:
            message = f"At most {max(free, ZERO):.2f} can be withdrawn, {amount:.2f} was asked for"
            raise CommandError(ErrorCode.INSUFFICIENT_BALANCE, message, field="amount")
