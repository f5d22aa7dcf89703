"""The wall clock in the product's unit: UTC epoch milliseconds. Domain code never calls it; it is given the time."""

import time


def now_ms() -> int:
    """Now, in UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000
