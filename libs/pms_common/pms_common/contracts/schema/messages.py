"""Schemas of what we write, made by msgspec, and told as it is on the wire.

Owns the difference between the two: Decimals are JSON numbers; a field that is left out at its default is never null.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from pms_common.contracts.base import Wire
from pms_common.contracts.errors import Category, ErrorCode

Schema = dict[str, Any]
"""A JSON Schema."""

_DECIMAL = {"type": "string", "format": "decimal"}
_NULL = {"type": "null"}
_WORDS = {"errorCode": "ErrorCode", "errorCategory": "ErrorCategory"}
"""Fields whose text is a word of the table of errors."""


def messages(classes: Iterable[type[msgspec.Struct]], ref: str) -> dict[str, Schema]:
    """Schemas of the classes and of all they are made of, by class name; `ref` is what a name is referred to with."""
    _, found = msgspec.json.schema_components(tuple(classes), ref_template=f"{ref}{{name}}")
    known = {cls.__name__: cls for cls in _descendants(Wire)}
    words: dict[str, Schema] = {
        "ErrorCode": {"type": "string", "enum": [code.name for code in ErrorCode]},
        "ErrorCategory": {"type": "string", "enum": [category.value for category in Category]},
    }
    return words | {name: _told(schema, known[name], ref) for name, schema in found.items()}


def doc(thing: object) -> str:
    """The docstring written at `thing` itself, one paragraph a line; not an inherited one."""
    text = inspect.cleandoc(thing.__doc__ or "")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def explained(cls: type[msgspec.Struct]) -> str:
    """The docstring with fields named as on the wire."""
    wire = {field.name: field.encode_name for field in msgspec.structs.fields(cls)}
    return re.sub(r"`(\w+)`", lambda found: f"`{wire.get(found[1], found[1])}`", doc(cls))


def _told(schema: Schema, cls: type[msgspec.Struct], ref: str) -> Schema:
    """One class: a field without a default is always there, and so is one whose default is written out."""
    given = schema["properties"]
    times = {f.encode_name for f in msgspec.structs.fields(cls) if is_time(f.name, f.encode_name)}
    properties = {name: _property(name, value, ref) for name, value in given.items()}
    for name in times & properties.keys():
        properties[name] |= {"description": "UTC epoch milliseconds"}
    if cls.__name__ == "FieldError":
        properties["code"] = {"$ref": f"{ref}ErrorCode"}
    required = [name for name, value in given.items() if "default" not in value]
    return {"type": "object", "description": explained(cls), "properties": properties, "required": required}


def is_time(attribute: str, name: str) -> bool:
    """Whether a field is a moment: named in milliseconds by us, and not on the wire, where durations are."""
    return attribute.endswith("_ms") and not name.endswith("Ms")


def _property(name: str, value: Schema, ref: str) -> Schema:
    shape: Schema = _plain({key: part for key, part in value.items() if key != "default"})
    parts = list(shape.get("anyOf", (shape,)))
    if name in _WORDS:
        parts = [{"$ref": f"{ref}{_WORDS[name]}"}, *([_NULL] if _NULL in parts else [])]
    if "default" in value:
        parts = [part for part in parts if part != _NULL]
    return parts[0] if len(parts) == 1 else {"anyOf": parts}


def _plain(value: Any) -> Any:
    """Decimals as numbers, at any depth."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.items() >= _DECIMAL.items():
        return {"type": "number"}
    return {key: _plain(part) for key, part in value.items()}


def _descendants(cls: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for child in cls.__subclasses__():
        yield child
        yield from _descendants(child)
