"""The contract for machines: JSON Schema, AsyncAPI 3, and the OpenAPI document of the gateway.

All say what `pms_common.contracts.schema` says. Of Redis AsyncAPI knows nothing (its binding is empty), so how a
channel is kept in Redis stands in `x-redis`.
"""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from pms_common.contracts.base import CONTRACT_VERSION
from pms_common.contracts.caches import PRICE_TTL_S, RISK_TTL_S, PriceCache, RiskSnapshot
from pms_common.contracts.commands import COMMANDS, Command
from pms_common.contracts.events import EVENTS
from pms_common.contracts.results import RESULT_TTL_S, Failure
from pms_common.contracts.results_algos import RESULTS
from pms_common.contracts.schema import ALGO_ITEMS, Schema, command_name, contract, explained
from pms_common.names import Names
from pms_gateway.door.openapi import document

_NAMES = Names()
_VERSION = f"{CONTRACT_VERSION}.0.0"
_SUMMARY = "Commands into Redis; results, events and caches out of it. Written by `make docs` from the code."


def json_schema() -> str:
    """JSON Schema, draft 2020-12: each message under its name in `$defs`."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PMS contract",
        "description": _SUMMARY,
        "$defs": contract("#/$defs/"),
    }
    return _json(schema)


def asyncapi() -> str:
    """AsyncAPI 3."""
    messages = {name: _message(name, *about) for name, about in _messages().items()}
    api = {
        "asyncapi": "3.0.0",
        "info": {"title": "PMS contract", "version": _VERSION, "description": _SUMMARY},
        "defaultContentType": "application/json",
        "servers": {"redis": {"host": "127.0.0.1:6379", "protocol": "redis"}},
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": messages, "schemas": contract("#/components/schemas/")},
    }
    return _json(api)


def openapi() -> str:
    """OpenAPI 3.1, as the gateway serves it."""
    return _json(document())


def _messages() -> dict[str, tuple[str, str]]:
    """Name of each message's schema → title and summary."""
    commands = {command_name(t): (t, explained(cls)) for t, cls in COMMANDS.items()}
    events = {cls.__name__: (t, explained(cls)) for t, cls in EVENTS.items()}
    written: tuple[type[msgspec.Struct], ...] = (Failure, *RESULTS.values(), PriceCache, RiskSnapshot, *ALGO_ITEMS)
    return commands | {cls.__name__: (cls.__name__, explained(cls)) for cls in written} | events


def _message(schema: str, title: str, summary: str) -> Schema:
    payload = {"$ref": f"#/components/schemas/{schema}"}
    return {"name": title, "title": title, "summary": summary, "payload": payload}


def _channels() -> dict[str, Schema]:
    commands = {_channel_of(cls): _command_channel(cls) for cls in COMMANDS.values()}
    results = [Failure.__name__, *(cls.__name__ for cls in dict.fromkeys(RESULTS.values()))]
    log = {"kind": "stream", "fields": ["type", "data"], "keptHours": 24}
    caches = {
        "price": _channel(_NAMES.price("{symbol}"), ["PriceCache"], {"kind": "key", "livesSeconds": PRICE_TTL_S}),
        "risk": _channel(_NAMES.risk("{subAccountId}"), ["RiskSnapshot"], {"kind": "key", "livesSeconds": RISK_TTL_S}),
        "algos": _channel(_NAMES.algos("{subAccountId}"), [cls.__name__ for cls in ALGO_ITEMS], {"kind": "hash by id"}),
    }
    answered = {"kind": "key and pub/sub", "livesSeconds": RESULT_TTL_S}
    return {
        **commands,
        "result": _channel(_NAMES.result("{requestId}"), results, answered),
        "events": _channel(_NAMES.events, [cls.__name__ for cls in EVENTS.values()], log),
        **{
            f"events.{t}": _channel(_NAMES.event_channel(t), [c.__name__], {"kind": "pub/sub"})
            for t, c in EVENTS.items()
        },
        **caches,
    }


def _channel_of(cls: type[Command]) -> str:
    return f"{cls.STREAM}.{cls.TYPE}"


def _command_channel(cls: type[Command]) -> Schema:
    address = _NAMES.op(cls.TYPE) if cls.STREAM == "op" else _NAMES.cmd(cls.TYPE)
    return _channel(address, [command_name(cls.TYPE)], {"kind": "stream", "fields": ["data"], "readBy": cls.OWNER})


def _channel(address: str, messages: Iterable[str], kept: dict[str, Any]) -> Schema:
    parameters: dict[str, Schema] = {part.partition("}")[0]: {} for part in address.split("{")[1:]}
    return {
        "address": address,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        **({"parameters": parameters} if parameters else {}),
        "x-redis": kept,
    }


def _operations() -> dict[str, Schema]:
    """As AsyncAPI wants it, told from our side: commands are received, events are sent."""
    commands = {cls.TYPE: _command_operation(cls) for cls in COMMANDS.values()}
    channels = ["events", *(f"events.{type_}" for type_ in EVENTS)]
    return commands | {name: {"action": "send", "channel": _ref(f"channels/{name}")} for name in channels}


def _command_operation(cls: type[Command]) -> Schema:
    answers = (RESULTS[cls.TYPE].__name__, Failure.__name__)
    return {
        "action": "receive",
        "channel": _ref(f"channels/{_channel_of(cls)}"),
        "reply": {
            "address": {"location": "$message.payload#/requestId"},
            "channel": _ref("channels/result"),
            "messages": [_ref(f"channels/result/messages/{name}") for name in answers],
        },
    }


def _ref(to: str) -> Schema:
    return {"$ref": f"#/{to}"}


def _json(told: Schema) -> str:
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"
