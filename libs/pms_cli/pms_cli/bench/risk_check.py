"""The pre-trade check in process: 1,000 accounts with 10 positions each on 20 symbols, 10 live orders an account.

Measures, in CPU time, an order put to all rules, split and reserved (`Approvals.prepare`) and released again, beside
the parser of the same command alone. Each order is of the next account and symbol, so that caches are as cold as a
stream of commands finds them. `order`: of each order the median of five such checks, which leaves out what another
process has done to the caches meanwhile: the tail of all checks is a measure of the neighbours, too.
"""

import gc
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import cast

from pms_cli.bench.result import Context, Result, Sample, combine, sample_of
from pms_common.bus import Outbox
from pms_common.contracts.bus.common import Tick
from pms_common.contracts.bus.orders import SymbolSpec
from pms_common.contracts.parse import parse_command
from pms_common.names import Names
from pms_risk.app.approvals import Approvals, Ask
from pms_risk.app.state import RiskState
from pms_risk.domain.account import Account
from pms_risk.domain.books import Books
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules

ACCOUNTS = 1_000
POSITIONS = 10
ORDERS = 10
SYMBOLS = tuple(f"S{number:02}USDT" for number in range(20))
CHECKS = 5_000
"""A round."""
NOW_MS = 1_800_000_000_000
_PRICE, _ONE, _TEN = Decimal(100), Decimal(1), Decimal(10)
_WIDE = Rules(max_notional_per_trade=Decimal(10**6), max_total_exposure=Decimal(10**8), max_open_orders=1_000)
_COMMAND = (
    b'{"requestId":"5c9a4a57-0d0d-4b6a-9d4f-3f5b9d7e1c11","subAccountId":"3f0c1d52-7a44-4a0e-9b1e-2d1f6a9c77e1",'
    b'"symbol":"S00USDT","side":"BUY","quantity":0.5,"price":99.5,"leverage":10}'
)


async def run(context: Context) -> list[Result]:
    """Rounds of checks, each beside a round of the parser."""
    state = population()
    approvals = Approvals(state, cast("Outbox", None), Names("bench"))  # nothing is sent
    asks = itertools.cycle(_asks(state))
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # both as the service does after its start
    every: list[tuple[Sample, float]] = []
    orders: list[tuple[Sample, float]] = []
    for _ in range(context.rounds):
        checks = _timed(lambda: _check(approvals, next(asks)))
        parsed = sample_of(_timed(lambda: parse_command("limit", _COMMAND, "1-0")), CHECKS).p50
        medians = [statistics.median(checks[order::ACCOUNTS]) for order in range(ACCOUNTS)]
        every.append((sample_of(checks, CHECKS), parsed))
        orders.append((sample_of(medians, ACCOUNTS), parsed))
    gc.unfreeze()
    reference = "the command's parser alone"
    return [combine("risk_check", "ns", every, reference), combine("risk_check.order", "ns", orders, reference)]


def population() -> RiskState:
    """Risk's state with all accounts, positions and live orders."""
    books = Books(lambda owner, leg, reference: reference)
    state = RiskState(books, "bench", "oneway", lambda: NOW_MS, lambda: 0.0, lambda: False)
    state.orders_ready = True
    for symbol in SYMBOLS:
        state.specs[symbol] = _spec(symbol)
        state.prices.put(Tick(symbol, 99.9, 1.0, 100.1, 1.0, NOW_MS, 0, 0, NOW_MS, NOW_MS))
    approvals = Approvals(state, cast("Outbox", None), Names("bench"))
    for number in range(ACCOUNTS):
        account = books.accounts[f"account-{number}"] = Account(f"account-{number}", f"account-{number}", 1)
        account.cash = Decimal(100_000)
        account.set_rules(_WIDE)
        for held in range(POSITIONS):
            symbol = SYMBOLS[(number + held) % len(SYMBOLS)]
            side = 1 if (number + held) % 2 else -1
            position = Position(f"{number}-{held}", symbol, "BOTH", _TEN, 1)
            position.add(side * _ONE, _PRICE, _TEN)
            books.take_position(account, position)
        for resting in range(ORDERS):
            approvals.prepare(_ask(state, account, SYMBOLS[(number + resting) % len(SYMBOLS)], f"resting-{resting}"))
    return state


def _asks(state: RiskState) -> Iterator[Ask]:
    for number, account in enumerate(state.books.accounts.values()):
        yield _ask(state, account, SYMBOLS[number * 7 % len(SYMBOLS)], f"new-{number}")


def _ask(state: RiskState, account: Account, symbol: str, request_id: str) -> Ask:
    return Ask(
        account=account,
        spec=state.specs[symbol],
        side="BUY",
        quantity=Decimal("0.5"),
        leverage=_TEN,
        order_type="LIMIT",
        price=Decimal("99.5"),
        time_in_force="GTC",
        request_id=request_id,
        command="limit",
    )


def _check(approvals: Approvals, ask: Ask) -> None:
    for approved in approvals.prepare(ask):
        ask.account.drop_order(approved.order.client_order_id)


def _timed(act: Callable[[], object]) -> list[float]:
    taken = []
    for _ in range(CHECKS):
        begin = time.thread_time_ns()
        act()
        taken.append(float(time.thread_time_ns() - begin))
    return taken


def _spec(symbol: str) -> SymbolSpec:
    thousandth, tenth = Decimal("0.001"), Decimal("0.1")
    return SymbolSpec(
        symbol=symbol,
        status="TRADING",
        base_asset=symbol[:3],
        quote_asset="USDT",
        margin_asset="USDT",
        tick_size=tenth,
        min_price=tenth,
        max_price=Decimal(10**6),
        step_size=thousandth,
        min_quantity=thousandth,
        max_quantity=Decimal(1_000),
        market_step_size=thousandth,
        market_min_quantity=thousandth,
        market_max_quantity=Decimal(100),
        min_notional=Decimal(5),
        percent_price_up=Decimal("1.05"),
        percent_price_down=Decimal("0.95"),
        max_orders=200,
        market_take_bound=Decimal("0.05"),
    )
