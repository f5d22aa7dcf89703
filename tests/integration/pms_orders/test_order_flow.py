"""Orders from request to end on the running simulator: place, fill, amend, cancel, refusals, journal."""

from decimal import Decimal
from typing import Any

from tests.integration.pms_orders.desk import ACCOUNT, Desk, place_order

from pms_common.contracts.bus.algos import algos_work
from pms_common.db import connect


async def test_a_limit_order_is_accepted_rests_and_is_cancelled(desk: Desk) -> None:
    order = await desk.place("r1", answer=True)
    update = await desk.until_state(order, "active")
    assert update.order.exchange_order_id
    result = await desk.result("r1")
    assert result["success"] and result["clientOrderId"] == order.client_order_id
    assert result["exchangeOrderId"] == str(update.order.exchange_order_id)

    await desk.cancel(order)
    await desk.until_state(order, "cancelled")
    assert desk.causes(order)[-1] == "cancelled"
    await desk.drained()


async def test_a_market_order_is_filled_and_journalled(desk: Desk) -> None:
    order = await desk.place("r1", order_type="MARKET", quantity="0.020", answer=True)
    update = await desk.until_state(order, "filled")
    fills = [heard.fill for heard in desk.of(order) if heard.fill is not None]
    assert sum(fill.quantity for fill in fills) == Decimal("0.020") == update.order.executed_quantity
    assert update.order.average_price == Decimal("64000.1")
    assert all(fill.commission > 0 and fill.commission_asset == "USDT" for fill in fills)
    await desk.drained()
    connection = await connect(desk.database)
    row = await connection.fetchrow("SELECT * FROM pms_orders.orders WHERE client_order_id = $1", order.client_order_id)
    booked = await connection.fetchval(
        "SELECT sum(quantity) FROM pms_orders.fills WHERE client_order_id = $1", order.client_order_id
    )
    await connection.close()
    assert row["status"] == "filled" and row["executed_quantity"] == booked == Decimal("0.020")


async def test_an_amendment_moves_the_order_without_a_second_one(desk: Desk) -> None:
    order = await desk.place("r1", time_in_force="GTX")
    await desk.until_state(order, "active")
    await desk.amend(order, "60100.0")
    update = await desk.until_cause(order, "amended")
    assert update.order.price == Decimal("60100.0") and update.order.state == "active"
    assert await desk.sim.placements(order.client_order_id) == 1
    await desk.drained()


async def test_an_amendment_beyond_the_approved_cap_is_refused(desk: Desk) -> None:
    order = await desk.place("r1", time_in_force="GTX", price_cap="60500.0")
    await desk.until_state(order, "active")
    await desk.amend(order, "60500.1")
    update = await desk.until_cause(order, "amend_failed")
    assert update.error_code == "APPROVAL_EXCEEDED" and update.order.price == Decimal("60000.0")


async def test_an_amendment_that_would_meet_an_own_order_is_refused(desk: Desk) -> None:
    ask = await desk.place("r1", side="SELL", price="65000.0", account_id="acct-two")
    bid = await desk.place("r2")
    await desk.until_state(ask, "active")
    await desk.until_state(bid, "active")
    await desk.amend(bid, "65000.0")
    assert (await desk.until_cause(bid, "amend_failed")).order.state == "active"


async def test_an_order_that_would_meet_an_own_one_is_replaced_where_the_amendment_says_so(desk: Desk) -> None:
    ask = await desk.place("r1", side="SELL", price="65000.0", account_id="acct-two")
    bid = await desk.place("r2")
    await desk.until_state(ask, "active")
    await desk.until_state(bid, "active")
    again = place_order(desk.names, "r2 again")
    await desk.amend(bid, "65000.0", replace_as=again.client_order_id)
    assert (await desk.until_state(bid, "cancelled")).reason == "replaced"
    update = await desk.until_state(again, "filled")  # the market stands below it
    assert update.order.quantity == bid.quantity and update.order.price == Decimal("65000.0")
    assert await desk.sim.placements(again.client_order_id) == 1
    await desk.drained()


async def test_what_breaks_the_filters_is_refused_here(desk: Desk) -> None:
    order = await desk.place("r1", price="60000.05", answer=True)
    update = await desk.until_state(order, "failed")
    assert update.error_code == "FILTER_PRICE"
    assert (await desk.result("r1"))["errorCode"] == "FILTER_PRICE"
    assert await desk.sim.placements(order.client_order_id) == 0


async def test_what_the_exchange_refuses_is_rejected_with_its_code(desk: Desk) -> None:
    order = await desk.place("r1", price="64100.0", time_in_force="GTX", answer=True)
    update = await desk.until_state(order, "rejected")
    assert update.error_code == "EXCHANGE_POST_ONLY"
    assert (await desk.result("r1"))["errorCode"] == "EXCHANGE_POST_ONLY"


async def test_a_repeated_request_is_not_sent_again(desk: Desk) -> None:
    order = await desk.place("r1")
    await desk.ask(order)
    await desk.until_state(order, "active")
    await desk.ask(order)
    await desk.drained()
    assert await desk.sim.placements(order.client_order_id) == 1


