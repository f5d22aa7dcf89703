"""Quantities of commands put on the exchange's grid.

Owns that senders do not round (JS divides an amount by a price), so a quantity is rounded down to the step, and that
they are told. Used by the command handlers.
"""

from decimal import Decimal
from typing import NamedTuple

from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.decimals import floor_to


class Sized(NamedTuple):
    """A quantity on the grid, with what is to be said about it."""

    quantity: Decimal
    warnings: tuple[str, ...] = ()


def sized(quantity: Decimal, step: Decimal) -> Sized:
    """Round down to the step. Raises FILTER_QUANTITY where nothing is left."""
    floored = floor_to(quantity, step)
    if floored == quantity:
        return Sized(quantity)
    if not floored:
        raise CommandError(ErrorCode.FILTER_QUANTITY, f"quantity is below the step of {step}", field="quantity")
    return Sized(floored, (f"quantity was rounded down to {floored:f}",))
