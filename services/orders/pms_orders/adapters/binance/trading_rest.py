"""Orders, amendments and cancels over REST: what the trading socket's absence leaves, and batches.

Owns a warm pool of connections and what becomes of each request: an answer, proof that it never left, or nobody's
answer. Takes no more than there are connections, so that nothing waits once it is signed. Never sends a request again;
an amendment or cancel that meets a connection closed by the venue is repeated once by the HTTP library, which changes
nothing. Used by `Transport`.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence

import aiohttp
from yarl import URL

from pms_common import metrics
from pms_common.clock import monotonic_ms, now_ms
from pms_common.logging import get_logger
from pms_orders.adapters.binance import trading_wire, wire
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.rest_answers import note_counts, read_error
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.trading_requests import rest_request
from pms_orders.adapters.binance.transport import Answered, Lost, Sent, Up
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import Flight, Operation, OrderState
from pms_orders.domain.rate import Budget

log = get_logger(__name__)

ANSWER_WITHIN_S = 3.0
CONNECTIONS = {Operation.PLACE: 10, Operation.AMEND: 5, Operation.CANCEL: 10}
"""At once, of each kind: orders that take long do not keep cancels waiting."""
KEEP_WARM_S = 15.0
"""The venue closes what idles longer than a minute; a new connection costs two to three round trips."""
RETRY_S = 1.0
CLOSE_WITHIN_S = 1.0
NOT_SENT = VenueError(503, 0, "Service Unavailable: no connection to the exchange")
"""Nothing was written: the class of the venue's own certain failure."""

_answers = metrics.counter("exchange_rest_answers", "Answers of the trading API over REST", ["operation", "outcome"])


class TradingRest:
    """The venue's order routes. Spawn `run`."""

    def __init__(
        self, url: str, signer: Signer, clock: VenueClock, budget: Budget, answered: Answered, lost: Lost
    ) -> None:
        self._url = url.rstrip("/")
        self._signer = signer
        self._clock = clock
        self._budget = budget
        self._answered, self._lost = answered, lost
        self.up: Up = lambda _ok, _why: None
        """Told that it has come or gone, and why."""
        self._flying = dict.fromkeys(Operation, 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._look = asyncio.Event()
        self._defect: BaseException | None = None
        self.connected = True
        """Whether REST answers, as far as is known."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S),
            headers={"X-MBX-APIKEY": signer.api_key},
            connector=aiohttp.TCPConnector(limit=sum(CONNECTIONS.values()) + 1, keepalive_timeout=4 * KEEP_WARM_S),
        )

    @property
    def in_flight(self) -> int:
        """Requests that are not answered."""
        return len(self._tasks)

    def room(self, operation: Operation) -> int:
        """How many requests of this kind find a connection."""
        return CONNECTIONS[operation] - self._flying[operation]

    def send(self, operation: Operation, order: OrderState, flight: Flight) -> None:
        """Sign one request and send it."""
        self._begin([Sent(operation, order, flight, time.monotonic())])

    def send_batch(self, operation: Operation, orders: Sequence[OrderState]) -> None:
        """Sign several requests of one operation (cancels: of one symbol) as one and send it."""
        now_s = time.monotonic()
        self._begin([Sent(operation, order, order.flight, now_s) for order in orders if order.flight is not None])

    def flush(self) -> None:
        """Nothing is gathered here."""

    def _begin(self, requests: list[Sent]) -> None:
        operation = requests[0].operation
        verb, path = rest_request(self._signer, requests, self._clock.stamp_ms())
        self._flying[operation] += 1
        task = asyncio.get_running_loop().create_task(self._carry(requests, verb, path))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            self._defect = defect
            self._look.set()

    async def _carry(self, requests: list[Sent], verb: str, path: str) -> None:
        operation = requests[0].operation
        try:
            url = URL(self._url + path, encoded=True)
            async with self._session.request(verb, url, allow_redirects=False) as response:
                body = await response.read()
        except aiohttp.ClientConnectorError as error:
            self._break(str(error))
            if operation is Operation.PLACE:
                self._answer_all(requests, NOT_SENT)
            else:  # it may have been the repetition that found no connection
                self._lose(requests)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("trading_rest_lost", operation=operation, error=type(error).__name__, requests=len(requests))
            self._lose(requests)
        else:
            note_counts(response.headers, self._budget)
            if response.status == 200:
                self._hear(requests, body)
            else:
                self._answer_all(requests, read_error(response.status, body, response.headers, now_ms()))
        finally:
            self._flying[operation] -= 1

    def _hear(self, requests: list[Sent], body: bytes) -> None:
        try:
            items = (
                [trading_wire.trading_item.decode(body)]
                if len(requests) == 1
                else trading_wire.trading_items.decode(body)
            )
        except wire.UNREADABLE as error:
            log.error("trading_answer_unreadable", error=str(error), payload=body[:500])
            self._lose(requests)
            return
        if any(item.name not in ("", sent.order.client_order_id) for sent, item in zip(requests, items, strict=False)):
            log.error("trading_answers_of_others", payload=body[:500])
            self._lose(requests)
            return
        for sent, item in zip(requests, items, strict=False):
            if item.code:
                self._answer(sent, 0, VenueError(400, item.code, item.msg))
            elif item.order_id:
                self._answer(sent, item.order_id, None)
            else:
                self._answer(sent, 0, VenueError(200, 0, "an answer without an order id"))
        self._lose(requests[len(items) :])

    def _answer_all(self, requests: list[Sent], error: VenueError) -> None:
        for sent in requests:
            self._answer(sent, 0, error)

    def _answer(self, sent: Sent, exchange_order_id: int, error: VenueError | None) -> None:
        outcome = "accepted" if error is None else str(error.code)
        _answers.labels(sent.operation, outcome).inc()
        self._answered(sent, exchange_order_id, error)

    def _lose(self, requests: list[Sent]) -> None:
        for sent in requests:
            _answers.labels(sent.operation, "lost").inc()
            self._lost(sent)

    # -- living

    def _break(self, why: str) -> None:
        if self.connected:
            log.warning("trading_rest_down", error=why)
            self.connected = False
            self.up(False, why)
            self._look.set()

    async def run(self) -> None:
        """Keep a connection warm, and find out when REST is back. Raises what a callback raised: a defect."""
        while True:
            self._look.clear()
            if self._defect is not None:
                raise self._defect
            if self._budget.admits_line(1, monotonic_ms()):
                self._budget.weight.take(monotonic_ms())
                await self._ping()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_WARM_S if self.connected else RETRY_S):
                    await self._look.wait()

    async def _ping(self) -> None:
        try:
            async with self._session.get(self._url + "/fapi/v1/ping") as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._break(f"{type(error).__name__} {error}")
            return
        note_counts(response.headers, self._budget)
        if not self.connected:
            self.connected = True
            self.up(True, "")

    async def close(self) -> None:
        """Wait shortly for answers, then close the pool. What is still in flight is asked for by the successor."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)
        await self._session.close()
