"""Commands that trade: whose position a close is for."""

import pytest

from pms_common.contracts.errors import CommandError

from .desk import Desk, request_of
from .world import D, Exchange


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
