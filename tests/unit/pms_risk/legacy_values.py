"""Numbers of the recorded vectors: doubles as they were printed, compared as closely as doubles can be."""

from decimal import Decimal
from typing import Any

import pytest

Json = dict[str, Any]


def dec(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def signed(position: Json) -> tuple[Decimal, Decimal]:
    quantity = dec(position.get("quantity") or position.get("qty"))
    quantity = quantity if position["side"] == "LONG" else -quantity
    return quantity, quantity * dec(position["entryPrice"] if "entryPrice" in position else position["entry"])


def close_to(value: Decimal | None, expected: Any, tol: float = 1e-9) -> bool:
    if expected is None or value is None:
        return expected is None and value is None
    return float(value) == pytest.approx(float(expected), rel=max(tol, 1e-12), abs=max(tol, 1e-9))
