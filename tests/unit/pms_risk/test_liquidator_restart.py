"""Liquidations survive the process that began them: nothing is closed twice, and no decision is lost."""

from .floor import INSOLVENT, Floor, liquidated_to
from .world import D, live


async def test_a_successor_goes_on_where_a_killed_one_stood_and_closes_nothing_twice() -> None:
    floor = Floor()
    await liquidated_to(floor, INSOLVENT)
    (placed,) = floor.sent()
    floor.executed(placed, D(25))
    stored = dict(floor.paper.hashes[floor.liquidator.key])
    next_ = Floor()
    next_.now_ms = floor.now_ms + 5_000
    position = next(iter(next_.account.open_positions()))
    position.quantity, position.cost = D(75), D(7_500)
    next_.account.refresh("BTCUSDT", "BOTH")
    next_.liquidator.restore(stored.values())
    rest = live(
        placed.client_order_id, "SELL", 75, 90, reduce_only=True, origin="LIQUIDATION", order_type="MARKET", price=None
    )
    next_.account.put_order(rest)
    next_.closings.restore(floor.paper.hashes["closings"].values())
    next_.closings.resume()
    next_.liquidator.resume()
    assert next_.decisions() == floor.decisions(), "the predecessor may not have written it"
    await next_.at(INSOLVENT)
    assert not next_.sent(), "the order is live"
    next_.ended(placed)
    await next_.at(INSOLVENT)
    (again,) = next_.sent()
    assert again.quantity == D(75)
    assert again.client_order_id != placed.client_order_id
    next_.executed(again)
    (told,) = next_.payloads("full_liquidation")
    assert told["positions"][0]["closedQty"] == 100


async def test_the_end_of_a_full_liquidation_is_forgotten_only_when_the_database_has_it() -> None:
    """Killed between what it told and its commit, the successor must know that the account is liquidated."""
    floor = Floor()
    await liquidated_to(floor, INSOLVENT)
    floor.executed(floor.sent()[0])
    assert floor.account.status == "LIQUIDATED"
    next_ = Floor()
    next_.now_ms = floor.now_ms
    position = next(iter(next_.account.open_positions()))
    next_.liquidator.restore(floor.paper.hashes[floor.liquidator.key].values())
    next_.account.remove_position(next_.account.positions[position.id])
    next_.account.refresh("BTCUSDT", "BOTH")
    next_.liquidator.resume()
    assert next_.account.status == "LIQUIDATED"
    for desk in (floor, next_):
        desk.commit()
        assert not desk.paper.hashes[desk.liquidator.key]
        assert not desk.state.courses.all()
