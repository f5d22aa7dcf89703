"""The trading socket: orders, amendments and cancels over the venue's WebSocket API.

Owns the connection, the requests in flight and what becomes of them: an answer, or nobody's answer. Requests of one
turn of the event loop leave in one write. With an Ed25519 key the connection logs on, so that its requests need no
signature of their own. Never decides what an answer means and never sends a request again. Used by `Transport`; the
outcomes hear through the callbacks.
"""

import asyncio
import itertools
import time
from collections import OrderedDict

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from pms_common import metrics
from pms_common.clock import monotonic_ms
from pms_common.logging import get_logger
from pms_orders.adapters.binance import trading_wire, wire
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.connecting import Backoff, connect
from pms_orders.adapters.binance.frames import client_frame
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.trading_requests import logon_request, socket_request
from pms_orders.adapters.binance.transport import Answered, Lost, Sent, Up
from pms_orders.domain.errors import VenueError
from pms_orders.domain.order import Flight, Operation, OrderState
from pms_orders.domain.rate import Budget

log = get_logger(__name__)

ANSWER_WITHIN_S = 3.0
"""The venue answers in milliseconds; what takes longer than this is treated as lost, and still heard if it comes."""
MAX_LATE = 10_000
MAX_IN_FLIGHT = 2_000
"""More would be a peer that does not answer: at 5,000 orders a second this is what 400 ms hold."""
HANDSHAKE_WEIGHT = 5
LOGON_WEIGHT = 2
WEIGHT_POLL_S = 0.1
CLOSE_WITHIN_S = 1.0
GOOD_S = 10.0
"""A connection that lasted so long, or brought an answer, was good: the next is made at once."""

_answers = metrics.counter("exchange_answers", "Answers of the trading API", ["operation", "outcome"])
_accepted = {operation: _answers.labels(operation, "accepted") for operation in Operation}


class TradingSocket(WSListener):
    """One connection to the WebSocket API, made again when it breaks. Spawn `run`."""

    def __init__(
        self,
        url: str,
        signer: Signer,
        clock: VenueClock,
        budget: Budget,
        answered: Answered,
        lost: Lost,
    ) -> None:
        self._url = url
        self._signer = signer
        self._clock = clock
        self._budget = budget
        self._answered, self._lost = answered, lost
        self.up: Up = lambda _ok, _why: None
        """Told that it has come or gone, and why."""
        self._transport: WSTransport | None = None
        self._ids = itertools.count(1)
        self._waiting: OrderedDict[int, Sent] = OrderedDict()
        self._late: OrderedDict[int, Sent] = OrderedDict()
        self._frames: list[bytes] = []
        self._defect: Exception | None = None
        self._closing = False
        self._logon_id = 0
        self._named = False
        self._heard_s = 0.0

    @property
    def connected(self) -> bool:
        """Whether requests can be sent."""
        return self._transport is not None

    @property
    def in_flight(self) -> int:
        """Requests that are not answered."""
        return len(self._waiting)

    def room(self, _operation: Operation) -> int:
        """A write takes all there is; while the peer does not read, nothing."""
        return MAX_IN_FLIGHT - len(self._waiting)

    # -- sending

    def send(self, operation: Operation, order: OrderState, flight: Flight) -> None:
        """Sign the order's next request and put it with those that leave at the next `flush`."""
        request_id = next(self._ids)
        self._waiting[request_id] = Sent(operation, order, flight, time.monotonic())
        stamp_ms = self._clock.stamp_ms()
        self._frames.append(
            socket_request(self._signer, request_id, operation, order, flight, stamp_ms, named=self._named)
        )

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
        if self._signer.logs_on:
            self._logon_id = next(self._ids)
            self._budget.weight.take(monotonic_ms(), LOGON_WEIGHT)
            transport.send(WSMsgType.TEXT, logon_request(self._signer, self._logon_id, self._clock.now_ms()))
        self.up(True, "")

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
        self._named = False
        self._frames.clear()
        if self._closing:
            return
        waiting = list(self._waiting.values())
        self._waiting.clear()
        self.up(False, "the trading socket is disconnected")
        for sent in waiting:
            _answers.labels(sent.operation, "lost").inc()
            self._lost(sent)

    def _hear(self, payload: bytes) -> None:
        self._heard_s = time.monotonic()
        try:
            answer = trading_wire.trading_answer.decode(payload)
        except wire.UNREADABLE as error:  # whose answer it was is not known: that request times out and is asked about
            log.error("trading_answer_unreadable", error=str(error), payload=payload[:500])
            return
        at_ms = monotonic_ms()
        for limit in answer.rate_limits:
            self._budget.told(limit.rate_limit_type, limit.span_ms, limit.count, at_ms)
        request_id = answer.id if isinstance(answer.id, int) else -1
        if request_id == self._logon_id:
            self._logged_on(answer)
            return
        sent = self._waiting.pop(request_id, None) or self._late.pop(request_id, None)
        if sent is None:
            log.error("trading_answer_to_nothing", id=answer.id, status=answer.status, error=str(answer.error))
            return
        if answer.status == 200 and answer.result is not None and answer.result.order_id:
            _accepted[sent.operation].inc()
            self._answered(sent, answer.result.order_id, None)
            return
        body = answer.error or trading_wire.ErrorBody()
        refusal = VenueError(answer.status, body.code, body.msg, body.wait_ms)
        _answers.labels(sent.operation, str(body.code)).inc()
        self._answered(sent, 0, refusal)

    def _logged_on(self, answer: trading_wire.TradingAnswer) -> None:
        """Until this, and where it is refused, each request carries key and signature: nothing waits for it."""
        self._named = answer.status == 200
        if not self._named:
            log.error("session_logon_refused", status=answer.status, error=str(answer.error))

    # -- living

    def give_up_old(self) -> None:
        """Requests without an answer for too long are lost; their answer, should it come, is still heard.

        A socket that has said nothing since is given up with them: the next requests go another way.
        """
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
            if sent.at_s > self._heard_s and self._transport is not None:
                log.warning("trading_socket_silent")
                self._transport.disconnect(graceful=False)

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
            while not self._budget.admits_line(HANDSHAKE_WEIGHT, monotonic_ms()):  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(WEIGHT_POLL_S)
            self._budget.weight.take(monotonic_ms(), HANDSHAKE_WEIGHT)
            try:
                transport = await connect(lambda: self, self._url)
            except OSError as error:
                self.up(False, str(error))
            else:
                began_s = time.monotonic()
                await self._until_disconnected(transport)
                if self._heard_s >= began_s or time.monotonic() - began_s > GOOD_S:
                    backoff.reset()
            await backoff.wait()

    async def _until_disconnected(self, transport: WSTransport) -> None:
        try:
            await transport.wait_disconnected()
        finally:
            transport.disconnect(graceful=False)
        if self._defect is not None:
            raise self._defect
