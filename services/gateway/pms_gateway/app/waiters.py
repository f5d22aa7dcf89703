"""Callers that wait for the end of a request.

Owns the waiting futures, bounded. Never asks twice: a request's end is what its owner tells on its updates stream.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MAX_WAITING = 10_000
GRACE_S = 3.0
"""For results of what was sent before a stop: less than the door's own time to close."""


class GivenUp(Exception):
    """Nobody will tell the result here any more: the gateway is stopping."""


class TooManyWaiting(Exception):
    """As many callers wait as are allowed."""


class Waiters:
    """Futures by request id; two accounts may use the same id, and commands of two owners."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._waiting: dict[str, list[tuple[str, str, asyncio.Future[bytes]]]] = {}
        self._count = 0
        self._max = max_waiting
        self.on_waiting: Callable[[], None] = lambda: None
        """Hears of each that begins to wait."""

    def __len__(self) -> int:
        """Callers that wait."""
        return self._count

    @contextmanager
    def expect(self, request_id: str, account_id: str = "", command: str = "") -> Iterator[asyncio.Future[bytes]]:
        """A future of the result of `request_id`; `account_id` is what the caller gave, or empty.

        Raises TooManyWaiting; the future raises GivenUp.
        """
        if self._count >= self._max:
            raise TooManyWaiting
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        waiter = (account_id, command, future)
        self._waiting.setdefault(request_id, []).append(waiter)
        self._count += 1
        self.on_waiting()
        try:
            yield future
        finally:
            self._count -= 1
            self._waiting[request_id].remove(waiter)
            if not self._waiting[request_id]:
                del self._waiting[request_id]

    def done(self, request_id: str, account_id: str, command: str, body: bytes) -> None:
        """A request has ended: hand the result to those who wait for it."""
        for wanted, asked, future in self._waiting.get(request_id, ()):
            of_account = not wanted or not account_id or wanted == account_id
            if of_account and asked == command and not future.done():
                future.set_result(body)

    async def until(self, stopping: asyncio.Event) -> None:
        """Wait for the stop; those who then wait still have a moment for their results, and hear that none comes."""
        await stopping.wait()
        await asyncio.sleep(GRACE_S)
        for waiting in self._waiting.values():
            for _, _, future in waiting:
                if not future.done():
                    future.set_exception(GivenUp)
