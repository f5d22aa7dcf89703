"""Connecting to the venue's sockets: one way to open, one way to wait before the next try.

Used by the trading socket and the user stream.
"""

import asyncio
import random
from collections.abc import Callable

from picows import WSError, WSListener, WSTransport, ws_connect

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
"""A handshake costs 5 weight: at this pace at most 30 of 2,400 a minute."""
PING_IDLE_S = 5.0
PONG_WITHIN_S = 5.0


class Backoff:
    """Doubling pauses, shortened at random so that many clients do not come back together."""

    def __init__(self) -> None:
        self._pause_s = FIRST_PAUSE_S

    def reset(self) -> None:
        """The connection was good: begin anew."""
        self._pause_s = FIRST_PAUSE_S

    async def wait(self) -> None:
        """Pause before the next try."""
        await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)


async def connect(listener: Callable[[], WSListener], url: str) -> WSTransport:
    """Open a socket that notices a silent peer by pings. Raises OSError (a refused handshake too) or TimeoutError."""
    try:
        transport, _ = await ws_connect(
            listener,
            url,
            enable_auto_ping=True,
            auto_ping_idle_timeout=PING_IDLE_S,
            auto_ping_reply_timeout=PONG_WITHIN_S,
        )
    except WSError as error:
        raise ConnectionError(f"{url.partition('?')[0]}: {error}") from None
    return transport
