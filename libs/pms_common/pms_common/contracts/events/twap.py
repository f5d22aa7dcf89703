"""Events of the TWAP and of the basket TWAP, made by algos. Sizes are USDT, quantities base coin."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pms_common.contracts.algos import AlgoStatus, LotError, TwapBasketLegItem
from pms_common.contracts.base import Side
from pms_common.contracts.events.base import AlgoEvent

TwapEndReason = Literal["cancelled", "error", "risk"]


class TwapEvent(AlgoEvent, frozen=True, kw_only=True):
    """What every TWAP event tells."""

    twap_id: str
    symbol: str
    side: Side
    filled_lots: int
    total_lots: int
    filled_size: Decimal
    total_size: Decimal | None
    filled_qty: Decimal
    total_qty: Decimal | None


class TwapProgress(TwapEvent, frozen=True, kw_only=True, tag="twap_progress"):
    """A lot has ended, or was put off because of `priceLimit` (`skipped`)."""

    status: AlgoStatus
    last_lot_success: bool | None = None
    last_lot_type: Literal["limit", "market"] | None = None
    skipped: bool | None = None
    skipped_ticks: int | None = None
    current_price: Decimal | None = None
    price_limit: Decimal | None = None


class TwapCompleted(TwapEvent, frozen=True, kw_only=True, tag="twap_completed"):
    """All lots have ended."""

    errors: tuple[LotError, ...]


class TwapCancelled(TwapEvent, frozen=True, kw_only=True, tag="twap_cancelled"):
    """Ended early."""

    reason: TwapEndReason
    errors: tuple[LotError, ...]


class TwapBasketEvent(AlgoEvent, frozen=True, kw_only=True):
    """What every basket TWAP event tells."""

    twap_basket_id: str
    basket_name: str
    filled_lots: int
    total_lots: int
    legs: tuple[TwapBasketLegItem, ...]


class TwapBasketProgress(TwapBasketEvent, frozen=True, kw_only=True, tag="twap_basket_progress"):
    """A lot of all legs has ended."""

    status: AlgoStatus


class TwapBasketCompleted(TwapBasketEvent, frozen=True, kw_only=True, tag="twap_basket_completed"):
    """All lots have ended."""

    errors: tuple[LotError, ...]


class TwapBasketCancelled(TwapBasketEvent, frozen=True, kw_only=True, tag="twap_basket_cancelled"):
    """Ended early."""

    reason: TwapEndReason
    errors: tuple[LotError, ...]
