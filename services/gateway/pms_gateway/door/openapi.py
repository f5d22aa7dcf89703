"""The OpenAPI 3.1 document of the door, from the same classes as the contract, and the page to try it.

Owns what each path is called. Never checks a request: commands are checked by their own rules. Used by `server`, and by
`make docs`.
"""

import json
from functools import cache

import msgspec
from aiohttp import web

from pms_common.contracts.base import CONTRACT_VERSION
from pms_common.contracts.caches import PriceCache
from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.results import Failure
from pms_common.contracts.results_algos import RESULTS
from pms_common.contracts.schema import Schema, command_name, contract, explained
from pms_gateway.domain.sequencer import EVENT_ID
from pms_gateway.door import forms
from pms_gateway.door.history import CURSOR, ITEMS, MAX_ITEMS
from pms_gateway.door.page import FILES
from pms_gateway.door.prices import SYMBOLS

_REF = "#/components/schemas/"
_ACCOUNT: Schema = {"name": "account", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_OF: Schema = {
    "name": "subAccountId",
    "in": "query",
    "schema": {"type": "string"},
    "description": "only this account's",
}
_LIMIT: Schema = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ITEMS, "default": ITEMS},
}
_STATE: Schema = {
    "name": "state",
    "in": "query",
    "schema": {"enum": ["closed"]},
    "description": "those that have ended",
}
_TRACEPARENT: Schema = {
    "name": "traceparent",
    "in": "header",
    "schema": {"type": "string"},
    "description": "W3C trace context of the command, where its body has none",
}
_SYMBOLS: Schema = {
    "name": "symbols",
    "in": "query",
    "required": True,
    "schema": {"type": "string", "pattern": SYMBOLS},
    "example": "BTCUSDT,ETHUSDT",
}


def _pages(cursor: str) -> tuple[Schema, Schema]:
    schema = {"type": "string", "pattern": cursor}
    return {"name": "before", "in": "query", "schema": schema, "description": "`next` of the page before it"}, _LIMIT


_PAGE = _pages(CURSOR)
_ANSWERS: tuple[type[msgspec.Struct], ...] = (
    *(forms.AccountList, forms.AccountItem, forms.OrderList, forms.PositionList, forms.AlgoList, forms.ServiceList),
    *(forms.LedgerPage, forms.TradePage, forms.StatementPage, forms.OrderPage, forms.AuditPage),
)


def document() -> Schema:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PMS gateway",
            "version": f"{CONTRACT_VERSION}.0.0",
            "description": "Commands and reads over HTTP. What a command does is told in docs/contract.md.",
        },
        "security": [{}, {"token": []}],
        "paths": _commands() | _reads(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"Failure": _body("Refused, or failed: `errorCode` says why.", Failure)},
            "schemas": contract(_REF, *_ANSWERS),
        },
    }


def _commands() -> dict[str, Schema]:
    paths = {f"/v1/commands/{type_}": _command(type_) for type_ in COMMANDS}
    return paths | {"/v1/trading-state": {"post": _command("trading_state")["post"] | {"operationId": "tradingState"}}}


def _command(type_: str) -> Schema:
    cls = COMMANDS[type_]
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": f"{_REF}{command_name(type_)}"}}}}
    about = {
        "operationId": type_,
        "tags": ["operators" if cls.STREAM == "op" else cls.OWNER],
        "summary": explained(cls),
        "parameters": [_TRACEPARENT],
        "requestBody": body,
    }
    return {"post": about | _responses(_body("Its result.", RESULTS[type_]))}


def _reads() -> dict[str, Schema]:
    account = "/v1/accounts/{account}"
    of_one: dict[str, Schema] = {
        "": _get("account", forms.AccountItem, _ACCOUNT),
        "/orders": _orders(),
        "/positions": _get("accountPositions", forms.PositionList, _ACCOUNT),
        "/algos": _get("accountAlgos", forms.AlgoList, _ACCOUNT),
        "/ledger": _get("ledger", forms.LedgerPage, _ACCOUNT, *_PAGE),
        "/trades": _get("trades", forms.TradePage, _ACCOUNT, *_PAGE),
        "/statement": _get("statement", forms.StatementPage, _ACCOUNT, *_PAGE),
    }
    return {
        "/v1/accounts": _get("accounts", forms.AccountList),
        **{f"{account}{path}": about for path, about in of_one.items()},
        "/v1/orders": _get("orders", forms.OrderList, _OF),
        "/v1/positions": _get("positions", forms.PositionList, _OF),
        "/v1/algos": _get("algos", forms.AlgoList, _OF),
        "/v1/services": _get("services", forms.ServiceList),
        "/v1/prices": _prices(),
        "/v1/audit": _get("audit", forms.AuditPage, *_pages(EVENT_ID)),
        "/v1/events": _events(),
    }


def _get(name: str, answer: type[msgspec.Struct], *parameters: Schema) -> Schema:
    about = {"operationId": name, "tags": ["reads"], "summary": explained(answer), "parameters": list(parameters)}
    return {"get": about | _responses(_body(explained(answer), answer))}


def _orders() -> Schema:
    live = _get("accountOrders", forms.OrderList, _ACCOUNT, _STATE, *_PAGE)
    either = {"anyOf": [{"$ref": f"{_REF}OrderList"}, {"$ref": f"{_REF}OrderPage"}]}
    live["get"]["responses"]["200"]["content"]["application/json"]["schema"] = either
    return live


def _prices() -> Schema:
    prices = {"type": "object", "additionalProperties": {"anyOf": [{"$ref": f"{_REF}PriceCache"}, {"type": "null"}]}}
    answer = {"type": "object", "properties": {"prices": prices}, "required": ["prices"]}
    body = {"description": explained(PriceCache), "content": {"application/json": {"schema": answer}}}
    about = {"operationId": "prices", "tags": ["reads"], "summary": "Prices of symbols", "parameters": [_SYMBOLS]}
    return {"get": about | _responses(body)}


def _events() -> Schema:
    after = {
        "name": "after",
        "in": "query",
        "schema": {"type": "string", "pattern": EVENT_ID},
        "description": "the eventId to read on from",
    }
    compress = {"name": "compress", "in": "query", "schema": {"type": "string"}, "description": "given: compressed"}
    about = {"operationId": "events", "tags": ["reads"], "summary": "A WebSocket: each message is an event"}
    answers = {"101": {"description": "The WebSocket"}, "default": {"$ref": "#/components/responses/Failure"}}
    return {"get": about | {"parameters": [after, _OF, compress], "responses": answers}}


def _body(about: str, cls: type[msgspec.Struct]) -> Schema:
    return {
        "description": about,
        "content": {"application/json": {"schema": {"$ref": f"{_REF}{cls.__name__}"}}},
    }


def _responses(success: Schema) -> Schema:
    return {"responses": {"200": success, "default": {"$ref": "#/components/responses/Failure"}}}


@cache
def _encoded() -> bytes:
    return json.dumps(document(), ensure_ascii=False, separators=(",", ":")).encode()


def routes() -> list[web.RouteDef]:
    """/openapi.json and /docs; neither holds anything that is not public."""
    return [web.get("/openapi.json", _document), web.get("/docs", _page)]


async def _document(_request: web.Request) -> web.Response:
    return web.Response(body=_encoded(), content_type="application/json")


async def _page(_request: web.Request) -> web.Response:
    return web.Response(body=FILES["docs.html"], content_type="text/html", charset="utf-8")
