"""Before a liquidation closes anything, orders and algos are out of its way; after a reduction the algos go on."""

from pms_common.contracts.bus.algos import AlgosControlled, algos_work
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.risk import ChildRefused
from pms_risk.app.algos_updates import AlgosUpdates

from .desk import entry
from .floor import INSOLVENT, SECOND, Floor, liquidated_to
from .world import D, live, spec


async def test_algos_of_a_symbol_whose_reduction_gave_way_to_one_elsewhere_go_on() -> None:
    floor = Floor()
    floor.state.specs["ETHUSDT"] = spec("ETHUSDT")
    await liquidated_to(floor, SECOND)
    floor.open(floor.account, "ETHUSDT", "200")
    floor.account.book_cash(D(100), key="k", cause="deposit", reference="r", at_ms=1)
    for _ in range(3):
        floor.price(100.0, symbol="ETHUSDT")
        await floor.at(90.57)  # maintenance 150 of an equity of 157
    floor.price(100.0, symbol="ETHUSDT")
    await floor.settle()
    asked = [algos_work.decode(data) for data in floor.paper.streams[floor.names.requests("algos")]]
    assert [(control.action, control.symbol) for control in asked] == [
        ("pause", "BTCUSDT"),
        ("pause", "ETHUSDT"),
        ("resume", "BTCUSDT"),
    ]
    assert [placed.symbol for placed in floor.sent()] == ["BTCUSDT", "ETHUSDT"]


async def test_the_way_is_cleared_first_and_the_rest_follows_as_orders_end() -> None:
    """Invariant 4: at once only what no other live order may still close."""
    floor = Floor()
    exit_ = live("exit", "SELL", 40, 120, reduce_only=True)
    entry_ = live("entry", "BUY", 1, 80)
    stalk = live("stalk", "BUY", 1, 80, parent_id="algo", origin="CHASE")
    for order in (exit_, entry_, stalk):
        floor.account.put_order(order)
    await liquidated_to(floor, INSOLVENT)
    assert sorted(floor.cancels()) == ["entry", "exit", "stalk"]
    (asked,) = [algos_work.decode(data) for data in floor.paper.streams[floor.names.requests("algos")]]
    assert (asked.account_id, asked.action, asked.symbol) == ("a", "stop", "")
    assert not floor.sent(), "the algos have 200 ms to answer"
    floor.ask(client_order_id="late")
    assert floor.told(ChildRefused)[-1].client_order_id == "late"
    answer = AlgosControlled(epoch=1, n=1, token=asked.token, account_id="a", action="stop")
    AlgosUpdates(floor.clearing._outbox, floor.clearing.on_algos, floor.liquidator.on_algos).on_entry(
        entry(encode(answer))
    )
    assert [placed.quantity for placed in floor.sent()] == [D(60)]
    floor.account.drop_order("exit")
    floor.executed(floor.sent()[0])
    assert [placed.quantity for placed in floor.sent()] == [D(60), D(40)]
    floor.executed(floor.sent()[1])
    assert floor.account.status == "ACTIVE", "orders that may open something are live"
    for order_id in ("entry", "stalk"):
        floor.account.drop_order(order_id)
    floor.liquidator.tend()
    assert floor.account.status == "LIQUIDATED"


async def test_algos_that_do_not_answer_are_waited_for_no_longer_than_200_ms_and_resumed_after_a_reduction() -> None:
    floor = Floor()
    floor.account.put_order(live("stalk", "BUY", 1, 80, parent_id="algo", origin="CHASE"))
    await liquidated_to(floor, SECOND)
    assert not floor.sent()
    floor.now_ms += 200
    floor.liquidator.tend()
    floor.executed(floor.sent()[0])
    asked = [algos_work.decode(data) for data in floor.paper.streams[floor.names.requests("algos")]]
    assert [(control.action, control.symbol) for control in asked] == [("pause", "BTCUSDT"), ("resume", "BTCUSDT")]
