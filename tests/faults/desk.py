"""What is asked of the order service: written to its streams as risk, algos and JS write it.

Owns the messages, and what was asked. Entries carry the hastened time. Used by the stage.
"""

import json
from decimal import Decimal
from typing import Any

import msgspec
from redis.asyncio import Redis
from tests.faults import haste
from tests.faults.plan import Step
from tests.faults.verdict import Asked

from pms_common.contracts.bus.base import Message, encode
from pms_common.contracts.bus.orders import AmendOrder, CancelOrder, PlaceOrder
from pms_common.ids import client_order_id
from pms_common.names import Names


class Desk:
    """Carries out the steps of trading; each public method is one, with the particulars of the step."""

    def __init__(self, redis: Redis, names: Names, steps: list[Step]) -> None:
        self._redis, self._names, self._steps = redis, names, steps
        self._raw: dict[str, tuple[str, bytes]] = {}
        self._ids: dict[str, str] = {}
        self.asked = Asked()

    async def place(self, **order: Any) -> None:
        place = self._place(order)
        self.asked.orders[place.client_order_id] = order
        self._raw[order["request"]] = (order["stream"], encode(place))
        await self._write(order["stream"], encode(place))

    def _place(self, order: dict[str, Any]) -> PlaceOrder:
        now_ms = haste.now_ms()
        return msgspec.convert(
            {
                "client_order_id": self._name(order["account"], order["request"]),
                "account_id": order["account"],
                "symbol": order["symbol"],
                "side": order["side"],
                "order_type": order["type"],
                "quantity": Decimal(order["quantity"]),
                "price": Decimal(order["price"]) if order["type"] == "LIMIT" else None,
                "time_in_force": order["force"],
                "reduce_only": order["reduce_only"],
                "reduce_only_on_venue": order["reduce_only"],
                "leverage": Decimal(10),
                "origin": "CHASE" if order["child"] else "MANUAL",
                "parent_id": f"parent-{order['account']}" if order["child"] else None,
                "request_id": order["request"],
                "command": "limit",
                "answer": order["answer"],
                "expires_at_ms": now_ms + order["expires_ms"] if order["expires_ms"] else None,
                "approved_ms": now_ms,
            },
            PlaceOrder,
        )

    def _name(self, account: str, request: str) -> str:
        return self._ids.setdefault(request, client_order_id(self._names.namespace, account, "LMT", request))

    async def repeat(self, request: str) -> None:
        await self._write(*self._raw[request])

    async def amend(self, request: str, price: str, quantity: str) -> None:
        terms = {"price": Decimal(price), "quantity": Decimal(quantity)}
        await self._send("changes", AmendOrder, request, **terms)

    async def cancel(self, request: str, stream: str) -> None:
        await self._send(stream, CancelOrder, request)
        self.asked.cancelled.add(self._ids[request])

    async def _send(self, stream: str, form: type[Message], request: str, **more: Any) -> None:
        order = self._of(request)
        whose = {"client_order_id": self._name(order["account"], request), "account_id": order["account"]}
        await self._write(stream, encode(form(**whose, symbol=order["symbol"], **more)))

    def _of(self, request: str) -> dict[str, Any]:
        steps = self._steps
        return next(step.what for step in steps if step.do == "place" and step.what["request"] == request)

    async def command(self, request: str, name: str, wait: str) -> None:
        order = self._of(request)
        order_id = self._name(order["account"], request)
        await self._command(
            "cancel", {"requestId": name, "subAccountId": order["account"], "orderId": order_id, "waitFor": wait}
        )
        self.asked.requests[name] = {"command": "cancel", "order": order_id}
        self.asked.cancelled.add(order_id)

    async def cancel_all(self, account: str, symbol: str | None, children: bool, name: str) -> None:
        body = {"requestId": name, "subAccountId": account, "includeAlgos": children}
        await self._command("cancel_all", {**body, "symbol": symbol} if symbol else body)
        self.asked.requests[name] = {"command": "cancel_all"}
        for order_id, order in self.asked.orders.items():
            if order["account"] == account and symbol in (None, order["symbol"]) and (children or not order["child"]):
                self.asked.cancelled.add(order_id)

    async def _command(self, command: str, body: dict[str, Any]) -> None:
        await self._add(self._names.cmd(command), json.dumps(body).encode())

    async def _write(self, stream: str, data: bytes) -> None:
        await self._add(getattr(self._names, stream)("orders"), data)

    async def _add(self, stream: str, data: bytes) -> None:
        await self._redis.xadd(stream, {"data": data}, id=f"{haste.now_ms()}-*")
