"""Commands that trade: what this version does not carry out, and whose position a close is for."""

import pytest

from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_risk.app.trading import refuse_unavailable

from .desk import Desk, request_of
from .world import D, Exchange


def test_what_is_not_carried_out_is_not_worth_trying_again() -> None:
    assert "close_all" in COMMANDS
    with pytest.raises(CommandError) as refused:
        refuse_unavailable(request_of("close_all", subAccountId="a"))
    assert refused.value.code is ErrorCode.NOT_AVAILABLE
    assert not refused.value.code.retryable


def test_a_close_finds_its_account_by_the_position() -> None:
    desk = Desk()
    desk.price()
    desk.state.books.book(*Exchange().execute("a", "BTCUSDT", "BUY", D(1), D(100)))
    (position,) = desk.account.positions
    desk.closes.close(request_of("close", positionId=position))
    (closing,) = desk.account.orders.values()
    assert (closing.account_id, closing.side, closing.quantity) == ("a", "SELL", 1)
    for other, code in (("b", "OWNERSHIP_FORBIDDEN"), (None, "POSITION_NOT_FOUND")):
        name = position if other else "nothing"
        with pytest.raises(CommandError) as refused:
            desk.closes.close(request_of("close", positionId=name, **({"subAccountId": other} if other else {})))
        assert refused.value.code.name == code
