"""R-02: what the trading socket takes for an acceptance, and what it makes of answers it cannot read."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from picows import WSMsgType
from tests.unit.pms_orders.orders import NOW, sent

from pms_common.contracts.exchange_codes import Outcome
from pms_common.rate.window import Window
from pms_orders.adapters.binance import trading_socket
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.connecting import Backoff
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.trading_socket import ANSWER_WITHIN_S, TradingSocket
from pms_orders.adapters.binance.transport import Sent
from pms_orders.domain.errors import VenueError, judge
from pms_orders.domain.order import Flight, Operation
from pms_orders.domain.rate import Budget


class Desk:
    """Hears a trading socket."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, VenueError | None]] = []
        self.losses: list[Sent] = []
        clock = VenueClock(lambda: NOW / 1000)
        clock._offset_ms = 0.0
        self.budget = Budget((Window(10_000, 300),), Window(60_000, 2_400))
        venue = (Signer("key", "secret"), clock, self.budget)
        self.socket = TradingSocket("ws://127.0.0.1", *venue, self._answered, self.losses.append)

    def _answered(self, _sent: Sent, exchange_order_id: int, error: VenueError | None) -> None:
        self.answers.append((exchange_order_id, error))

    def send(self) -> None:
        self.socket.send(Operation.PLACE, sent(), Flight(Operation.PLACE, NOW))

    def hear(self, payload: bytes) -> None:
        frame: Any = SimpleNamespace(msg_type=WSMsgType.TEXT, get_payload_as_bytes=lambda: payload)
        transport: Any = None
        self.socket.on_ws_frame(transport, frame)


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.send()
    return made


def test_an_acceptance_names_the_order(desk: Desk) -> None:
    desk.hear(b'{"id":1,"status":200,"result":{"orderId":7}}')
    assert desk.answers == [(7, None)]


@pytest.mark.parametrize("result", [{}, None, {"orderId": 0}])
def test_r02_a_success_without_an_order_id_proves_nothing(desk: Desk, result: Any) -> None:
    desk.hear(json.dumps({"id": 1, "status": 200, "result": result}).encode())
    ((exchange_order_id, error),) = desk.answers
    assert exchange_order_id == 0 and error is not None and judge(error) is Outcome.UNKNOWN


def test_r12_a_socket_that_says_nothing_is_given_up_with_its_request(desk: Desk) -> None:
    hung_up: list[bool] = []

    def hang_up(graceful: bool) -> None:
        hung_up.append(graceful)

    transport: Any = SimpleNamespace(send=lambda *_: None, disconnect=hang_up)
    desk.socket.on_ws_connected(transport)
    desk.socket.give_up_old()
    assert not desk.losses
    ((request_id, request),) = desk.socket._waiting.items()
    desk.socket._waiting[request_id] = request._replace(at_s=request.at_s - ANSWER_WITHIN_S - 1)
    desk.hear(b'{"id":99,"status":200}')
    desk.socket.give_up_old()
    assert len(desk.losses) == 1 and not hung_up  # it has said something since
    desk.send()
    ((request_id, request),) = desk.socket._waiting.items()
    desk.socket._waiting[request_id] = request._replace(at_s=request.at_s - ANSWER_WITHIN_S - 1)
    desk.socket._heard_s = 0.0
    desk.socket.give_up_old()
    assert len(desk.losses) == 2 and hung_up == [False]


@pytest.mark.parametrize("payload", [b"<html>", b'{"id":1,"status":400,"error":{"msg":"\xff"}}', b"[]", b'{"id":[]}'])
def test_an_answer_that_cannot_be_read_leaves_its_request_waiting(desk: Desk, payload: bytes) -> None:
    desk.hear(payload)
    assert not desk.answers and desk.socket.in_flight == 1


async def pauses_of(desk: Desk, monkeypatch: pytest.MonkeyPatch, answers: bool) -> list[float]:
    """The pauses between the first connections to a venue that ends each at once, after an answer or without."""
    pauses: list[float] = []

    class Ended:
        async def wait_disconnected(self) -> None:
            if answers:
                desk.hear(b'{"id":99,"status":200}')

        def disconnect(self, graceful: bool) -> None: ...

    async def connect(*_where: Any) -> Any:
        return Ended()

    async def wait(backoff: Backoff) -> None:
        pauses.append(backoff._pause_s)
        backoff._pause_s *= 2
        if len(pauses) == 5:
            desk.socket._closing = True

    monkeypatch.setattr(trading_socket, "connect", connect)
    monkeypatch.setattr(Backoff, "wait", wait)
    await desk.socket.run()
    return pauses


async def test_r25_a_venue_that_ends_each_connection_at_once_is_not_stormed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await pauses_of(desk, monkeypatch, answers=False) == [0.1, 0.2, 0.4, 0.8, 1.6]


async def test_a_connection_that_was_of_use_is_made_again_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await pauses_of(desk, monkeypatch, answers=True) == [0.1] * 5
