"""Commands that trade: what this version does not carry out, and whose position a close is for."""

from typing import Any

import pytest

from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.parse import parse_command
from pms_common.inlet import CommandInlet, Request
from pms_risk.app.trading import Trading, refuse_unavailable

from .desk import Desk, entry
from .world import D, Exchange


def request(type_: str, **fields: Any) -> Request:
    parsed = parse_command(type_, {"requestId": "r"} | fields, "2000000-0")
    return Request(parsed.command, entry(), parsed.warnings, parsed.body_hash, parsed.expires_at_ms)


def test_what_is_not_carried_out_is_not_worth_trying_again() -> None:
    assert "close_all" in COMMANDS
    with pytest.raises(CommandError) as refused:
        refuse_unavailable(request("close_all", subAccountId="a"))
    assert refused.value.code is ErrorCode.NOT_AVAILABLE
    assert not refused.value.code.retryable


def test_a_close_finds_its_account_by_the_position() -> None:
    desk = Desk()
    desk.price()
    outbox: Any = desk.paper
    inlet = CommandInlet(outbox, desk.marks, desk.answers, lambda: desk.now_ms)
    trading = Trading(desk.state, desk.approvals, desk.waits, desk.watching, desk.answers, inlet)
    desk.state.books.book(*Exchange().execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    (position,) = desk.account.positions
    trading.close(request("close", positionId=position))
    (closing,) = desk.account.orders.values()
    assert (closing.account_id, closing.side, closing.quantity) == ("a", "SELL", 1)
    for other, code in (("b", "OWNERSHIP_FORBIDDEN"), (None, "POSITION_NOT_FOUND")):
        name = position if other else "nothing"
        with pytest.raises(CommandError) as refused:
            trading.close(request("close", positionId=name, **({"subAccountId": other} if other else {})))
        assert refused.value.code.name == code
