"""account takeover: the house takes a position over, once no order of its account can close it any more."""

from pms_risk.adapters.postgres import statements as sql

from .closing_steps import closer, opened, position_of, result
from .desk import Desk
from .world import D


def take(desk: Desk, position: str, **fields: str) -> None:
    desk.send(desk.closes.take_over, "account", requestId="t", action="takeover", positionId=position, **fields)


def test_a_position_goes_to_the_house_at_the_mark() -> None:
    desk, venue = opened()
    desk.price(95.0)
    take(desk, position_of(desk))
    assert desk.result("t") is None, "not before the database has it"
    desk.commit()
    done = result(desk, "t")
    assert (done["action"], done["balance"], done["account"]["positions"]) == ("takeover", 9_950, [])
    assert venue.take() == []
    assert desk.state.books.house.positions["BTCUSDT", "BOTH"].quantity == 10


def test_closers_are_cancelled_first_and_what_they_fill_meanwhile_is_the_accounts() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 4)
    take(desk, position_of(desk))
    venue.take()
    assert venue.cancelling == {resting}
    venue.fill(resting, D(1), D(101))
    assert desk.account.positions
    venue.end(resting)
    desk.commit()
    assert result(desk, "t")["balance"] == 10_001
    assert desk.state.books.house.positions["BTCUSDT", "BOTH"].quantity == 9


def test_a_takeover_follows_the_fill_that_lets_it_happen_into_the_journal() -> None:
    """The ledger is a chain, and a takeover is never in the database without its fill."""
    desk, venue = opened()
    resting = closer(desk, venue, 4)
    take(desk, position_of(desk))
    desk.commit()
    desk.price(95.0)
    venue.fill(resting, price=D(101), fee=D(1))
    waiting = desk.journal._waiting
    together = waiting[: next(n for n, item in enumerate(waiting) if callable(item))]
    rows = [item for item in together if not callable(item)]
    assert sql.FILL in [statement for statement, _ in rows]
    entries = [row for statement, row in rows if statement is sql.LEDGER]
    assert [entry[3] for entry in entries] == ["commission", "realized_pnl", "realized_pnl"]
    assert [entry[5] for entry in entries[1:]] == [entry[6] for entry in entries[:-1]]


def test_without_a_fresh_price_it_waits_for_one() -> None:
    desk, _ = opened()
    desk.now_ms += 10_000
    take(desk, position_of(desk))
    assert desk.account.positions
    desk.price(99.0)
    desk.closings.tend()
    desk.commit()
    assert result(desk, "t")["balance"] == 9_990


def test_whose_position_it_is_is_checked() -> None:
    desk, _ = opened()
    take(desk, position_of(desk), subAccountId="b")
    assert result(desk, "t")["errorCode"] == "OWNERSHIP_FORBIDDEN"
