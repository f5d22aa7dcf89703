"""The trading socket: orders, amendments and cancels over the venue's WebSocket API.

Owns the connection, the requests in flight and what becomes of them: an answer, or nobody's answer. Requests of one
turn of the event loop leave in one write. Never decides what an answer means and never sends a request again.
Used by the order manager, which hears through the callbacks.
"""

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from pms_common import metrics
from pms_common.logging import get_logger
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.connecting import Backoff, connect
from pms_orders.adapters.binance.frames import client_frame
from pms_orders.adapters.binance.signing import Signer, trading_request
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import Flight, Operation, OrderState

log = get_logger(__name__)

ANSWER_WITHIN_S = 3.0
"""The venue answers in milliseconds; what takes longer than this is treated as lost, and still heard if it comes."""
MAX_LATE = 10_000
CLOSE_WITHIN_S = 1.0

_answers = metrics.counter("exchange_answers", "Answers of the trading API", ["operation", "outcome"])
_accepted = {operation: _answers.labels(operation, "accepted") for operation in Operation}


class Sent(NamedTuple):
    """A request at the venue."""

    operation: Operation
    order: OrderState
    flight: Flight
    at_s: float = 0.0
    """When, by the monotonic clock."""


Answered = Callable[[Sent, int, VenueError | None], None]
"""Told (request, exchange order id, error): error None means accepted."""
Lost = Callable[[Sent], None]
Up = Callable[[bool, str], None]


class TradingSocket(WSListener):
    """One connection to the WebSocket API, made again when it breaks. Spawn `run`."""

    def __init__(
        self,
        url: str,
        signer: Signer,
        clock: VenueClock,
        *,
        answered: Answered,
        lost: Lost,
        up: Up,
    ) -> None:
        self._url = url
        self._signer = signer
        self._clock = clock
        self._answered, self._lost, self._up = answered, lost, up
        self._transport: WSTransport | None = None
        self._ids = itertools.count(1)
        self._waiting: OrderedDict[int, Sent] = OrderedDict()
        self._late: OrderedDict[int, Sent] = OrderedDict()
        self._frames: list[bytes] = []
        self._defect: Exception | None = None
        self._closing = False
        self.on_open: Callable[[], None] | None = None
        """Called when requests can be sent again."""

    @property
    def connected(self) -> bool:
        """Whether requests can be sent."""
        return self._transport is not None

    @property
    def in_flight(self) -> int:
        """Requests that are not answered."""
        return len(self._waiting)

    # -- sending

    def send(self, operation: Operation, order: OrderState, flight: Flight) -> None:
        """Sign the order's next request and put it with those that leave at the next `flush`."""
        request_id = next(self._ids)
        self._waiting[request_id] = Sent(operation, order, flight, time.monotonic())
        self._frames.append(trading_request(self._signer, request_id, operation, order, flight, self._clock.now_ms()))

    def flush(self) -> None:
        """Write what `send` has gathered, in one system call."""
        frames, self._frames = self._frames, []
        transport = self._transport
        if transport is None or not frames:
            return
        if len(frames) == 1:
            transport.send(WSMsgType.TEXT, frames[0])
        else:
            transport.underlying_transport.write(b"".join([client_frame(frame) for frame in frames]))

    # -- hearing

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._up(True, "")
        if self.on_open is not None:
            self.on_open()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type is WSMsgType.TEXT:
            try:
                self._hear(frame.get_payload_as_bytes())
            except Exception as defect:  # the transport would only log it: `run` raises it
                self._defect = defect
                raise

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._transport = None
        self._frames.clear()
        if self._closing:
            return
        waiting = list(self._waiting.values())
        self._waiting.clear()
        self._up(False, "the trading socket is disconnected")
        for sent in waiting:
            _answers.labels(sent.operation, "lost").inc()
            self._lost(sent)

    def _hear(self, payload: bytes) -> None:
        try:
            answer = wire.trading_answer.decode(payload)
        except wire.UNREADABLE as error:  # whose answer it was is not known: that request times out and is asked about
            log.error("trading_answer_unreadable", error=str(error), payload=payload[:500])
            return
        request_id = answer.id if isinstance(answer.id, int) else -1
        sent = self._waiting.pop(request_id, None) or self._late.pop(request_id, None)
        if sent is None:
            log.error("trading_answer_to_nothing", id=answer.id, status=answer.status, error=str(answer.error))
            return
        if answer.status == 200 and answer.result is not None and answer.result.order_id:
            _accepted[sent.operation].inc()
            self._answered(sent, answer.result.order_id, None)
            return
        body = answer.error or wire.ErrorBody()
        retry_at = (body.data or {}).get("retryAfter")
        refusal = VenueError(answer.status, body.code, body.msg, retry_at if isinstance(retry_at, int) else None)
        _answers.labels(sent.operation, str(body.code)).inc()
        self._answered(sent, 0, refusal)

    # -- living

    def give_up_old(self) -> None:
        """Requests without an answer for too long are lost; their answer, should it come, is still heard."""
        sent_before_s = time.monotonic() - ANSWER_WITHIN_S
        while self._waiting:
            request_id, sent = next(iter(self._waiting.items()))
            if sent.at_s > sent_before_s:
                return
            del self._waiting[request_id]
            self._late[request_id] = sent
            if len(self._late) > MAX_LATE:
                self._late.popitem(last=False)
            _answers.labels(sent.operation, "timeout").inc()
            self._lost(sent)

    async def close(self) -> None:
        """Wait shortly for answers, then disconnect for good. What is still in flight is asked for by the successor."""
        self._closing = True
        deadline = time.monotonic() + CLOSE_WITHIN_S
        while self._waiting and self._transport is not None and time.monotonic() < deadline:  # noqa: ASYNC110 (bounded)
            await asyncio.sleep(0.01)
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    async def run(self) -> None:
        """Keep connected until cancelled. Raises what a callback raised: a defect, which must stop the service."""
        backoff = Backoff()
        while not self._closing:
            try:
                transport = await connect(lambda: self, self._url)
            except OSError as error:
                self._up(False, str(error))
            else:
                backoff.reset()
                await self._until_disconnected(transport)
            await backoff.wait()

    async def _until_disconnected(self, transport: WSTransport) -> None:
        try:
            await transport.wait_disconnected()
        finally:
            transport.disconnect(graceful=False)
        if self._defect is not None:
            raise self._defect
