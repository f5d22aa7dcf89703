"""One result of an examination."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What was examined, what was found, and what to do about it."""

    state: Literal["ok", "warn", "wrong"]
    what: str
    detail: str
    advice: str = ""
