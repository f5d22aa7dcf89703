"""The exchange's mark prices, read where a setting has prices compared with them (`PMS_LIQUIDATION_MAX_MARK_GAP_PCT`).

Owns one socket to the stream of all of them, once a second and symbol. A mark goes out with its symbol's next tick, and
is never a price that anything is worth. Used by `main`.
"""

import asyncio
from collections.abc import Mapping

import msgspec

from pms_common.clock import now_ms
from pms_common.logging import get_logger
from pms_feed.app.frames import Answer
from pms_feed.app.market import Market
from pms_feed.app.session import Connect, Session
from pms_feed.app.wire import decode_marks

log = get_logger(__name__)

STREAMS = frozenset({"!markPrice@arr@1s"})
TURN_S = 0.05
WAIT_S = 1.0
"""Between two connections."""


class Marks:
    """Tells the markets their mark prices. Spawn `run`."""

    def __init__(self, connect: Connect, markets: Mapping[str, Market]) -> None:
        self._connect = connect
        self._markets = markets
        self._heard_ms = 0

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                why = await self._live()
            except (OSError, TimeoutError) as error:
                why = f"{type(error).__name__}: {error}"
            log.warning("marks_disconnected", why=why)
            await asyncio.sleep(WAIT_S)

    async def _live(self) -> str:
        """From a connection to its end; why it ended."""
        session = Session(self.on_text, lambda _session, _streams: None)
        await session.open(self._connect)
        try:
            while not (fault := session.turn(STREAMS, now_ms(), self._heard_ms)):
                await asyncio.wait((session.closed,), timeout=TURN_S)
            return fault
        finally:
            session.close("given up")

    def on_text(self, answer: Answer, payload: bytes) -> None:
        """One message: all mark prices, or the answer to the subscription."""
        try:
            frame = decode_marks(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("marks_garbage", error=str(error))
            return
        if frame.id is not None:
            answer(frame.id, frame.error is None and frame.code is None)
            return
        self._heard_ms = now_ms()
        for item in frame.data:
            market = self._markets.get(item.symbol)
            if market is not None:
                market.mark, market.mark_ms = item.mark, self._heard_ms
