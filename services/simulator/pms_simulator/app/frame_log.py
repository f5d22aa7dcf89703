"""When frames that start a path were written: fills to users and best quotes to everybody.

Owns a bounded log for `GET /sim/frames`, from which a benchmark times what a frame causes. Used by the two kinds of
streams.
"""

import time
from collections import deque
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame just before it was written; `id` is the exchange order id of a fill, the best bid of a quote."""

    kind: Literal["trade", "quote"]
    symbol: str
    id: str
    time_ns: int


class FrameLog:
    """The last frames, oldest first."""

    def __init__(self, size: int) -> None:
        self.frames: deque[Sent] = deque(maxlen=size)

    def note(self, kind: Literal["trade", "quote"], symbol: str, id_: str) -> None:
        """A frame is about to be written."""
        self.frames.append(Sent(kind, symbol, id_, time.time_ns()))
