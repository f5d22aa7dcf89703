"""The schedule of a TWAP: when its lots are due, and how much is to be executed by each.

Pure arithmetic, and pure chance: the dice are thrown from the algo's id, so the same command makes the same schedule.
Source: the reference's slicing. Jitter moves each lot around its own place, so it never adds up and the end stays.
"""

import random
from collections.abc import Iterator
from decimal import Decimal

from pms_algos.domain.twap_state import Lot

JITTER = Decimal("0.1")
"""Of an interval, to either side: what lies between two lots then varies by up to ±20 %."""
IRREGULAR = (700, 1300)
"""Thousandths of a regular lot."""


def schedule(
    total: Decimal, lots: int, start_ms: int, interval_ms: int, grid: Decimal, jitter: bool, irregular: bool, seed: str
) -> tuple[Lot, ...]:
    """`lots` lots from `start_ms` on that make `total`, each sum on the `grid` (the symbol's step, or cents)."""
    dice = random.Random(seed)
    weights = [dice.randint(*IRREGULAR) if irregular else 1 for _ in range(lots)]
    delays = [int(dice.uniform(-1, 1) * float(JITTER) * interval_ms) if jitter and i else 0 for i in range(lots)]
    times = (start_ms + i * interval_ms + delays[i] for i in range(lots))
    return tuple(map(Lot, times, _sums(total, weights, grid)))


def _sums(total: Decimal, weights: list[int], grid: Decimal) -> Iterator[Decimal]:
    whole, so_far = sum(weights), 0
    for weight in weights:
        so_far += weight
        yield total if so_far == whole else total * so_far / whole // grid * grid
