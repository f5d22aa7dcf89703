"""Types for TypeScript, from the JSON Schemas: one interface a message, and which command has which result.

Owns the file `types.d.ts` of the JS client.
"""

import json

from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.events import EVENTS
from pms_common.contracts.results_algos import RESULTS
from pms_common.contracts.schema import ALGO_ITEMS, Schema, command_name, contract

_NOTICE = "// Written by `make docs` from the code; do not edit.\n"
_PLAIN = {"integer": "number", "object": "Record<string, unknown>"}


def types() -> str:
    """The file."""
    messages = [_declaration(name, schema) for name, schema in contract("").items()]
    maps = [
        _map("Commands", "What each command carries.", {t: command_name(t) for t in COMMANDS}),
        _map("Results", "What each command is answered with when it succeeds.", _named(RESULTS)),
        _map("Events", "What each type of event carries.", _named(EVENTS)),
    ]
    words = [
        "export type CommandType = keyof Commands;\n",
        "export type EventType = keyof Events;\n",
        "/** Any event, told apart by `type`. */\nexport type PmsEvent = Events[EventType];\n",
        f"/** What `pms:algos:*` holds. */\nexport type AlgoItem = {' | '.join(cls.__name__ for cls in ALGO_ITEMS)};\n",
    ]
    return "\n".join((_NOTICE, *messages, *maps, *words))


def _named(classes: dict[str, type]) -> dict[str, str]:
    return {type_: cls.__name__ for type_, cls in classes.items()}


def _map(name: str, about: str, names: dict[str, str]) -> str:
    lines = "".join(f"  {key}: {value};\n" for key, value in names.items())
    return f"{_comment(about)}export interface {name} {{\n{lines}}}\n"


def _declaration(name: str, schema: Schema) -> str:
    head = _comment(schema.get("description", ""))
    if "properties" not in schema:
        words = "".join(f"\n  | {word}" for word in _type(schema).split(" | "))
        return f"{head}export type {name} ={words};\n"
    required = set(schema["required"])
    lines = "".join(_field(key, value, key in required) for key, value in schema["properties"].items())
    return f"{head}export interface {name} {{\n{lines}}}\n"


def _field(name: str, schema: Schema, required: bool) -> str:
    also = f"Also as {', '.join(schema['x-also'])}." if "x-also" in schema else ""
    default = f"Default {json.dumps(schema['default'])}." if "default" in schema else ""
    about = " ".join(part for part in (schema.get("description", ""), also, default) if part)
    return f"{_comment(about, '  ')}  {name}{'' if required else '?'}: {_type(schema)};\n"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"])
    if "anyOf" in schema:
        return " | ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(word) for word in schema["enum"])
    kinds = schema.get("type", "unknown")
    parts = [_one(kind, schema) for kind in (kinds if isinstance(kinds, list) else [kinds])]
    return " | ".join(dict.fromkeys(parts))


def _one(kind: str, schema: Schema) -> str:
    if kind == "array":
        return f"Array<{_type(schema['items'])}>"
    if kind == "object" and "additionalProperties" in schema:
        return f"Record<string, {_type(schema['additionalProperties'])}>"
    return _PLAIN.get(kind, kind)


def _comment(text: str, indent: str = "") -> str:
    if not text:
        return ""
    lines = text.split("\n")
    if len(lines) == 1:
        return f"{indent}/** {text} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines) + f"{indent} */\n"
