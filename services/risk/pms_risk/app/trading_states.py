"""The operators' trading states: kept, told to everybody, durable before they are answered.

Risk answers; orders and algos read the same stream and act on their own. Used by the inlet of `op:trading_state`.
"""

from functools import partial

from pms_common.answers import Answers
from pms_common.bus import UpdatesWriter
from pms_common.contracts.bus.risk import TradingState
from pms_common.contracts.commands.admin import SetTradingState
from pms_common.contracts.events import ALL_ACCOUNTS
from pms_common.contracts.events.system import TradingStateChanged
from pms_common.contracts.results import TradingStateDone
from pms_common.inlet import CommandInlet, Request, Taken
from pms_risk.adapters.postgres.journal import Journal
from pms_risk.app.events import Events
from pms_risk.app.state import RiskState


class TradingStates:
    """Decides trading_state commands."""

    def __init__(
        self,
        state: RiskState,
        journal: Journal,
        events: Events,
        answers: Answers,
        inlet: CommandInlet,
        updates: UpdatesWriter,
    ) -> None:
        self._state = state
        self._journal = journal
        self._events = events
        self._answers = answers
        self._inlet = inlet
        self._updates = updates

    def decide(self, request: Request) -> Taken:
        """It holds from now on; the answer follows the commit."""
        command = request.command
        assert isinstance(command, SetTradingState)
        account_id = command.sub_account_id or ""
        if account_id:
            self._state.account(account_id)
        symbol = command.symbol or ""
        self._state.gates.set(account_id, symbol, command.state)
        self._journal.gate(account_id, symbol, command.state)
        self._updates.add(TradingState, state=command.state, account_id=account_id, symbol=symbol)
        event = TradingStateChanged(
            sub_account_id=account_id or ALL_ACCOUNTS,
            timestamp_ms=request.entry.ms,
            state=command.state,
            symbol=command.symbol,
            reason="operator",
        )
        self._events.tell(f"trading_state:{request.request_id}:{request.entry.id}", event, request.traceparent)
        self._journal.then(partial(self._answer, request, command), hurry=True)
        return Taken.LATER

    def _answer(self, request: Request, command: SetTradingState) -> None:
        self._inlet.acknowledge(request)
        done = TradingStateDone(
            request_id=request.request_id,
            warnings=request.warnings or None,
            state=command.state,
            sub_account_id=command.sub_account_id,
            symbol=command.symbol,
        )
        self._answers.succeed(request.request_id, request.account_id, request.type, done, request.traceparent)
