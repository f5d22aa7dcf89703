"""The commands of algos: checked against rules and limits before anything leaves, then handed to the engine.

The chase is carried out; all other commands of the contract are refused at once. Owns the wait for a first price and
the wait of a cancel for the end. Never decides about margin; risk does, per child.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import cast

from pms_algos.app import views
from pms_algos.app.engine import Engine
from pms_algos.domain.actions import Market
from pms_algos.domain.chase_child import closed
from pms_algos.domain.chase_price import own_quote, target_price
from pms_algos.domain.chase_state import Chase, ChasePlan
from pms_common.answers import Answers
from pms_common.bus import Entry
from pms_common.contracts.commands.chase import Chase as StartChase
from pms_common.contracts.commands.chase import ChaseCancel
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.decimals import floor_to
from pms_common.ids import object_id
from pms_common.inlet import CommandInlet, Request, Taken
from pms_common.names import Names
from pms_common.topology import ALGOS_COMMANDS

MAX_ACTIVE = 500
"""Chases that may run at once (reference, constants)."""
PRICE_WITHIN_S = 2.0
"""How long a first trade of a symbol waits for its price (interfaces, settings)."""
CANCEL_WITHIN_S = 5.0


class ChaseCommands:
    """Decides `chase` and `chase_cancel`, and answers the rest."""

    def __init__(
        self, engine: Engine, inlet: CommandInlet, answers: Answers, names: Names, now_ms: Callable[[], int]
    ) -> None:
        self._engine, self._inlet, self._answers = engine, inlet, answers
        self._names, self._now_ms = names, now_ms
        self._waiting: dict[str, list[Request]] = {}
        self.on_symbols: Callable[[], None] = lambda: None

    def routes(self) -> dict[str, Callable[[Entry], None]]:
        """Stream → handler."""
        routes = {type_: self._inlet.route(type_, _refuse_unavailable) for type_ in ALGOS_COMMANDS}
        routes["chase"] = self._inlet.route("chase", self._start, self._begun)
        routes["chase_cancel"] = self._inlet.route("chase_cancel", self._cancel)
        return {self._names.cmd(type_): handler for type_, handler in routes.items()}

    @property
    def symbols(self) -> list[str]:
        """Symbols whose first price is waited for."""
        return list(self._waiting)

    # -- chase

    def _begun(self, request: Request) -> bool:
        """Whether a predecessor saved the chase, and died before the command was acknowledged."""
        return self._engine.find(self._algo_id(request)) is not None

    def _start(self, request: Request) -> Taken:
        command = cast("StartChase", request.command)
        if self._begun(request):
            asyncio.get_running_loop().call_soon(self._again, request)
            return Taken.LATER
        self._check_limits(command)
        market = self._engine.markets.market(command.symbol, request.account_id, self._now_ms())
        if market is not None:
            self._begin(request, market)
        else:
            self._wait_for_price(request)
        return Taken.LATER

    def _check_limits(self, command: StartChase) -> None:
        if command.replaces_id is not None:
            text = "replacesId is not available for a chase: cancel the old one first"
            raise CommandError(ErrorCode.VALIDATION_FAILED, text, field="replacesId")
        if len(self._engine) + sum(map(len, self._waiting.values())) >= MAX_ACTIVE:
            raise CommandError(ErrorCode.ALGO_LIMIT_REACHED, f"{MAX_ACTIVE} chases are running, as many as are allowed")
        specs = self._engine.markets.specs
        if command.symbol not in specs:
            raise CommandError(
                ErrorCode.SYMBOL_UNKNOWN, f"The exchange lists no symbol {command.symbol}", field="symbol"
            )
        if specs[command.symbol].status != "TRADING":
            raise CommandError(ErrorCode.SYMBOL_NOT_TRADING)

    def _begin(self, request: Request, market: Market) -> None:
        command = cast("StartChase", request.command)
        plan = ChasePlan(
            algo_id=self._algo_id(request),
            account_id=request.account_id,
            request_id=request.request_id,
            symbol=command.symbol,
            side=command.side,
            quantity=floor_to(command.quantity, market.spec.step_size),
            leverage=Decimal(command.leverage),
            offset_pct=command.stalk_offset_pct,
            offset_ticks=command.stalk_offset_ticks,
            mode=command.stalk_mode,
            max_distance_pct=command.max_distance_pct,
            min_interval_ms=command.min_interval_ms,
            reduce_only=command.reduce_only,
            post_only=command.post_only,
            anchor=own_quote(command.side, market),
            started_ms=self._now_ms(),
        )
        _check_gate(plan, market)
        _check_filters(plan, market)
        self._engine.start(plan, request.expires_at_ms, request.warnings, lambda: self._inlet.acknowledge(request))

    def _algo_id(self, request: Request) -> str:
        return object_id("chase", self._names.namespace, request.account_id, request.request_id)

    def _again(self, request: Request) -> None:
        """The chase is there already; it is answered now if its first child is beyond its answer."""
        self._inlet.acknowledge(request)
        self._engine.answer_again(self._algo_id(request))

    # -- waiting for a price

    def _wait_for_price(self, request: Request) -> None:
        symbol = cast("StartChase", request.command).symbol
        self._waiting.setdefault(symbol, []).append(request)
        self.on_symbols()
        asyncio.get_running_loop().call_later(PRICE_WITHIN_S, self._no_price, symbol, request)

    def priced(self, symbol: str) -> None:
        """A symbol has a price: begin what waited for it."""
        for request in self._waiting.pop(symbol, ()):
            market = self._engine.markets.market(symbol, request.account_id, self._now_ms())
            try:
                if request.expires_at_ms is not None and self._now_ms() > request.expires_at_ms:
                    raise CommandError(ErrorCode.EXPIRED_COMMAND)
                if market is None:
                    raise CommandError(ErrorCode.NO_PRICE)
                self._begin(request, market)
            except CommandError as error:
                self._refuse(request, error)

    def _no_price(self, symbol: str, request: Request) -> None:
        waiting = self._waiting.get(symbol, [])
        if request in waiting:
            waiting.remove(request)
            if not waiting:
                del self._waiting[symbol]
            self._refuse(request, CommandError(ErrorCode.NO_PRICE, f"No live price of {symbol}"))

    def _refuse(self, request: Request, error: CommandError) -> None:
        self._inlet.acknowledge(request)
        self._answers.fail(request.request_id, request.account_id, request.type, error)

    # -- chase_cancel

    def _cancel(self, request: Request) -> Taken:
        command = cast("ChaseCancel", request.command)
        chase = self._engine.find(command.chase_id)
        if chase is None:
            raise CommandError(ErrorCode.ALGO_NOT_FOUND, f"There is no chase {command.chase_id}", field="chaseId")
        if request.account_id and request.account_id != chase.plan.account_id:
            raise CommandError(ErrorCode.OWNERSHIP_FORBIDDEN, "The chase belongs to another account")
        if self._engine.is_running(command.chase_id):
            self._engine.cancel(command.chase_id, "cancelled", lambda ended: self._cancelled(request, ended))
            asyncio.get_running_loop().call_later(CANCEL_WITHIN_S, self._not_ended, request, command.chase_id)
            return Taken.LATER
        asyncio.get_running_loop().call_soon(self._cancelled, request, chase)  # once the inlet knows the request
        return Taken.LATER

    def _cancelled(self, request: Request, ended: Chase) -> None:
        self._inlet.acknowledge(request)
        result = views.changed(ended, request.request_id, request.warnings)
        self._answers.succeed(request.request_id, ended.plan.account_id, request.type, result)

    def _not_ended(self, request: Request, algo_id: str) -> None:
        if self._engine.is_running(algo_id):
            text = (
                f"The chase {algo_id} is ending, its order is not final yet. "
                f"Send the same command again with requestId {request.request_id}, or wait for its last event"
            )
            error = CommandError(ErrorCode.AMBIGUOUS_RESULT, text)
            self._answers.refuse(request.request_id, request.account_id, request.type, error)


def _refuse_unavailable(request: Request) -> Taken:
    """Commands of the contract that this version does not carry out: nobody is left without an answer."""
    raise CommandError(ErrorCode.NOT_AVAILABLE, f"{request.type} is not available in this version")


def _check_gate(plan: ChasePlan, market: Market) -> None:
    if closed(plan, market):
        raise CommandError(ErrorCode.TRADING_HALTED if market.gate == "halted" else ErrorCode.TRADING_REDUCING)


def _check_filters(plan: ChasePlan, market: Market) -> None:
    spec, price = market.spec, target_price(plan, market)
    if plan.quantity < max(spec.min_quantity, spec.step_size) or plan.quantity > spec.max_quantity:
        text = f"quantity {plan.quantity} is outside {spec.min_quantity} to {spec.max_quantity} of {plan.symbol}"
        raise CommandError(ErrorCode.FILTER_QUANTITY, text, field="quantity")
    if price is None:
        raise CommandError(ErrorCode.FILTER_PRICE, "No allowed price with this offset", field="stalkOffsetPct")
    if not plan.reduce_only and plan.quantity * price < spec.min_notional:
        text = f"quantity times price is below the minimum notional {spec.min_notional} of {plan.symbol}"
        raise CommandError(ErrorCode.EXCHANGE_MIN_NOTIONAL, text, field="quantity")
