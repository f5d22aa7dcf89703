"""Schemas of what JS may send: each command's fields as their rules take them.

Says what to send, and less than what is understood: other names of a field stand in `x-also`, words are taken in any
case, every number also as text (told only of amounts and prices, which text keeps exact), and what two fields may not
say together is told by the refusal. A field that is not required may be null.
"""

from decimal import Decimal
from functools import singledispatch
from typing import Any

import msgspec

from pms_common.contracts.commands import Command
from pms_common.contracts.rules import (
    MAX_TEXT_CHARS,
    MOST,
    Flag,
    Integer,
    Number,
    OneOf,
    Rule,
    SymbolName,
    Text,
    TraceContext,
)
from pms_common.contracts.schema.messages import Schema, explained, is_time
from pms_common.contracts.shapes import FieldRule, Items, ListOf, shape_of
from pms_common.contracts.traceparent import EXAMPLE

AMOUNT_TEXT = r"^[0-9]{1,15}(\.[0-9]{1,12})?$"
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
SYMBOL = r"^([A-Z0-9_]|[^\x00-\x7f]){1,32}(/USDT(:USDT)?)?$"
POSITIVE_TEXT = r"^(?=.*[1-9])[0-9]{1,15}(\.[0-9]{1,12})?$"


def command_schema(cls: type[Command], ref: str) -> Schema:
    """One command. `requestId` may be missing; `subAccountId` where an object tells the account."""
    schema = entry_schema(cls, ref)
    required = [name for name in schema["required"] if name != "requestId"]
    if cls.ACCOUNT == "required":
        required = ["subAccountId", *required]
        schema["properties"]["subAccountId"] = rule_schema(Text(), ref)
    return schema | {"required": required}


def entry_schema(cls: type[msgspec.Struct], ref: str) -> Schema:
    """A class of which every field has a rule."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(cls)}
    fields = shape_of(cls).fields
    return {
        "type": "object",
        "description": explained(cls),
        "properties": {field.name: _field(field, defaults[field.attribute], ref) for field in fields},
        "required": [field.name for field in fields if field.required],
    }


def entries_of(cls: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """The classes of its lists' entries."""
    return [field.rule.of for field in shape_of(cls).fields if isinstance(field.rule, Items)]


def _field(field: FieldRule, default: Any, ref: str) -> Schema:
    schema = rule_schema(field.rule, ref)
    if not field.required:
        schema = _or_null(schema)
        if default is not None:
            schema["default"] = _json(default)
    if field.aliases:
        schema["x-also"] = list(field.aliases)
    if is_time(field.attribute, field.name):
        schema["description"] = "UTC epoch milliseconds"
    return schema


def _or_null(schema: Schema) -> Schema:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return schema | {"type": [*kinds, "null"]} | more


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


@singledispatch
def rule_schema(rule: Rule, ref: str) -> Schema:
    """What the value may be."""
    raise TypeError(f"{type(rule).__name__} has no schema yet")


@rule_schema.register
def _number(rule: Number, ref: str) -> Schema:
    bounds = {"exclusiveMinimum": rule.gt, "minimum": rule.ge, "maximum": rule.le}
    told = {name: _json(bound) for name, bound in bounds.items() if bound is not None}
    if rule.le != MOST or (rule.gt is None and rule.ge is None):  # a pattern cannot tell the bound
        return {"type": "number", **told}
    return {"type": ["number", "string"], "pattern": AMOUNT_TEXT if rule.gt is None else POSITIVE_TEXT, **told}


@rule_schema.register
def _integer(rule: Integer, ref: str) -> Schema:
    return {"type": "integer", "minimum": rule.ge, "maximum": rule.le}


@rule_schema.register
def _text(_: Text, ref: str) -> Schema:
    return {"type": "string", "pattern": PRINTABLE, "minLength": 1, "maxLength": MAX_TEXT_CHARS}


@rule_schema.register
def _trace_context(_: TraceContext, ref: str) -> Schema:
    return {"type": "string", "examples": [EXAMPLE]}


@rule_schema.register
def _flag(_: Flag, ref: str) -> Schema:
    return {"type": "boolean"}


@rule_schema.register
def _one_of(rule: OneOf, ref: str) -> Schema:
    return {"type": "string", "enum": [*rule.words, *(said for said, _ in rule.also)]}


@rule_schema.register
def _symbol(_: SymbolName, ref: str) -> Schema:
    return {"type": "string", "pattern": SYMBOL, "examples": ["BTCUSDT", "BTC/USDT:USDT"]}


@rule_schema.register
def _items(rule: Items, ref: str) -> Schema:
    entry = {"$ref": f"{ref}{rule.of.__name__}"}
    return {"type": "array", "items": entry, "minItems": rule.least, "maxItems": rule.most}


@rule_schema.register
def _list_of(rule: ListOf, ref: str) -> Schema:
    return {"type": "array", "items": rule_schema(rule.of, ref), "minItems": 1, "maxItems": rule.most}
