"""The fields of a control request, each read once and checked; what nobody reads is refused.

Owns -1100 and -1102 with the field's name in them. Used by every kind of fault and by the control routes.
"""

from collections.abc import Collection, Mapping
from typing import Any

from pms_simulator.domain.errors import VenueError, mandatory


def wrong(name: str, expected: str) -> VenueError:
    """-1100: field ``name`` has a value it may not have."""
    return VenueError(-1100, f"Illegal value for '{name}'; expected {expected}.")


class Fields:
    """A body being read."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self._read: set[str] = set()

    def take(self, name: str) -> Any:
        """The raw value, None where it is absent."""
        self._read.add(name)
        return self._body.get(name)

    def text(self, name: str, default: str | None = None) -> str | None:
        """A string that may be absent."""
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, str) or not value:
            raise wrong(name, "a string")
        return value

    def needed(self, name: str) -> str:
        """A string; -1102 where it is absent."""
        value = self.text(name)
        if value is None:
            raise mandatory(name)
        return value

    def names(self, name: str) -> frozenset[str] | None:
        """One string or a list of them, None where absent."""
        value = self.take(name)
        if value is None:
            return None
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not found or not all(isinstance(item, str) for item in found):
            raise wrong(name, "a string or a list of strings")
        return frozenset(found)

    def choice(self, name: str, options: Collection[str], default: str) -> str:
        """One of ``options``."""
        value = self.take(name)
        if value is None:
            return default
        if value not in options:
            raise wrong(name, "one of " + ", ".join(sorted(options)))
        return str(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise wrong(name, "true or false")
        return value

    def number(self, name: str, most: float | None = None) -> float | None:
        """A number from 0 to ``most``, None where absent."""
        value = self.take(name)
        if value is None:
            return None
        too_much = isinstance(value, int | float) and most is not None and value > most
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or too_much:
            raise wrong(name, "a number of at least 0" + ("" if most is None else f" and at most {most:g}"))
        return value

    def whole(self, name: str) -> int | None:
        """A whole number from 0 on, None where absent."""
        value = self.number(name)
        if value is not None and value != int(value):
            raise wrong(name, "a whole number")
        return None if value is None else int(value)

    def finish(self, kind: str) -> None:
        """-1106 for a field that means nothing to this kind."""
        unknown = sorted(set(self._body) - self._read)
        if unknown:
            known = ", ".join(sorted(self._read - {"kind"}))
            raise VenueError(-1106, f"Parameter '{unknown[0]}' sent when not required; {kind} takes {known}.")
