"""What readers are shown of a chase: its item, its events, its results.

Owns the mapping from state to the public contract. Never decides.
"""

from typing import Any

import msgspec

from pms_algos.domain.chase_state import Chase
from pms_common.contracts.account import AccountSnapshot
from pms_common.contracts.algos import AlgoStatus, ChaseItem
from pms_common.contracts.events.chase import ChaseCancelled, ChaseEvent, ChaseFilled, ChaseProgress
from pms_common.contracts.results_algos import ChaseChanged

Quote = tuple[float | None, float | None]

decode_account = msgspec.json.Decoder(AccountSnapshot).decode
"""The part of an account's snapshot that events carry."""


def status(chase: Chase) -> AlgoStatus:
    """Where a chase stands."""
    if chase.ended:
        return "ended"
    if chase.ending is not None:
        return "stopping"
    return "active" if chase.answered else "starting"


def item(chase: Chase, quote: Quote) -> ChaseItem:
    """A chase's line of the active list."""
    plan = chase.plan
    return ChaseItem(
        chase_id=plan.algo_id,
        symbol=plan.symbol,
        side=plan.side,
        quantity=plan.quantity,
        filled_qty=chase.total_executed,
        leverage=int(plan.leverage),
        stalk_offset_pct=plan.offset_pct,
        stalk_offset_ticks=plan.offset_ticks,
        stalk_mode=plan.mode,
        max_distance_pct=plan.max_distance_pct,
        min_interval_ms=plan.min_interval_ms,
        reduce_only=plan.reduce_only,
        post_only=plan.post_only,
        current_order_price=chase.child.price,
        initial_price=plan.anchor,
        bid=quote[0],
        ask=quote[1],
        reprice_count=chase.reprices,
        status=status(chase),
        parent_scalper_id=None,
        started_at_ms=plan.started_ms,
    )


def progress(
    chase: Chase, quote: Quote, client_order_id: str | None, account: AccountSnapshot | None, now_ms: int
) -> ChaseProgress:
    """The event that tells where a chase stands."""
    plan = chase.plan
    return ChaseProgress(
        sub_account_id=plan.account_id,
        timestamp_ms=now_ms,
        client_order_id=client_order_id,
        account=account,
        chase_id=plan.algo_id,
        symbol=plan.symbol,
        side=plan.side,
        quantity=plan.quantity,
        filled_qty=chase.total_executed,
        reprice_count=chase.reprices,
        parent_scalper_id=None,
        status=status(chase),
        stalk_offset_pct=plan.offset_pct,
        stalk_mode=plan.mode,
        max_distance_pct=plan.max_distance_pct,
        current_order_price=chase.child.price,
        initial_price=plan.anchor,
        bid=quote[0],
        ask=quote[1],
    )


def end(chase: Chase, client_order_id: str | None, account: AccountSnapshot | None, now_ms: int) -> ChaseEvent:
    """The event that tells how a chase ended."""
    plan, outcome = chase.plan, chase.outcome
    common: dict[str, Any] = {
        "sub_account_id": plan.account_id,
        "timestamp_ms": now_ms,
        "client_order_id": client_order_id,
        "account": account,
        "chase_id": plan.algo_id,
        "symbol": plan.symbol,
        "side": plan.side,
        "quantity": plan.quantity,
        "filled_qty": chase.total_executed,
        "reprice_count": chase.reprices,
        "parent_scalper_id": None,
    }
    if outcome == "filled":
        assert chase.fill_price is not None
        return ChaseFilled(**common, fill_price=chase.fill_price)
    assert outcome is not None
    return ChaseCancelled(**common, reason=outcome)


def changed(chase: Chase, request_id: str, warnings: tuple[str, ...]) -> ChaseChanged:
    """The answer to a cancel."""
    return ChaseChanged(
        request_id=request_id,
        warnings=warnings or None,
        chase_id=chase.plan.algo_id,
        symbol=chase.plan.symbol,
        side=chase.plan.side,
        status=status(chase),
        filled_qty=chase.total_executed,
    )
