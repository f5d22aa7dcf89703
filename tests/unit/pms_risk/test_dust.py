"""A close of what is too small for the exchange: the house takes it, once and as it was told, whoever is killed."""

import json

from .closing_steps import close, close_all, closer, opened, order, position_of, restart, result
from .world import D


def test_a_position_too_small_for_the_exchange_goes_to_the_house_at_the_mark() -> None:
    desk, venue = opened("0.03")
    close(desk)
    assert venue.take() == []
    assert desk.result("c") is None, "not before the database has it"
    desk.commit()
    done = result(desk)
    assert (done["clientOrderId"], done["position"]["status"], done["trade"]["price"]) == (None, "CLOSED", 100)
    assert desk.state.books.house.positions["BTCUSDT", "BOTH"].quantity == D("0.03")
    assert desk.state.books.quantities() == {("BTCUSDT", "BOTH"): D("0.03")}
    assert desk.paper.hashes["closings"] == {}


def test_a_takeover_that_was_told_is_booked_as_told_by_the_next_process() -> None:
    desk, _ = opened("0.03")
    close(desk)
    kept = dict(desk.paper.hashes["closings"])
    before, _ = opened("0.03")
    before.price(110.0)  # what the database held, and a price at which it could be sold
    successor = before.new_closings()
    successor.restore([value.replace(position_of_kept(value), position_of(before).encode()) for value in kept.values()])
    successor.resume()
    assert not before.account.positions
    assert before.account.cash == 10_000


def position_of_kept(value: bytes) -> bytes:
    return str(json.loads(value)["take_position"]).encode()


def test_what_is_left_too_small_by_a_closer_goes_to_the_house() -> None:
    desk, venue = opened("1")
    resting = closer(desk, venue, 1)
    close(desk)
    venue.fill(resting, D("0.97"), D(101))
    venue.end(resting)
    assert venue.take() == []
    desk.commit()
    assert result(desk)["trade"]["quantity"] == 0.03


def test_a_close_whose_order_was_never_sent_and_whose_position_the_house_took_has_closed_it() -> None:
    desk, venue = opened("0.06")
    close(desk)
    (sent,) = venue.take()
    desk.price(80.0)  # 4.8 of notional are too few to be sent again
    venue.end(sent, "failed", "EXPIRED_COMMAND")
    desk.commit()
    done = result(desk)
    assert (done["position"]["status"], done["trade"]["quantity"], done["trade"]["price"]) == ("CLOSED", 0.06, 80)


def test_a_takeover_done_again_takes_what_was_told_though_more_is_held_by_then() -> None:
    desk, _ = opened("0.03")
    close_all(desk)
    killed, venue = opened("0.03")  # the takeover was not committed; an order that was on its way fills
    killed.paper.hashes = {name: dict(kept) for name, kept in desk.paper.hashes.items()}
    order(killed, "BUY", 10)
    (bought,) = venue.take()
    venue.fill(bought)
    (kept,) = killed.paper.hashes["closings"].values()
    assert position_of(killed) == position_of_kept(kept).decode()
    restart(killed)
    killed.commit()
    assert killed.account.holding("BTCUSDT", "BOTH").quantity == 10
    assert killed.state.books.house.positions["BTCUSDT", "BOTH"].quantity == D("0.03")
    assert killed.paper.hashes["closings"] == {}


def test_a_takeover_that_was_committed_does_not_take_the_next_position() -> None:
    desk, venue = opened("0.03")
    close_all(desk)
    order(desk, "BUY", 10)
    (bought,) = venue.take()
    venue.fill(bought)
    restart(desk)
    desk.commit()
    assert desk.account.holding("BTCUSDT", "BOTH").quantity == 10
    assert result(desk)["success"]
    assert desk.paper.hashes["closings"] == {}


def test_a_takeover_that_was_committed_is_answered_by_the_next_process() -> None:
    desk, _ = opened("0.03")
    close(desk)
    restart(desk)  # the books have it, the answer was not given
    assert result(desk)["trade"]["quantity"] == 0.03
