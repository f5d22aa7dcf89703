"""The clocks in the product's unit, milliseconds. Domain code never calls them; it is given the time."""

import time


def now_ms() -> int:
    """Now, in UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Milliseconds of a clock that no step of the wall clock moves: for ages within this process."""
    return time.monotonic_ns() // 1_000_000
