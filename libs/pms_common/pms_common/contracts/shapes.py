"""How the fields of one struct are read from a raw object: names, aliases, rules, unknown ones.

Compiled once a class from its annotations. Knows nothing of envelopes, ids or time; `parse` does.
Used by `parse`, and by the command classes for lists of objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from pms_common.contracts.errors import ErrorCode
from pms_common.contracts.rules import MAX_TEXT_CHARS, Alias, Missing, Report, Rule

MAX_UNKNOWN_NAMED = 16
_decode_list = msgspec.json.Decoder(list[Any], float_hook=Decimal).decode


class FieldRule(NamedTuple):
    """One field of a class: its name on the wire, its attribute, and how it is read."""

    name: str
    attribute: str
    aliases: tuple[str, ...]
    required: bool
    missing: ErrorCode
    rule: Rule


class Shape:
    """The compiled fields of a class."""

    __slots__ = ("_readers", "_required", "fields")

    def __init__(self, fields: tuple[FieldRule, ...]) -> None:
        self.fields = fields
        self._readers = {
            name: (field.attribute, field.rule.read) for field in fields for name in (field.name, *field.aliases)
        }
        self._required = frozenset(field.attribute for field in fields if field.required)

    def read(self, body: Mapping[str, Any], prefix: str, report: Report) -> dict[str, Any]:
        """The fields given in `body`, by attribute name; a refused one is None. null in `body` counts as absent."""
        given: dict[str, Any] = {}
        readers = self._readers
        for name, value in body.items():
            reader = readers.get(name)
            if reader is None:
                _warn_unknown(prefix + name, report)
            elif value is not None:
                attribute, read = reader
                path = prefix + name if prefix else name
                read_before = given.get(attribute)
                given[attribute] = read(value, path, report)
                if read_before is not None and read_before != given[attribute]:
                    report.refuse(path, "contradicts another name of the same field")
        if not given.keys() >= self._required:
            self._refuse_missing(given, prefix, report)
        return given

    def _refuse_missing(self, given: dict[str, Any], prefix: str, report: Report) -> None:
        for field in self.fields:
            if field.required and field.attribute not in given:
                also = f" (also as {', '.join(field.aliases)})" if field.aliases else ""
                report.refuse(prefix + field.name, f"is required{also}", field.missing)


def _warn_unknown(path: str, report: Report) -> None:
    if len(report.warnings) < MAX_UNKNOWN_NAMED:
        report.warnings.append(f"unknown field {path[:MAX_TEXT_CHARS]}")
    elif len(report.warnings) == MAX_UNKNOWN_NAMED:
        report.warnings.append("further unknown fields are not named")


@cache
def shape_of(cls: type[msgspec.Struct]) -> Shape:
    """The shape of a class, every field of which carries a rule in its annotation."""
    hints = get_type_hints(cls, include_extras=True)
    return Shape(tuple(_field_rule(field, hints[field.name]) for field in msgspec.structs.fields(cls)))


def _field_rule(field: msgspec.structs.FieldInfo, hint: Any) -> FieldRule:
    extras = list(_extras(hint))
    return FieldRule(
        name=field.encode_name,
        attribute=field.name,
        aliases=tuple(extra.name for extra in extras if isinstance(extra, Alias)),
        required=field.required,
        missing=next((e.code for e in extras if isinstance(e, Missing)), ErrorCode.VALIDATION_FAILED),
        rule=next(extra for extra in extras if isinstance(extra, Rule)),
    )


def _extras(hint: Any) -> Iterator[object]:
    """What is annotated in e.g. `Annotated[Price | None, Alias("limit")]`, the outermost first."""
    inner = get_args(hint)
    if get_origin(hint) is Annotated:
        yield from inner[1:]
        yield from _extras(inner[0])
    else:
        for part in inner:
            yield from _extras(part)


@dataclass(frozen=True)
class Items(Rule):
    """A list of objects of one class; in flat fields its JSON text. Read as a tuple."""

    of: type[msgspec.Struct]
    least: int
    most: int
    code: ErrorCode = ErrorCode.VALIDATION_FAILED
    count: ErrorCode = ErrorCode.VALIDATION_FAILED
    """Where there are too few entries, or too many."""

    def read(self, value: object, path: str, report: Report) -> Any:
        entries = as_list(value)
        if entries is None:
            return report.refuse(path, "must be a list", self.code)
        if not self.least <= len(entries) <= self.most:
            return report.refuse(path, f"must have {self.least} to {self.most} entries", self.count)
        return tuple(self._entry(entry, f"{path}[{i}]", report) for i, entry in enumerate(entries))

    def _entry(self, entry: object, path: str, report: Report) -> Any:
        if type(entry) is not dict:
            return report.refuse(path, "must be an object", self.code)
        so_far = len(report.errors)
        given = shape_of(self.of).read(entry, f"{path}.", report)
        if len(report.errors) == so_far:
            return self.of(**given)
        if self.code is not ErrorCode.VALIDATION_FAILED:
            recoded = [msgspec.structs.replace(e, code=self.code.name) for e in report.errors[so_far:]]
            report.errors[so_far:] = recoded
        return None


@dataclass(frozen=True)
class ListOf(Rule):
    """A list of plain values; in flat fields its JSON text, or the values separated by commas. Read as a tuple."""

    of: Rule
    most: int

    def read(self, value: object, path: str, report: Report) -> Any:
        entries = as_list(value)
        if entries is None and type(value) is str:
            entries = value.split(",")
        if entries is None or not 1 <= len(entries) <= self.most:
            return report.refuse(path, f"must be a list of 1 to {self.most} entries")
        return tuple(self.of.read(entry, f"{path}[{i}]", report) for i, entry in enumerate(entries))


def as_list(value: object) -> list[Any] | None:
    """The list itself, or the list that a text holds as JSON; None for anything else."""
    if type(value) is list:
        return value
    if type(value) is not str or not value.startswith("["):
        return None
    try:
        return _decode_list(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
