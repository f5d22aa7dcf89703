"""What holds algos back or ends them from outside: their user, risk, operators, and the state of their account.

Owns who counts as concerned by it. Never decides for a plan.
"""

from collections.abc import Callable

from pms_algos.app.engine import Done, Engine
from pms_algos.app.outputs import Outputs
from pms_algos.app.running import Running
from pms_algos.domain import pauses
from pms_algos.domain.actions import Gate
from pms_algos.domain.events import AccountChanged, Event, Paused, Resumed
from pms_common.contracts.bus.algos import ControlAlgos
from pms_common.contracts.bus.risk import AccountState
from pms_common.db import GroupCommit


class Controls:
    """Pause, stop and resume."""

    def __init__(self, engine: Engine, outputs: Outputs, journal: GroupCommit, now_ms: Callable[[], int]) -> None:
        self._engine, self._outputs, self._journal, self._now_ms = engine, outputs, journal, now_ms
        self.on_stop: Callable[[str, str], None] = lambda _account_id, _symbol: None
        """Told the scope in which all algos are ended; an empty string means all of them."""

    def pause(self, algo_id: str, by: str, saved: Done | None = None) -> None:
        """Have an algo that runs take its orders back and wait; `saved` is called when that is durable."""
        self._step(algo_id, Paused(by), saved)

    def go_on(self, algo_id: str, by: str, saved: Done | None = None) -> None:
        """Have an algo that runs go on; `saved` is called when that is durable."""
        self._step(algo_id, Resumed(by), saved)

    def _step(self, algo_id: str, event: Event, saved: Done | None) -> None:
        running = self._engine.algos.get(algo_id)
        assert running is not None
        self._engine.step(running, event, f"control-{self._now_ms()}", saved)

    def control(self, control: ControlAlgos, saved: Done) -> None:
        """Do what is asked, and answer at once: from here on nothing more is asked for."""
        concerned = [
            running
            for running in self._engine.algos.of_account(control.account_id)
            if not control.symbol or control.symbol in running.symbols
        ]
        if control.action == "stop":
            self.on_stop(control.account_id, control.symbol)
        for running in concerned:
            match control.action:
                case "stop":
                    self._engine.cancel(running.id, control.reason)
                case "pause":
                    self.pause(running.id, pauses.risk(control.symbol))
                case "resume":
                    self.go_on(running.id, pauses.risk(control.symbol))
        self._outputs.controlled(control, tuple(running.id for running in concerned))
        self._journal.then(saved)

    def trading_state(self, account_id: str, symbol: str, state: Gate, cancel: bool, saved: Done) -> None:
        """Open or shut the gate of an account and symbol, an empty string means all of them; a halt with `cancel` ends
        their algos. `saved`: that is durable, and what was told before, which must not come again alone."""
        self._engine.markets.set_gate(account_id, symbol, state)
        if state == "halted" and cancel:
            self._end_all(account_id, symbol)
        self._journal.then(saved)

    def _end_all(self, account_id: str, symbol: str) -> None:
        self.on_stop(account_id, symbol)
        algos = self._engine.algos
        for running in algos.of_account(account_id) if account_id else algos:
            if not symbol or symbol in running.symbols:
                self._engine.cancel(running.id, "risk")

    # -- accounts

    def account(self, state: AccountState) -> None:
        """An account's positions, or its status: what may open risk waits while the account is frozen.

        What is told first counts as a change: the account may have changed while nobody listened.
        """
        before = self._engine.accounts.take(state)
        running = self._engine.algos.of_account(state.account_id)
        if state.status != before:
            for one in running:
                self._follow_status(one, state.status)
        for one in running:
            self._engine.step(one, AccountChanged(), f"account-{state.epoch}-{state.n}")

    def accounts_known(self) -> None:
        """Risk has told all accounts since the start: positions count from now on."""
        self._engine.accounts.complete = True
        for running in self._engine.algos:
            self._engine.step(running, AccountChanged(), f"accounts-{self._now_ms()}")

    def _follow_status(self, running: Running, status: str) -> None:
        if status == "LIQUIDATED":
            self._engine.cancel(running.id, "risk")
        elif not running.kind.opens(running.algo):
            return
        elif status == "FROZEN":
            self.pause(running.id, pauses.FROZEN)
        else:
            self.go_on(running.id, pauses.FROZEN)
