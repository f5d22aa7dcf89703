"""Closes survive the process that began them: its successor sends, cancels and answers what is left, once."""

from .closing_steps import close, close_all, closer, opened, order, restart, result
from .desk import Desk
from .venue import Venue
from .world import D, spec


def test_a_close_survives_a_restart_between_its_orders() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 4)
    close(desk)
    (first,) = venue.take()
    restart(desk)
    venue.end(resting)
    (rest,) = venue.take()
    venue.fill(first)
    venue.fill(rest)
    assert result(desk)["trade"]["quantity"] == 10


def test_an_order_proven_absent_while_the_successor_starts_goes_out_again() -> None:
    """Order service and risk are killed together: the proof comes before risk has heard of everything."""
    desk, venue = opened()
    close(desk)
    (first,) = venue.take()
    restart(desk, resume=False)
    venue.end(first, "failed", "EXPIRED_COMMAND")
    assert venue.take() == []
    desk.closings.resume()
    (second,) = venue.take()
    venue.fill(second)
    assert result(desk)["trade"]["quantity"] == 10


def test_a_fill_that_no_database_has_counts_once_in_the_answer_of_the_next_process() -> None:
    def closing() -> tuple[Desk, Venue, list[str]]:
        desk, venue = opened("80", cash=100_000)
        desk.state.specs["BTCUSDT"] = spec(market_max_quantity=D(40))
        close(desk)
        return desk, venue, venue.take()

    killed, venue, (first, _) = closing()
    venue.fill(first, price=D(110), fee=D(1))
    desk, venue, sent = closing()  # what the database had
    desk.paper.hashes["waits"] = killed.paper.hashes["waits"]
    restart(desk)
    for name in sent:
        venue.fill(name, price=D(110), fee=D(1))
    trade = result(desk)["trade"]
    assert (trade["realizedPnl"], trade["fee"]) == (798, 2)


def test_a_close_of_a_symbol_that_is_listed_no_more_ends_with_that_word() -> None:
    desk, venue = opened()
    resting = closer(desk, venue, 10)
    close(desk)
    restart(desk, resume=False)
    desk.state.specs = {"ETHUSDT": spec("ETHUSDT")}
    venue.end(resting)
    desk.closings.resume()
    assert result(desk)["errorCode"] == "SYMBOL_UNKNOWN"


def test_a_successor_cancels_again_what_a_close_of_everything_waits_for() -> None:
    """What its predecessor was answered is not known: the exchange may have refused."""
    desk, venue = opened()
    order(desk, "BUY", 2, "99")
    (opener,) = venue.take()
    venue.accept(opener)
    close_all(desk)
    venue.take()
    assert venue.cancelling == {opener}
    venue.cancelling.clear()
    restart(desk)
    venue.take()
    assert venue.cancelling == {opener}
