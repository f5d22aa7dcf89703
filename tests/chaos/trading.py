"""Trading that goes on while things break, and what must be true of it afterwards.

Owns the commands it wrote, so that every one can be asked for: answered, at most one order, every fill one event.
"""

import asyncio
import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from pms_cli.books import Books, settled_books, sim_state
from pms_cli.commands.send import request
from pms_cli.system.place import Place
from pms_common.bus.dial import connected
from pms_common.ids import client_order_id

SYMBOL = "BTCUSDT"
PACE_S = 0.04
ANSWERED_WITHIN_S = 30.0
KIND = {"trade": "MKT", "limit": "LMT"}


def pids(ready_file: Path) -> dict[str, int]:
    """Process ids by service."""
    return {name: told["pid"] for name, told in json.loads(ready_file.read_text())["services"].items()}


class Trading:
    """Three accounts that trade, rest, cancel and chase on one symbol."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.accounts: list[str] = []
        self.sent: dict[str, tuple[str, str]] = {}  # request id → (account, command)
        self.results: dict[str, dict[str, Any]] = {}
        self.log_may_lose = False
        """Whether Redis has lost its last moments: events of them are in the database only, and the epoch tells it."""

    async def command(self, command: str, **body: Any) -> dict[str, Any]:
        """A command with its result."""
        result = await request(self.place, command, {"requestId": uuid.uuid4().hex, **body}, ANSWERED_WITHIN_S)
        assert result is not None, f"{command} {body} was not answered"
        return result

    async def open_accounts(self) -> None:
        """The accounts, with rules wide enough."""
        for _ in range(3):
            created = await self.command(
                "account", action="create", name=f"chaos-{uuid.uuid4().hex[:8]}", balance=20_000
            )
            account = created["subAccountId"]
            await self.command(
                "account",
                action="set_rules",
                subAccountId=account,
                maxNotionalPerTrade=1_000_000,
                maxTotalExposure=1_000_000,
                maxOpenOrders=1_000,
            )
            self.accounts.append(account)

    async def run(self, seconds: float) -> None:
        """Write commands at a steady pace without waiting for their results; collect those as they are published."""
        async with Redis.from_url(self.place.redis) as client, client.pubsub() as listener:
            await listener.psubscribe(self.place.names.result("*"))
            collecting = asyncio.create_task(self._collect(listener))
            price = json.loads(await client.get(self.place.names.price(SYMBOL)))["bid"]
            for n in range(int(seconds / PACE_S)):
                await self._write(client, n, price)
                await asyncio.sleep(PACE_S)
            for _ in range(int(ANSWERED_WITHIN_S / 0.1)):
                if len(self.results) == len(self.sent):
                    break
                await asyncio.sleep(0.1)
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)

    async def _write(self, client: "Redis", n: int, price: float) -> None:
        request_id, account, command, body = self.compose(n, price)
        self.sent[request_id] = (account, command)
        await client.xadd(self.place.names.cmd(command), {"data": json.dumps(body)})

    def compose(self, n: int, price: float) -> tuple[str, str, str, dict[str, Any]]:
        """The n-th command: its request id, account, command and body."""
        account = self.accounts[n % len(self.accounts)]
        request_id = f"chaos-{uuid.uuid4().hex}"
        body: dict[str, Any] = {"requestId": request_id, "subAccountId": account, "symbol": SYMBOL, "leverage": 10}
        if n % 5 == 4:
            return (
                request_id,
                account,
                "limit",
                body | {"side": "BUY", "quantity": 0.002, "price": int(price * 0.98) - n % 50},
            )
        side = "BUY" if (n // 3) % 2 else "SELL"
        return request_id, account, "trade", body | {"side": side, "quantity": 0.001 * (1 + n % 3)}

    async def _collect(self, listener: Any) -> None:
        async for message in listener.listen():
            if message["type"] == "pmessage":
                request_id = message["channel"].decode().rpartition(":")[2]
                if request_id in self.sent:
                    self.results.setdefault(request_id, json.loads(message["data"]))

    async def cancel_all_resting(self) -> None:
        """Cancel what rests, each by its own command."""
        account = (await sim_state(self.place))["accounts"][self.place.account]
        for order in account["openOrders"]:
            result = await self.command("cancel", orderId=order["clientOrderId"])
            assert result["success"], result

    async def settled(self) -> Books:
        """The books after everything has come to rest."""
        return await settled_books(self.place, 20)

    async def check(self) -> None:
        """Nothing lost and nothing repeated. Says what is wrong, all at once."""
        orders = (await sim_state(self.place))["accounts"][self.place.account]
        unanswered = [self.sent[request_id] for request_id in self.sent if request_id not in self.results]
        assert not unanswered, f"{len(unanswered)} of {len(self.sent)} commands got no result: {unanswered[:5]}"
        self._check_orders(orders["orders"])
        events = await self._events()
        self._check_sequence(events)
        self._check_fills(orders["orders"], orders["trades"], events)

    def _check_orders(self, orders: list[dict[str, Any]]) -> None:
        """Each accepted request has exactly one order at the exchange, each refused one none (invariant 1)."""
        placed = Counter(order["clientOrderId"] for order in orders)
        for request_id, (account, command) in self.sent.items():
            order_id = client_order_id(self.place.names.namespace, account, KIND[command], request_id)
            result = self.results[request_id]
            if result["success"]:
                assert placed[order_id] == 1, (placed[order_id], result)
            elif result["errorCategory"] != "AMBIGUITY":
                assert placed[order_id] == 0, result

    def _check_sequence(self, events: list[dict[str, Any]]) -> None:
        """`seq` of each account rises by one, across all restarts."""
        for account in self.accounts:
            numbers = [event["seq"] for event in events if event["subAccountId"] == account]
            if self.log_may_lose:
                assert numbers == sorted(set(numbers)), f"repeats in seq of {account}"
            else:
                assert numbers == list(range(1, len(numbers) + 1)), f"holes or repeats in seq of {account}"

    def _check_fills(
        self, orders: list[dict[str, Any]], trades: list[dict[str, Any]], events: list[dict[str, Any]]
    ) -> None:
        """Every execution is in exactly one event, every filled order has exactly one `order_filled`.

        That tells the last execution, or none, where the order's end is heard of after its executions.
        """
        ends = Counter(event["clientOrderId"] for event in events if event["type"] == "order_filled")
        assert max(ends.values(), default=1) == 1, f"ends told twice: {ends.most_common(3)}"
        told = Counter(
            (event["clientOrderId"], event["filledQty"])
            for event in events
            if event["type"] in ("order_filled", "order_partial") and event.get("lastFillQty") is not None
        )
        repeated = [key for key, count in told.items() if count > 1]
        assert not repeated, f"fills told twice: {repeated[:5]}"
        of_order = Counter(trade["orderId"] for trade in trades)
        for order in orders:
            expected = of_order[order["orderId"]]
            got = sum(1 for order_id, _ in told if order_id == order["clientOrderId"])
            told_once = got <= expected if self.log_may_lose else got == expected
            assert told_once, f"{order['clientOrderId']}: {expected} executions, {got} events"

    async def _events(self) -> list[dict[str, Any]]:
        async with connected(self.place.redis, self.place.names.namespace) as client:
            return [json.loads(fields[b"data"]) for _, fields in await client.xrange(self.place.names.events)]
