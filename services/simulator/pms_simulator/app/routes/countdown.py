"""The dead-man switch: POST countdownCancelAll, one countdown an account and symbol."""

import asyncio
from typing import Any

from pms_simulator.app.request import Request, Route
from pms_simulator.app.venue import Venue
from pms_simulator.domain.account import Account
from pms_simulator.domain.errors import illegal
from pms_simulator.domain.intake import integer, text


def arm(venue: Venue, request: Request) -> Any:
    """Start the countdown anew; 0 disarms. When it ends, the symbol's open orders are cancelled."""
    account = request.account
    symbol = venue.engine.market(text(request.params, "symbol")).spec.symbol
    wait_ms = integer(request.params, "countdownTime")
    if wait_ms < 0:
        raise illegal("countdownTime")
    running = venue.countdowns.pop((account.name, symbol), None)
    if running is not None:
        running.cancel()
    if wait_ms:
        loop = asyncio.get_running_loop()
        venue.countdowns[account.name, symbol] = loop.call_later(wait_ms / 1000, _cancel_all, venue, account, symbol)
    return {"symbol": symbol, "countdownTime": str(wait_ms)}


def _cancel_all(venue: Venue, account: Account, symbol: str) -> None:
    del venue.countdowns[account.name, symbol]
    now_ms = venue.now_ms()
    for order in account.open_orders(symbol):
        order.ended_by = "countdown"
        venue.engine.cancel(account, order, now_ms)
    venue.flush(now_ms)


REST = (Route("POST /fapi/v1/countdownCancelAll", arm, weight=10, operation="countdown"),)
