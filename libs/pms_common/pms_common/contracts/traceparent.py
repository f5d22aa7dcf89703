"""The W3C trace context of a command: the form of a `traceparent`, and how it is put into a message.

Owns what is valid (https://www.w3.org/TR/trace-context/#traceparent-header). Never makes an id: that is `tracing`. Used
by the command classes, the gateway's door, the answers and the log.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?").fullmatch
LENGTH = 55
EXAMPLE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
"""The one of the specification."""
NO_TRACE, NO_SPAN = "0" * 32, "0" * 16


class Ids(NamedTuple):
    """The ids of a valid traceparent, in hexadecimal."""

    trace_id: str
    span_id: str


def read(text: object) -> str:
    """A traceparent in the form of version 00; empty where it is none, which W3C has everybody ignore.

    A later version may have more after its flags; what it has in common with 00 is taken.
    """
    found = _FORM(text) if type(text) is str and len(text) <= 4 * LENGTH else None
    if found is None:
        return ""
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or trace_id == NO_TRACE or span_id == NO_SPAN or (version == "00" and more is not None):
        return ""
    return f"00-{trace_id}-{span_id}-{flags}"


def ids(context: str) -> Ids:
    """The ids of a valid one."""
    return Ids(context[3:35], context[36:52])


def sampled(context: str) -> bool:
    """Whether the sender of a valid one records its trace; False for an empty one."""
    return context[-1:] in "13579bdf" if context else False


def told(body: bytes, context: str) -> bytes:
    """`body` (an encoded object, never empty) with the field `traceparent` put last, where there is a context."""
    return b'%s,"traceparent":"%s"}' % (body[:-1], context.encode()) if context else body
