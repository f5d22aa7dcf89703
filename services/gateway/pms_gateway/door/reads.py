"""GET: what the read model knows.

Owns the public form of an order; accounts and algos are shown as their owners wrote them.
"""

from collections.abc import Callable, Iterable

import msgspec
from aiohttp import web

from pms_common.contracts.base import encode
from pms_common.contracts.bus.orders import OrderView
from pms_common.contracts.bus.risk import AccountState
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_gateway.app.processes import Processes
from pms_gateway.app.updates import SOURCES
from pms_gateway.domain.read_model import ReadModel
from pms_gateway.door.answers import json_response, refusal
from pms_gateway.door.forms import OrderItem
from pms_gateway.door.history import History


class _Positions(msgspec.Struct):
    positions: list[msgspec.Raw] = []


_positions = msgspec.json.Decoder(_Positions)


class Reads:
    """GET routes."""

    def __init__(
        self,
        model: ReadModel,
        history: History,
        last_heard: Callable[[], dict[str, int]],
        processes: Processes,
        epoch: Callable[[], int],
    ) -> None:
        self._model, self._history, self._last_heard, self._epoch = model, history, last_heard, epoch
        self._processes = processes

    def routes(self) -> list[web.RouteDef]:
        """The GET routes."""
        lists = {"orders": self._orders, "positions": self._positions, "algos": self._algos}
        return [
            web.get("/v1/accounts", self._accounts),
            web.get("/v1/accounts/{account}", self._account),
            web.get("/v1/services", self._services),
            *(web.get(f"/v1/accounts/{{account}}/{name}", handler) for name, handler in lists.items()),
            *(web.get(f"/v1/{name}", handler) for name, handler in lists.items()),
        ]

    async def _accounts(self, _request: web.Request) -> web.Response:
        return _list("accounts", map(account_json, self._model.accounts_of(None)))

    async def _account(self, request: web.Request) -> web.Response:
        found = self._model.accounts.get(request.match_info["account"])
        return json_response(account_json(found)) if found else _no_account(request)

    async def _orders(self, request: web.Request) -> web.Response:
        if request.query.get("state") == "closed" and "account" in request.match_info:
            return await self._history.read(request, "orders")
        if self._unknown(request):
            return _no_account(request)
        return _list("orders", (encode(order_item(o)) for o in self._model.orders_of(_wanted(request))))

    async def _algos(self, request: web.Request) -> web.Response:
        if self._unknown(request):
            return _no_account(request)
        algos = self._model.algos_of(_wanted(request))
        return _list("algos", (_with(bytes(a.item), kind=a.kind, subAccountId=a.account_id) for a in algos))

    async def _positions(self, request: web.Request) -> web.Response:
        if self._unknown(request):
            return _no_account(request)
        accounts = self._model.accounts_of(_wanted(request))
        return _list("positions", (item for account in accounts for item in _positions_of(account)))

    async def _services(self, _request: web.Request) -> web.Response:
        heard = self._last_heard()
        services = [
            {"name": name, "lastUpdateMs": heard.get(name), "processes": self._processes.of(name)}
            for name in ("feed", *SOURCES, "gateway")
        ]
        states = [
            {"subAccountId": account or None, "symbol": symbol or None, "state": state}
            for (account, symbol), state in self._model.trading_states.items()
        ]
        return json_response(encode({"services": services, "tradingStates": states, "epoch": self._epoch()}))

    def _unknown(self, request: web.Request) -> bool:
        account = request.match_info.get("account")
        return account is not None and account not in self._model.accounts


def _wanted(request: web.Request) -> str | None:
    return request.match_info.get("account") or request.query.get("subAccountId")


def _no_account(request: web.Request) -> web.Response:
    text = f"There is no account {request.match_info['account'][:128]}."
    return refusal(CommandError(ErrorCode.ACCOUNT_NOT_FOUND, text))


def _list(name: str, items: Iterable[bytes]) -> web.Response:
    return json_response(b'{"%s":[%s]}' % (name.encode(), b",".join(items)))


def _with(item: bytes, **fields: str) -> bytes:
    """An encoded object, never empty, with fields put first."""
    return encode(fields)[:-1] + b"," + item[1:]


def account_json(account: AccountState) -> bytes:
    """An account's snapshot with its id and name."""
    return _with(bytes(account.snapshot), id=account.account_id, name=account.name, accountStatus=account.status)


def _positions_of(account: AccountState) -> Iterable[bytes]:
    for position in _positions.decode(account.snapshot).positions:
        yield _with(bytes(position), subAccountId=account.account_id)


def order_item(order: OrderView) -> OrderItem:
    """A live order in its public form."""
    exchange_id = order.exchange_order_id
    return OrderItem(
        sub_account_id=order.account_id,
        id=order.client_order_id,
        order_id=order.client_order_id,
        client_order_id=order.client_order_id,
        exchange_order_id=None if exchange_id is None else str(exchange_id),
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=order.quantity,
        price=order.price,
        filled_qty=order.executed_quantity,
        avg_fill_price=order.average_price,
        state=order.state,
        reduce_only=order.reduce_only,
        leverage=int(order.leverage),
        origin=order.origin,
        parent_id=order.parent_id,
        created_at_ms=order.created_ms,
        updated_at_ms=order.updated_ms,
    )
