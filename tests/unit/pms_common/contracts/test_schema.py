"""The JSON Schemas say what the classes do: what we write fits them, and what they allow is read."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import pytest
from jsonschema_rs import Draft202012Validator, meta
from tests.unit.pms_common.contracts.test_commands import BAD, EXAMPLES, rule_kind
from tests.unit.pms_common.contracts.test_messages import MESSAGES, instance

from pms_common.contracts.base import encode
from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.events import EVENTS, splice
from pms_common.contracts.results import failure
from pms_common.contracts.rules import Flag, Integer, Number, OneOf
from pms_common.contracts.schema import command_name, contract
from pms_common.contracts.shapes import FieldRule, Items, ListOf, shape_of

DEFS = contract("#/$defs/")
ANY_CODE = DEFS | {"ErrorCode": {"type": "string"}}
EXACT = (Number, Integer, Flag, OneOf, Items, ListOf)
"""Rules of which the schema tells everything but how a text is spelt and how many digits a number may have."""


@cache
def validator(name: str, any_code: bool = False) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": ANY_CODE if any_code else DEFS})


def refs(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (schema["$ref"],) if "$ref" in schema else ()
        for part in schema.values():
            yield from refs(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from refs(part)


def test_each_is_a_schema_and_names_only_others() -> None:
    for schema in DEFS.values():
        meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    assert {ref.removeprefix("#/$defs/") for ref in refs(DEFS)} <= DEFS.keys()


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
def test_what_is_written_fits_its_schema_and_no_field_is_untold(cls: type[msgspec.Struct], full: bool) -> None:
    raw = encode(instance(cls, full))
    body = json.loads(splice(raw, 1, "1-0", 1) if cls in EVENTS.values() else raw)
    schema = validator(cls.__name__, any_code=True)
    schema.validate(body)
    assert body.keys() <= DEFS[cls.__name__]["properties"].keys()
    for name in DEFS[cls.__name__]["required"]:
        assert not schema.is_valid({key: value for key, value in body.items() if key != name})


def test_every_failure_fits_its_schema() -> None:
    for code in ErrorCode:
        validator("Failure").validate(json.loads(encode(failure(CommandError(code), "r-1"))))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_read_fits_and_needs_what_is_required(command: str) -> None:
    schema, body = validator(command_name(command)), EXAMPLES[command]
    schema.validate(body)
    schema.validate(body | {"expiresAt": None, "waitFor": "final", "anything": 1})
    for name in DEFS[command_name(command)]["required"]:
        assert not schema.is_valid({key: value for key, value in body.items() if key != name})


FIELDS = [
    pytest.param(command, field, id=f"{command}-{field.name}")
    for command, cls in COMMANDS.items()
    for field in shape_of(cls).fields
    if isinstance(field.rule, EXACT) and field.name != "exchangeOrderId"  # has no meaning for the example
]


@pytest.mark.parametrize(("command", "field"), FIELDS)
def test_a_value_that_is_refused_does_not_fit(command: str, field: FieldRule) -> None:
    schema = validator(command_name(command))
    for bad in BAD[rule_kind(field.rule)]:
        told = json.loads(encode(bad)) if bad != 1e300 else bad
        body = EXAMPLES[command] | {field.name: told}
        spelt = isinstance(bad, str) and isinstance(field.rule, Number | Integer) and bad[:1] in "-1"
        assert spelt or isinstance(told, float) or bad == ["BTC USDT"] or not schema.is_valid(body), bad
