"""What a shared Redis does when the market moves and every cell reacts at once: `python -m pms_cli.scaling`.

Owns a small simulation of queues: each cell sends its burst at random moments of one second, each order passes the
processes of its cell and the shared server, one order at a time at each, for the CPU that an order was measured to cost
there (docs/performance.md, *What a resting limit costs*). It says how late the last order is, and changes nothing.
"""

import argparse
import random
from collections.abc import Iterator

STAGES_US = {"risk": 178, "orders": 139}
"""CPU of an order in the processes of its cell, in the order in which it passes them."""
REDIS_US = 95
BURST = 300
"""Orders that the exchange takes of an account in 10 s, which a market move spends at once."""
SPREAD_S = 1.0
CELLS = (1, 10, 25, 50, 100, 250)


def delays(cells: int, burst: int, seed: int = 1) -> list[float]:
    """How long each order is under way, in seconds, ascending; all cells share one Redis."""
    chance = random.Random(seed)
    ready = sorted(_left_risk(cells, burst, chance))
    free_s, orders_free = 0.0, [0.0] * cells
    took = []
    for at_s, cell, asked_s in ready:
        free_s = max(free_s, at_s) + REDIS_US / 1e6
        orders_free[cell] = max(orders_free[cell], free_s) + STAGES_US["orders"] / 1e6
        took.append(orders_free[cell] - asked_s)
    return sorted(took)


def _left_risk(cells: int, burst: int, chance: random.Random) -> Iterator[tuple[float, int, float]]:
    """(when, cell, when it was asked for) of each order that risk has approved."""
    for cell in range(cells):
        free_s = 0.0
        for asked_s in sorted(chance.uniform(0, SPREAD_S) for _ in range(burst)):
            free_s = max(free_s, asked_s) + STAGES_US["risk"] / 1e6
            yield free_s, cell, asked_s


def main() -> None:
    """Print the last and the median order's delay by the number of cells."""
    options = argparse.ArgumentParser(prog="scaling")
    options.add_argument("--burst", type=int, default=BURST, help="orders a cell within one second")
    burst = options.parse_args().burst
    print(f"cells  median  last   (s; {burst} orders a cell within {SPREAD_S:g} s)")
    for cells in CELLS:
        took = delays(cells, burst)
        print(f"{cells:5}  {took[len(took) // 2]:6.3f}  {took[-1]:.3f}")


if __name__ == "__main__":
    main()
