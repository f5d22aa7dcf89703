"""What trading over REST makes of answers, of silence, and of a venue that is not there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp import web
from tests.integration.pms_orders.desk import free_port
from tests.unit.pms_orders.orders import NOW, sent

from pms_common.clock import monotonic_ms
from pms_common.contracts.exchange_codes import Outcome
from pms_common.rate.window import Window
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.trading_rest import CONNECTIONS, TradingRest
from pms_orders.adapters.binance.transport import Sent
from pms_orders.domain.errors import VenueError, judge
from pms_orders.domain.order import Operation, OrderState, Terms, register
from pms_orders.domain.rate import Budget, Lane
from pms_orders.domain.reducer import depart

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Desk:
    """Hears a REST line."""

    def __init__(self, port: int) -> None:
        self.answers: dict[str, tuple[int, VenueError | None]] = {}
        self.lost: list[str] = []
        self.ups: list[bool] = []
        clock = VenueClock(lambda: NOW / 1000)
        clock._offset_ms = 0.0
        self.budget = Budget((Window(10_000, 300), Window(60_000, 1_200)), Window(60_000, 2_400))
        venue = (Signer("key", "secret"), clock, self.budget)
        self.line = TradingRest(f"http://127.0.0.1:{port}", *venue, self._answered, self._lost)
        self.line.up = lambda ok, _why: self.ups.append(ok)

    def _answered(self, request: Sent, exchange_order_id: int, error: VenueError | None) -> None:
        self.answers[request.order.client_order_id] = (exchange_order_id, error)

    def _lost(self, request: Sent) -> None:
        self.lost.append(request.order.client_order_id)

    async def send(self, *names: str) -> None:
        """Send placements, several as a batch, and wait for what becomes of them."""
        orders = [departed(name) for name in names]
        if len(orders) == 1 and orders[0].flight is not None:
            self.line.send(Operation.PLACE, orders[0], orders[0].flight)
        else:
            self.line.send_batch(Operation.PLACE, orders)
        async with asyncio.timeout(30):
            while not set(names) <= self.answers.keys() | set(self.lost):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


def departed(name: str) -> OrderState:
    order = register(sent(name).place, NOW)
    depart(order, Operation.PLACE, NOW)
    return order


@asynccontextmanager
async def desk_at(answer: Answer) -> AsyncIterator[Desk]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    desk = Desk(runner.addresses[0][1])
    try:
        yield desk
    finally:
        await desk.line.close()
        await runner.cleanup()


def says(body: bytes, status: int = 200, **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


async def test_each_of_a_batch_has_its_own_outcome_and_what_is_missing_is_lost() -> None:
    body = b'[{"orderId":7},{"code":-2019,"msg":"Margin is insufficient."},{}]'
    async with desk_at(says(body)) as desk:
        await desk.send("x1", "x2", "x3", "x4")
        assert desk.answers["x1"] == (7, None)
        refused, empty = desk.answers["x2"][1], desk.answers["x3"][1]
        assert refused is not None and judge(refused) is Outcome.NOT_EXECUTED
        assert empty is not None and judge(empty) is Outcome.UNKNOWN
        assert desk.lost == ["x4"]


async def test_an_error_answers_all_of_a_batch() -> None:
    async with desk_at(says(b'{"code":-1015,"msg":"Too many new orders"}', 429, Retry_After="7")) as desk:
        await desk.send("x1", "x2")
        for number, error in desk.answers.values():
            assert number == 0 and error is not None and (error.code, error.wait_ms) == (-1015, 7_000)


@pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b'{"orderId":"\xff"}'])
async def test_r02_an_answer_that_cannot_be_read_proves_nothing(body: bytes) -> None:
    async with desk_at(says(body)) as desk:
        await desk.send("x1")
        await desk.send("x2", "x3")
        assert desk.lost == ["x1", "x2", "x3"] and not desk.answers


async def test_r01_a_connection_that_breaks_under_a_placement_leaves_it_unknown_and_it_comes_once() -> None:
    came = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal came
        came += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with desk_at(answer) as desk:
        await desk.send("x1")
        assert (desk.lost, came, desk.line.connected) == (["x1"], 1, True)


async def test_a_venue_that_is_not_there_proves_that_nothing_was_sent() -> None:
    desk = Desk(free_port())
    await desk.send("x1")
    error = desk.answers["x1"][1]
    assert error is not None and judge(error) is Outcome.AGAIN
    assert not desk.line.connected and desk.ups == [False]
    await desk.line.close()


async def test_it_comes_back_by_itself() -> None:
    port = free_port()
    desk = Desk(port)
    running = asyncio.create_task(desk.line.run())
    async with asyncio.timeout(30):
        while desk.line.connected:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        runner = web.AppRunner(web.Application())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        while not desk.line.connected:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert desk.ups[-1]
    running.cancel()
    await desk.line.close()
    await runner.cleanup()


async def test_it_takes_no_more_than_there_are_connections_and_keeps_some_for_cancels() -> None:
    open_ = asyncio.Event()

    async def answer(_request: web.Request) -> web.Response:
        await open_.wait()
        return web.Response(body=b'{"orderId":7}')

    async with desk_at(answer) as desk:
        for number in range(CONNECTIONS[Operation.PLACE]):
            order = departed(f"x{number}")
            assert order.flight is not None and desk.line.room(Operation.PLACE) > 0
            desk.line.send(Operation.PLACE, order, order.flight)
        assert desk.line.room(Operation.PLACE) == 0 < desk.line.room(Operation.CANCEL)
        open_.set()
        async with asyncio.timeout(30):
            while desk.line.room(Operation.PLACE) < CONNECTIONS[Operation.PLACE]:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


async def test_what_the_venue_has_counted_is_taken_over() -> None:
    counts = {"X_MBX_ORDER_COUNT_10S": "250", "X_MBX_ORDER_COUNT_1M": "600", "X_MBX_USED_WEIGHT_1M": "1200"}
    async with desk_at(says(b'{"orderId":7}', **counts)) as desk:
        await desk.send("x1")
        assert desk.budget.room(Lane.NEW, monotonic_ms()) == 20
        assert not desk.budget.admits_query(601, monotonic_ms()) and desk.budget.admits_query(600, monotonic_ms())


async def test_a_redirection_is_not_followed_with_key_and_signature() -> None:
    went: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        went.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with desk_at(answer) as desk:
        await desk.send("x1")
        error = desk.answers["x1"][1]
        assert went == ["/fapi/v1/order"] and error is not None and judge(error) is Outcome.UNKNOWN


async def test_a_batch_whose_answers_are_of_other_orders_proves_nothing() -> None:
    body = b'[{"orderId":8,"clientOrderId":"x2"},{"orderId":7,"clientOrderId":"x1"},{"code":-2019,"msg":"Margin"}]'
    async with desk_at(says(body)) as desk:
        await desk.send("x1", "x2", "x3")
        assert desk.lost == ["x1", "x2", "x3"] and not desk.answers


async def test_r01_an_amendment_that_was_repeated_on_a_venue_that_has_gone_may_have_been_executed() -> None:
    """The HTTP library repeats what a connection took that breaks: that the second one fails proves nothing of the
    first.
    """
    came: list[str] = []
    runner: web.AppRunner

    async def answer(request: web.Request) -> web.Response:
        came.append(request.method)
        if request.method == "PUT":
            for site in list(runner.sites):
                await site.stop()
            assert request.transport is not None
            request.transport.abort()
        return web.Response(body=b'{"orderId":7}')

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    desk = Desk(runner.addresses[0][1])
    await desk.send("x1")
    order = sent("x2")
    order.wanted_amend = Terms(Decimal(101), Decimal(10))
    depart(order, Operation.AMEND, NOW)
    assert order.flight is not None
    desk.line.send(Operation.AMEND, order, order.flight)
    async with asyncio.timeout(30):
        while not desk.lost and "x2" not in desk.answers:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert came == ["POST", "PUT"] and desk.lost == ["x2"]
    await desk.line.close()
    await runner.cleanup()


async def test_what_is_still_unanswered_when_the_line_is_closed_is_told_as_lost() -> None:
    closed = asyncio.Event()

    async def answer(_request: web.Request) -> web.Response:
        await closed.wait()
        return web.Response(body=b'{"orderId":7}')

    async with desk_at(answer) as desk:
        sending = asyncio.create_task(desk.send("x1"))
        await asyncio.sleep(0.05)
        await desk.line.close()
        await sending
        closed.set()
        assert desk.lost == ["x1"]
