"""The commands of algos: checked against rules and limits before anything leaves, then handed to the engine.

Owns what is the same for every kind: the limits, the wait for a first price, the wait of a cancel for the end, whose an
algo is. How a kind begins is in `kinds`. Never decides about margin; risk does, per child.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, cast

import msgspec

from pms_algos.app.controls import Controls
from pms_algos.app.engine import Engine
from pms_algos.app.kinds import KINDS, Kind
from pms_algos.app.kinds.base import Algo, Begin, telling
from pms_algos.domain import pauses
from pms_common.answers import Answers
from pms_common.bus import Entry
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.results import Success
from pms_common.ids import object_id
from pms_common.inlet import CommandInlet, Request, Taken
from pms_common.names import Names

MAX_ACTIVE = 5_000
"""Algos that may run at once, of all accounts: what the service is measured with (docs/performance.md)."""
FACTS_WITHIN_S = 2.0
"""How long a start waits for its symbol's first price, or for the position or account it names (interfaces)."""
CANCEL_WITHIN_S = 5.0
_MAY_COME = frozenset(
    {ErrorCode.POSITION_NOT_FOUND, ErrorCode.ACCOUNT_NOT_FOUND, ErrorCode.INFRA_NOT_READY}
    | {kind.no_price for kind in KINDS.values()}
)

Verb = Literal["pause", "resume"]


