"""Division of a whole among holders in proportion, so that the parts add up to exactly the whole.

Method: largest remainder (Hamilton) in whole units; a tie goes to the name that sorts first, so that a replay divides
alike. Used by `forced` (quantities, commissions) and `flows` (liquidation fees).
"""

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal

from pms_common.decimals import ZERO


def divide(whole: Decimal, weights: Mapping[str, Decimal], unit: Decimal) -> dict[str, Decimal]:
    """`whole`, of either sign, by positive weights; names that get nothing are left out.

    Where it is no multiple of `unit`, in units of its own last digit.
    """
    total = sum(weights.values(), ZERO)
    if not total:
        return {}
    if whole % unit:
        unit = Decimal((0, (1,), int(whole.as_tuple().exponent)))
    units = abs(whole) / unit
    quotas = {name: units * weight / total for name, weight in weights.items()}
    counts = {name: quota.to_integral_value(ROUND_FLOOR) for name, quota in quotas.items()}
    left = int(units - sum(counts.values(), ZERO))
    for name in sorted(quotas, key=lambda name: (counts[name] - quotas[name], name))[:left]:
        counts[name] += 1
    sign = 1 if whole > 0 else -1
    return {name: sign * count * unit for name, count in counts.items() if count}
