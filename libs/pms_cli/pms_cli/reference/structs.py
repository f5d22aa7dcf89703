"""A message class as a section: its docstring, what it shares with its base, and a table of its own fields."""

from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from pms_cli.reference.markdown import code, table
from pms_cli.reference.types import json_type, link, structs_in
from pms_common.contracts.base import Wire
from pms_common.contracts.schema import explained

Cls = type[msgspec.Struct]
"""A class of messages."""
_COLUMNS = ("field", "type", "")
_ABSENT = "may be absent"


def section(cls: Cls, title: str = "") -> str:
    """The section of one class; fields it has from a base with a section of its own are not repeated."""
    parts = [f"## {title or cls.__name__}", explained(cls)]
    base = _base(cls)
    if base is not None:
        parts.append(f"All fields of {link(base)}" + (", and:" if _own(cls) else "."))
    if _own(cls):
        parts.append(table(_COLUMNS, map(_row, _own(cls))))
    return "\n\n".join(part for part in parts if part)


def with_parts(classes: Iterable[Cls], shown: set[Cls]) -> list[Cls]:
    """What the classes need to be understood, and is not `shown`: their bases, and the classes of their fields."""
    found: dict[Cls, None] = {}
    waiting = list(classes)
    while waiting:
        cls = waiting.pop(0)
        hints = [hint for _, hint in _fields(cls)]
        base = _base(cls)
        for part in (*([base] if base is not None else []), *structs_in(hints)):
            if part not in found and part not in shown:
                found[part] = None
                waiting.append(part)
    return list(found)


def _base(cls: Cls) -> Cls | None:
    base = cls.__bases__[0]
    return base if base is not Wire and issubclass(base, msgspec.Struct) and base.__struct_fields__ else None


def _own(cls: Cls) -> list[tuple[msgspec.structs.FieldInfo, Any]]:
    base = _base(cls)
    inherited = set(base.__struct_fields__) if base is not None else set()
    return [(field, hint) for field, hint in _fields(cls) if field.name not in inherited]


def _fields(cls: Cls) -> Iterator[tuple[msgspec.structs.FieldInfo, Any]]:
    hints = get_type_hints(cls)
    return ((field, hints[field.name]) for field in msgspec.structs.fields(cls))


def _row(item: tuple[msgspec.structs.FieldInfo, Any]) -> tuple[str, str, str]:
    field, hint = item
    absent = not field.required and field.default is not msgspec.NODEFAULT
    if absent and get_origin(hint) is not None and type(None) in get_args(hint):
        hint = _without_none(hint)
    type_ = json_type(hint)
    if field.name.endswith("_ms") and not field.encode_name.endswith("Ms"):
        type_ = type_.replace("integer", "time")
    return code(field.encode_name), type_, _ABSENT if absent else ""


def _without_none(hint: Any) -> Any:
    kept = [part for part in get_args(hint) if part is not type(None)]
    union = kept[0]
    for part in kept[1:]:
        union = union | part
    return union
