"""How a field's Python type reads in the JSON that it becomes."""

from collections.abc import Iterable
from decimal import Decimal
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from pms_cli.reference.markdown import code

_PLAIN: dict[Any, str] = {
    str: "string",
    Decimal: "number",
    float: "number",
    int: "integer",
    bool: "boolean",
    Any: "any",
    type(None): "null",
}


def json_type(hint: Any) -> str:
    """E.g. `Decimal | None` → number or null; a class of ours → a link to its table."""
    inner = get_args(hint)
    match get_origin(hint):
        case None:
            text = link(hint) if _is_struct(hint) else _PLAIN[hint]
        case origin if origin in (Union, UnionType):
            text = " or ".join(dict.fromkeys(map(json_type, inner)))
        case origin if origin is Literal:
            text = " ".join(code(_literal(word)) for word in inner)
        case origin if origin is tuple:
            text = f"list of {json_type(inner[0])}"
        case _:
            text = "object"
    return text


def link(cls: type) -> str:
    """A link to the table of a class on the same page."""
    return f"[{cls.__name__}](#{cls.__name__.lower()})"


def structs_in(hints: Iterable[Any]) -> Iterable[type[msgspec.Struct]]:
    """The message classes that the types name."""
    for hint in hints:
        if _is_struct(hint):
            yield hint
        yield from structs_in(get_args(hint))


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _literal(word: Any) -> str:
    return str(word).lower() if isinstance(word, bool) else str(word)
