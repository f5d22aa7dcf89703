"""Points of time in states, as told from durations, and the moving of all of them.

Owns the mark that tells them apart. Pure. Used by every state, and where the wall clock was set.
"""

from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_args

import msgspec

UtcMs = Annotated[int, msgspec.Meta(extra={"time": "utc"})]
"""A point of time, in UTC epoch milliseconds; 0 stands for none."""

S = TypeVar("S", bound=msgspec.Struct)


def later(state: S, by_ms: int) -> S:
    """The state with all its points of time so much later."""
    moved = {
        name: _moved(getattr(state, name), name in _points(type(state)), by_ms) for name in state.__struct_fields__
    }
    return msgspec.structs.replace(state, **moved)


def _moved(value: Any, point: bool, by_ms: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_moved(each, point, by_ms) for each in value)
    if isinstance(value, msgspec.Struct):
        return later(value, by_ms)
    return value + by_ms if point and value else value


@lru_cache(maxsize=64)
def _points(of: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(field.name for field in msgspec.structs.fields(of) if is_point(field.type))


def is_point(annotation: Any) -> bool:
    """Whether a field of this type is a point of time, or holds some."""
    return annotation == UtcMs or any(is_point(part) for part in get_args(annotation) if part is not int)
