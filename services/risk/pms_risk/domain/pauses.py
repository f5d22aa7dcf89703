"""Whether a pause lasts, by a clock that may be set back.

Owns that no step of the clock makes a pause longer than it was meant to be: what would last longer is over. Pure. Used
where liquidations wait.
"""


def lasts(until_ms: int, now_ms: int, longest_ms: int) -> bool:
    """Whether a pause of at most `longest_ms` that ends at `until_ms` goes on."""
    return 0 < until_ms - now_ms <= longest_ms
