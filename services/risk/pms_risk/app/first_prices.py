"""Commands that open risk wait for the first price of a symbol that nobody has watched.

Owns that a request is decided once, when all its symbols have a price or their time is up. Used by the handlers of the
commands that open.
"""

from collections.abc import Callable, Iterable
from functools import partial

from pms_common.answers import Answers
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.inlet import CommandInlet, Request, Taken
from pms_risk.app.state import RiskState
from pms_risk.app.watching import Watching

Decide = Callable[[Request], None]


class FirstPrices:
    """Decides requests now or later."""

    def __init__(self, state: RiskState, watching: Watching, answers: Answers, inlet: CommandInlet) -> None:
        self._state = state
        self._watching = watching
        self._answers = answers
        self._inlet = inlet

    def decide(self, request: Request, symbols: Iterable[str], decide: Decide) -> Taken:
        """Decide now, or as soon as every symbol's first price has come or its time is up."""
        waiting = set(symbols)
        for symbol in list(waiting):
            if not self._watching.wait_for_price(symbol, partial(self._priced, request, symbol, waiting, decide)):
                waiting.discard(symbol)
        if waiting:
            return Taken.LATER
        decide(request)
        return Taken.NOW

    def _priced(self, request: Request, symbol: str, waiting: set[str], decide: Decide) -> None:
        waiting.discard(symbol)
        if waiting:
            return
        self._inlet.acknowledge(request)
        try:
            if request.expires_at_ms is not None and self._state.now_ms() > request.expires_at_ms:
                raise CommandError(ErrorCode.EXPIRED_COMMAND)
            decide(request)
        except CommandError as error:
            self._answers.fail(request.request_id, request.account_id, request.type, error, request.traceparent)
