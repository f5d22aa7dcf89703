"""Commands in a process: many at once, and those that leave several orders."""

import asyncio
import json
from collections import Counter
from typing import Any

from tests.integration.pms_risk.rig import D, Rig, until

from pms_common.contracts.bus.algos import AlgosControlled, algos_work
from pms_common.contracts.bus.base import encode

TRADE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01, "leverage": 10}


async def held(rig: Rig, quantity: float = 0.01, balance: float = 1_000, **rules: Any) -> tuple[str, str]:
    """An account with a long position: its id and the position's."""
    account = await rig.create("one", balance, **rules)
    await rig.send("trade", subAccountId=account, **TRADE | {"quantity": quantity})
    await rig.fill(await rig.order(), "60000")
    return account, (await rig.event("position_updated"))["positionId"]


async def test_invariants_4_and_5_under_a_thousand_commands_at_once(rig: Rig) -> None:
    account, position = await held(rig, maxOpenOrders=10_000)
    opening = {"subAccountId": account, **TRADE, "quantity": 0.001, "price": 60_000}
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("limit", opening),
        ("limit", opening | {"side": "SELL", "price": 60_500, "reduceOnly": True}),
        ("close", {"positionId": position, "fraction": 0.5, "waitFor": "ack"}),
        ("basket", {"subAccountId": account, "legs": [TRADE | {"quantity": 0.001}]}),
    ]
    pipe = rig.redis.pipeline()
    for number in range(1_000):
        type_, fields = kinds[number % len(kinds)]
        pipe.xadd(rig.names.cmd(type_), {"data": json.dumps({"requestId": f"m{number}", **fields})})
    await pipe.execute()
    for type_ in ("limit", "close", "basket"):
        await taken(rig, rig.names.cmd(type_))
    await until(lambda: len(rig.placed) > 1)
    sent = rig.placed[1:]
    closers = [order for order in sent if order.reduce_only]
    openers = [order for order in sent if not order.reduce_only]
    assert 0 < sum(order.quantity for order in closers) <= D("0.01"), "none of them has ended"
    used = D(60) + sum(order.quantity * D(60_700) / 10 for order in openers)
    assert openers and used <= 1_000
    assert len({order.client_order_id for order in sent}) == len(sent)
    free = (await rig.ask("validate", subAccountId=account, **TRADE))["computedValues"]
    assert free["availableBalance"] < 100, "as much as 98 % of the equity allows was approved"


async def taken(rig: Rig, stream: str) -> None:
    """Wait until risk has read and acknowledged everything in a command stream."""
    async with asyncio.timeout(40):
        while True:
            (group,) = await rig.redis.xinfo_groups(stream)
            if not group["lag"] and not group["pending"]:
                return
            await asyncio.sleep(0.02)


async def test_close_all_stops_algos_cancels_and_closes(rig: Rig) -> None:
    account, position = await held(rig)
    await rig.send("limit", subAccountId=account, **TRADE | {"price": 59_000, "quantity": 0.002})
    opener = await rig.order(seen=1)
    await rig.rest(opener)
    request = await rig.send("close_all", subAccountId=account)
    closing = await rig.order(seen=2)
    await until(lambda: opener.client_order_id in rig.cancels)
    asked: Any = await rig.redis.xrange(rig.names.requests("algos"))
    assert len(asked) == 1
    control = algos_work.decode(asked[0][1][b"data"])
    assert (control.action, control.account_id) == ("stop", account)
    answer = AlgosControlled(epoch=1, n=1, token=control.token, account_id=account, action="stop")
    await rig.redis.xadd(rig.names.updates("algos"), {"data": encode(answer)})
    await rig.fill(closing, "60500")
    await rig.end(opener, "cancelled")
    done = await rig.result(request)
    assert (done["closed"], done["total"], done["cancelled"]) == (1, 1, 1)
    assert done["results"][0]["positionId"] == position
    await rig.committed(2)
    await rig.assert_equal()


async def test_a_position_too_small_for_the_exchange_is_taken_over_in_the_database(rig: Rig) -> None:
    """Two accounts on opposite sides: at the exchange there is nothing that a reduce-only order could reduce."""
    _, position = await held(rig)
    other = await rig.create("two", 1_000)
    await rig.send("trade", subAccountId=other, **TRADE | {"side": "SELL"})
    await rig.fill(await rig.order(seen=1), "60000")
    await rig.committed(2)
    rig.prices["BTCUSDT"] = (300.0, 300.1)
    await rig.tick()
    done = await rig.ask("close", positionId=position)
    assert (done["success"], done["clientOrderId"], done["position"]["status"]) == (True, None, "CLOSED")
    assert done["trade"]["price"] < 301
    assert len(rig.placed) == 2
    rows = await rig.rows("SELECT owner, quantity FROM pms_risk.positions WHERE closed_ms IS NULL ORDER BY owner")
    assert {(row["owner"], row["quantity"]) for row in rows} == {("house", D("0.01")), (other, D("-0.01"))}
    await rig.assert_equal()


async def test_rules_of_activity_survive_a_restart(rig: Rig) -> None:
    account, position = await held(rig)
    request = await rig.send("close", positionId=position)
    await rig.fill(await rig.order(seen=1), "59000")
    assert (await rig.result(request))["trade"]["realizedPnl"] < -10
    await rig.committed(2)
    limits = {"maxDailyLoss": 10, "maxOrdersPerMinute": 5}
    assert (await rig.ask("account", action="set_rules", subAccountId=account, **limits))["success"]
    await rig.kill()
    await rig.start()
    refused = await rig.ask("trade", subAccountId=account, **TRADE)
    assert refused["errorCode"] == "MAX_DAILY_LOSS_REACHED"
    assert (await rig.ask("account", action="set_rules", subAccountId=account, maxDailyLoss=0))["success"]
    requests = [await rig.send("limit", subAccountId=account, **TRADE | {"price": 59_000}) for _ in range(6)]
    await rig.order(seen=6)
    assert (await rig.result(requests[5]))["errorCode"] == "MAX_ORDER_RATE_EXCEEDED"
    assert Counter(order.command for order in rig.placed)["limit"] == 5
    closed = await rig.ask("close", positionId=position)
    assert closed["errorCode"] == "POSITION_CLOSED"