async def test_a_cancel_before_its_order_keeps_it_from_being_sent(desk: Desk) -> None:
    from tests.integration.pms_orders.desk import place_order

    order = place_order(desk.names, "r1", answer=True)
    await desk.cancel(order)
    await desk.drained()
    await desk.ask(order)
    await desk.until_state(order, "cancelled")
    assert (await desk.result("r1"))["errorCode"] == "CANCELLED_BEFORE_SEND"
    assert await desk.sim.placements(order.client_order_id) == 0


async def test_the_cancel_command_tells_the_final_state(desk: Desk) -> None:
    order = await desk.place("r1")
    await desk.until_state(order, "active")
    answer = await desk.command("cancel", requestId="c1", orderId=order.client_order_id, subAccountId=ACCOUNT)
    assert answer["success"] and answer["state"] == "cancelled"
    again = await desk.command("cancel", requestId="c1", orderId=order.client_order_id, subAccountId=ACCOUNT)
    assert again == answer


async def test_the_cancel_command_knows_an_order_by_its_number_at_the_exchange(desk: Desk) -> None:
    order = await desk.place("r1")
    number = (await desk.until_state(order, "active")).order.exchange_order_id
    answer = await desk.command("cancel", requestId="c1", orderId=str(number), subAccountId=ACCOUNT)
    assert answer["success"] and answer["clientOrderId"] == order.client_order_id


async def test_the_cancel_command_says_that_the_order_was_filled(desk: Desk) -> None:
    order = await desk.place("r1", order_type="MARKET")
    filled = await desk.until_state(order, "filled")
    answer = await desk.command("cancel", requestId="c1", orderId=str(filled.order.exchange_order_id))
    assert not answer["success"] and answer["errorCode"] == "ORDER_ALREADY_FINAL"
    assert answer["details"]["state"] == "filled"


async def test_the_cancel_command_refuses_others_orders_and_unknown_ones(desk: Desk) -> None:
    order = await desk.place("r1")
    await desk.until_state(order, "active")
    other = await desk.command("cancel", requestId="c1", orderId=order.client_order_id, subAccountId="acct-two")
    assert other["errorCode"] == "OWNERSHIP_FORBIDDEN"
    unknown = await desk.command("cancel", requestId="c2", orderId="nobody")
    assert unknown["errorCode"] == "ORDER_NOT_FOUND"


async def test_cancel_all_ends_this_accounts_orders_only(desk: Desk) -> None:
    mine = [await desk.place(f"r{n}") for n in range(3)]
    child = await desk.place("r8", parent_id="chase_1")
    other = await desk.place("r9", account_id="acct-two")
    for order in (*mine, child, other):
        await desk.until_state(order, "active")
    answer = await desk.command("cancel_all", requestId="c1", subAccountId=ACCOUNT)
    assert answer["success"] and answer["cancelled"] == 3 == answer["total"]
    for order in mine:
        await desk.until_state(order, "cancelled")
    assert desk.state(child) == desk.state(other) == "active"


async def test_cancel_all_with_algos_has_the_algos_of_its_scope_ended_before_their_orders(desk: Desk) -> None:
    child = await desk.place("r8", parent_id="chase_1")
    await desk.until_state(child, "active")
    body = {"subAccountId": ACCOUNT, "symbol": "BTCUSDT", "includeAlgos": True}
    answer = await desk.command("cancel_all", requestId="c1", **body)
    assert answer["success"] and answer["cancelled"] == 1
    entries: Any = await desk.redis.xrange(desk.names.requests("algos"))
    ((_, fields),) = entries
    asked = algos_work.decode(fields[b"data"])
    assert (asked.account_id, asked.symbol) == (ACCOUNT, "BTCUSDT")
    assert (asked.action, asked.reason) == ("stop", "cancelled")
    await desk.command("cancel_all", requestId="c2", subAccountId=ACCOUNT)
    assert await desk.redis.xlen(desk.names.requests("algos")) == 1


async def test_a_halt_refuses_new_orders_and_lets_cancels_pass(desk: Desk) -> None:
    order = await desk.place("r1")
    await desk.until_state(order, "active")
    await desk.redis.xadd(desk.names.op("trading_state"), {"requestId": "h1", "state": "halted"})
    await desk.hear(lambda _: True)
    refused = await desk.place("r2", answer=True)
    await desk.until_state(refused, "failed")
    assert desk.of(refused)[-1].error_code == "TRADING_HALTED"
    await desk.cancel(order)
    await desk.until_state(order, "cancelled")


async def test_garbage_ends_in_the_dead_stream_and_nothing_else_stops(desk: Desk) -> None:
    await desk.redis.xadd(desk.names.requests("orders"), {"data": "{not json"})
    order = await desk.place("r1")
    await desk.until_state(order, "active")
    assert await desk.redis.xlen(desk.names.dead) == 1