class Commands:
    """Decides the commands of all kinds."""

    def __init__(
        self,
        engine: Engine,
        controls: Controls,
        inlet: CommandInlet,
        answers: Answers,
        names: Names,
        now_ms: Callable[[], int],
    ) -> None:
        self._engine, self._controls, self._inlet, self._answers = engine, controls, inlet, answers
        self._names, self._now_ms = names, now_ms
        self._waiting: dict[str, tuple[Kind, Request]] = {}
        self.on_symbols: Callable[[], None] = lambda: None
        controls.on_stop = self._stop_waiting

    def routes(self) -> dict[str, Callable[[Entry], None]]:
        """Stream → handler."""
        routes = {}
        for name, kind in KINDS.items():
            routes[name] = self._inlet.route(name, partial(self._start, kind), partial(self._begun, kind))
            routes[f"{name}_cancel"] = self._inlet.route(f"{name}_cancel", partial(self._cancel, kind))
            routes[f"{name}_pause"] = self._inlet.route(f"{name}_pause", partial(self._control, kind, "pause"))
            routes[f"{name}_resume"] = self._inlet.route(f"{name}_resume", partial(self._control, kind, "resume"))
        return {self._names.cmd(type_): handler for type_, handler in routes.items()}

    @property
    def symbols(self) -> list[str]:
        """Symbols whose first price is waited for."""
        return [symbol for kind, request in self._waiting.values() for symbol in self._wants(kind, request)]

    # -- start

    def _algo_id(self, kind: Kind, request: Request) -> str:
        return object_id(kind.prefix, self._names.namespace, request.account_id, request.request_id)

    def _begun(self, kind: Kind, request: Request) -> bool:
        """Whether a predecessor saved the algo, and died before the command was acknowledged."""
        return self._engine.algos.find(self._algo_id(kind, request)) is not None

    def _start(self, kind: Kind, request: Request) -> Taken:
        if self._begun(kind, request):
            asyncio.get_running_loop().call_soon(self._again, kind, request)
            return Taken.LATER
        self._check_symbols(kind, request)
        try:
            self._begin(kind, request)
        except CommandError as error:
            if error.code not in _MAY_COME:
                raise
            self._wait(kind, request)
        return Taken.LATER

    def _check_symbols(self, kind: Kind, request: Request) -> None:
        specs = self._engine.markets.specs
        for symbol in self._wants(kind, request):
            if symbol not in specs:
                raise CommandError(ErrorCode.SYMBOL_UNKNOWN, f"The exchange lists no symbol {symbol}", field="symbol")
            if specs[symbol].status != "TRADING":
                raise CommandError(ErrorCode.SYMBOL_NOT_TRADING)

    def _wants(self, kind: Kind, request: Request) -> tuple[str, ...]:
        if kind.position is None:
            return kind.wants(request.command)
        found = self._engine.accounts.find(kind.position(request.command))
        return () if found is None else (found[1].symbol,)

    def _owner(self, kind: Kind, request: Request) -> str:
        """The account of a new algo: the sender's word, or whose position it is."""
        if kind.position is None:
            if self._engine.accounts.unknown(request.account_id):
                raise CommandError(ErrorCode.ACCOUNT_NOT_FOUND, field="subAccountId")
            return request.account_id
        found = self._engine.accounts.find(kind.position(request.command))
        if found is None and not self._engine.accounts.complete:
            raise CommandError(ErrorCode.INFRA_NOT_READY, "The positions are not known yet")
        if found is None:
            raise CommandError(ErrorCode.POSITION_NOT_FOUND, field="positionId")
        if request.account_id not in ("", found[0]):
            raise CommandError(ErrorCode.OWNERSHIP_FORBIDDEN, "The position belongs to another account")
        return found[0]

    def _begin(self, kind: Kind, request: Request) -> None:
        """Start it now, or raise what stands against it; nothing has left before."""
        account_id = self._owner(kind, request)
        replaces_id = getattr(request.command, "replaces_id", None)
        self._check_replaced(kind, account_id, replaces_id)
        self._check_limits(kind, account_id, replaces_id)
        scene = self._engine.scene(account_id)
        if any(scene.market(symbol) is None for symbol in self._wants(kind, request)):
            raise CommandError(kind.no_price)
        begin = Begin(
            self._algo_id(kind, request),
            account_id,
            request.request_id,
            request.expires_at_ms,
            scene,
            request.traceparent,
        )
        decision = kind.begin(begin, request.command)
        if kind.opens(decision[0]) and self._engine.accounts.status(account_id) not in (None, "ACTIVE"):
            raise CommandError(ErrorCode.ACCOUNT_FROZEN)
        claimed = self._engine.algos.claimed(kind, decision[0])
        if claimed is not None and claimed != replaces_id:
            raise CommandError(ErrorCode.ALGO_ALREADY_EXISTS, details={"runningId": claimed})
        self._engine.start(kind, decision, request.warnings, lambda: self._inlet.acknowledge(request))

    def _check_replaced(self, kind: Kind, account_id: str, replaces_id: str | None) -> None:
        if replaces_id is None:
            return
        replaced = self._engine.algos.get(replaces_id)
        if replaced is None or replaced.kind is not kind:
            text = f"replacesId names no running {kind.name}"
            raise CommandError(ErrorCode.ALGO_NOT_FOUND, text, field="replacesId")
        if replaced.algo.plan.account_id != account_id:
            raise CommandError(ErrorCode.OWNERSHIP_FORBIDDEN, "replacesId belongs to another account")
        for running in self._engine.algos.of_account(account_id):
            if running.after == replaces_id:
                text, details = "Another one replaces it already", {"runningId": running.id}
                raise CommandError(ErrorCode.ALGO_ALREADY_EXISTS, text, field="replacesId", details=details)

    def _check_limits(self, kind: Kind, account_id: str, replaces_id: str | None) -> None:
        algos, instead = self._engine.algos, replaces_id is not None
        if algos.count(account_id, kind) - instead >= kind.most:
            text = f"{kind.most} of this kind are running for the account, as many as are allowed"
            raise CommandError(ErrorCode.ALGO_LIMIT_REACHED, text)
        if len(algos) - instead >= MAX_ACTIVE:
            raise CommandError(ErrorCode.ALGO_LIMIT_REACHED, f"{MAX_ACTIVE} algos are running, as many as are allowed")

    def _again(self, kind: Kind, request: Request) -> None:
        """The algo is there already; it is answered now if it is beyond its answer."""
        self._inlet.acknowledge(request)
        self._engine.answer_again(self._algo_id(kind, request))

    # -- waiting for a price, a position or an account

    def _wait(self, kind: Kind, request: Request) -> None:
        if len(self._waiting) >= MAX_ACTIVE:
            raise CommandError(ErrorCode.INFRA_OVERLOADED)
        algo_id = self._algo_id(kind, request)
        self._waiting[algo_id] = kind, request
        self.on_symbols()
        asyncio.get_running_loop().call_later(FACTS_WITHIN_S, self._last_try, algo_id, request)

    def told(self) -> None:
        """A price or an account was told: begin what waited for it."""
        for algo_id in list(self._waiting):
            self._try_again(algo_id, last=False)

    def _stop_waiting(self, account_id: str, symbol: str) -> None:
        """All algos of a scope end: what waits to begin there does not begin."""
        for algo_id, (kind, request) in list(self._waiting.items()):
            if account_id in ("", self._whose(kind, request)) and (not symbol or symbol in self._wants(kind, request)):
                self._give_up(algo_id, CommandError(ErrorCode.CANCELLED_BEFORE_SEND))

    def _stop_waiting_for(self, kind: Kind, request: Request) -> None:
        """A cancel by its id of what waits to begin: it does not begin, and there is no algo to answer with."""
        algo_id = _named(kind, request)
        waits = self._waiting.get(algo_id)
        if waits is None or waits[0] is not kind or request.account_id not in ("", self._whose(*waits)):
            return
        self._give_up(algo_id, CommandError(ErrorCode.CANCELLED_BEFORE_SEND))
        text = f"{algo_id} waited for a price, a position or its account, and does not begin any more"
        raise CommandError(ErrorCode.ALGO_NOT_FOUND, text)

    def _whose(self, kind: Kind, request: Request) -> str:
        found = None if kind.position is None else self._engine.accounts.find(kind.position(request.command))
        return request.account_id if found is None else found[0]

    def _last_try(self, algo_id: str, request: Request) -> None:
        if algo_id in self._waiting and self._waiting[algo_id][1] is request:
            self._try_again(algo_id, last=True)

    def _try_again(self, algo_id: str, *, last: bool) -> None:
        kind, request = self._waiting[algo_id]
        try:
            if request.expires_at_ms is not None and self._now_ms() > request.expires_at_ms:
                raise CommandError(ErrorCode.EXPIRED_COMMAND)
            self._begin(kind, request)
        except CommandError as error:
            if last or error.code not in _MAY_COME:
                self._give_up(algo_id, error)
            return
        del self._waiting[algo_id]

    def _give_up(self, algo_id: str, error: CommandError) -> None:
        _, request = self._waiting.pop(algo_id)
        self._inlet.acknowledge(request, error)
        self._answers.fail(request.request_id, request.account_id, request.type, error, request.traceparent)

    # -- cancel, pause, resume

    def _find(self, kind: Kind, request: Request) -> Algo:
        algo_id = _named(kind, request)
        found = self._engine.algos.find(algo_id)
        if found is None or found[0] is not kind:
            text = f"There is no {kind.name.replace('_', ' ')} {algo_id}"
            raise CommandError(ErrorCode.ALGO_NOT_FOUND, text, field=_field(request, f"{kind.name}_id"))
        if request.account_id and request.account_id != found[1].plan.account_id:
            raise CommandError(ErrorCode.OWNERSHIP_FORBIDDEN, "The algo belongs to another account")
        return found[1]

    def _cancel(self, kind: Kind, request: Request) -> Taken:
        self._stop_waiting_for(kind, request)
        algo = self._find(kind, request)
        algo_id = algo.plan.algo_id
        loop = asyncio.get_running_loop()
        if self._engine.algos.get(algo_id) is not None:
            close = getattr(request.command, "close_positions", False)
            self._engine.cancel(algo_id, "cancelled", close, lambda ended: self._changed(kind, request, ended))
            loop.call_later(CANCEL_WITHIN_S, self._not_ended, request, algo_id)
        else:
            loop.call_soon(self._changed, kind, request, algo)  # once the inlet knows the request
        return Taken.LATER

    def _control(self, kind: Kind, verb: Verb, request: Request) -> Taken:
        """Pause or resume; an algo is where it was asked to be, however often that is asked."""
        algo = self._find(kind, request)
        algo_id = algo.plan.algo_id
        if self._engine.algos.get(algo_id) is None or algo.ending is not None or algo.outcome is not None:
            raise CommandError(ErrorCode.ALGO_NOT_FOUND, "The algo has ended, or is about to")
        if verb == "resume" and algo.paused is not None and not pauses.holds(algo.paused, pauses.USER):
            raise CommandError(ErrorCode.TRADING_REDUCING, "The algo was paused by risk, which lets it go on")
        order = self._controls.pause if verb == "pause" else self._controls.go_on
        answer = partial(self._controlled, kind, request, algo_id)
        asyncio.get_running_loop().call_soon(order, algo_id, pauses.USER, answer)
        return Taken.LATER

    def _controlled(self, kind: Kind, request: Request, algo_id: str) -> None:
        found = self._engine.algos.find(algo_id)
        assert found is not None
        self._changed(kind, request, found[1])

    def _changed(self, kind: Kind, request: Request, algo: Algo) -> None:
        self._inlet.acknowledge(request)
        message, more = kind.changed(algo)
        item = kind.item(algo, self._engine.markets.quote)
        more |= {"request_id": request.request_id, "warnings": request.warnings or None}
        result = cast("Success", telling(message, item, more))
        self._answers.succeed(request.request_id, algo.plan.account_id, request.type, result, request.traceparent)

    def _not_ended(self, request: Request, algo_id: str) -> None:
        if self._engine.algos.get(algo_id) is not None:
            text = (
                f"{algo_id} is ending, its orders are not final yet. "
                f"Send the same command again with requestId {request.request_id}, or wait for its last event"
            )
            error = CommandError(ErrorCode.AMBIGUOUS_RESULT, text)
            self._answers.refuse(request.request_id, request.account_id, request.type, error, request.traceparent)


def _named(kind: Kind, request: Request) -> str:
    """The algo that a cancel, a pause or a resume names."""
    algo_id: str = getattr(request.command, f"{kind.name}_id")
    return algo_id


def _field(request: Request, attribute: str) -> str:
    fields: Any = msgspec.structs.fields(type(request.command))
    return next(str(field.encode_name) for field in fields if field.name == attribute)
