"""The demo's algos beside the chase: a TWAP, a scalper and a trailing stop, each until something has come of it.

Owns these steps and how long each is waited for. Used by the session.
"""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

if TYPE_CHECKING:
    from pms_cli.demo.session import Session

WITHIN_S = 12.0
CALLBACK_PCT = 0.01
"""So little that an ordinary move of the market fires the stop."""


async def spread_over_time(session: "Session") -> None:
    """Bob sells in lots, and cancels what is left after a few."""
    twap = await session.order("twap", session.bob, "SELL", "0.02", lots=20, durationMinutes=1)
    twap_id = twap["twapId"]
    await _event_of(session, "twap_progress", lambda e: e["twapId"] == twap_id and e["filledLots"] >= 2)
    ended = await session.send("twap_cancel", twapId=twap_id)
    session.tell(f"bob spreads a sale of 0.02 over a minute: {ended['filledLots']} of 20 lots, then cancels the rest")


async def scalp(session: "Session") -> None:
    """Alice has two layers on both sides of the market, and closes what they opened."""
    result = await session.send(
        "scalper",
        subAccountId=session.alice,
        symbol=session.symbol,
        startSide="LONG",
        leverage=10,
        layers=2,
        baseOffsetPct=0,
        quantity="0.004",
    )
    scalper_id = result["scalperId"]
    fill = await _event_of(session, "scalper_filled", lambda e: e["scalperId"] == scalper_id)
    ended = await session.send("scalper_cancel", scalperId=scalper_id, closePositions=True)
    what = f"its first fill at {fill['fillPrice']}" if fill is not None else "no fill came"
    closed = "and closes what it opened" if ended["closedPositions"] else "with nothing left open"
    session.tell(f"alice scalps with two layers a side: {what}; she ends it {closed}")


async def trail(session: "Session") -> None:
    """Alice's short is closed when the price comes back."""
    held = await session.position(session.alice)
    for _ in range(100):  # the snapshot follows the flip within a quarter of a second
        if held["side"] == "SHORT":
            break
        await asyncio.sleep(0.05)
        held = await session.position(session.alice)
    stop = await session.send("trail_stop", positionId=held["id"], callbackPct=CALLBACK_PCT)
    stop_id = stop["trailStopId"]
    event = await _event_of(session, "trail_stop_triggered", lambda e: e["trailStopId"] == stop_id)
    if event is not None:
        session.tell(f"alice's trailing stop fires at {event['triggeredPrice']} and closes her short")
        return
    await session.send("trail_stop_cancel", trailStopId=stop_id)
    session.tell("the market gave alice's trailing stop no reason to fire; she removes it")


async def _event_of(session: "Session", type_: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """The first wanted event since the beginning of the demo, or None where it does not come in time."""
    stream, last = session.place.names.events, "0"
    async with Redis.from_url(session.place.redis, decode_responses=True) as client:
        try:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    reply: Any = await client.xread({stream: last}, block=200)
                    for entry_id, fields in reply[0][1] if reply else ():
                        event: dict[str, Any] = json.loads(fields["data"])
                        if event["type"] == type_ and wanted(event):
                            return event
                        last = entry_id
        except TimeoutError:
            return None
