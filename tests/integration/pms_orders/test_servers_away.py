"""Servers that are away: the order service waits for them, and what changes orders does not shut out what ends them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.engine import make_url
from tests.integration.pms_orders.conftest import empty
from tests.integration.pms_orders.desk import Desk, Simulator
from tests.integration.pms_orders.rig import SERVICE, Rig
from tests.integration.pms_orders.test_journal import rows
from tests.unit.pms_orders.orders import place, trade

from pms_cli.embedded import free_port
from pms_common.bus.consumer import MAX_UNACKED
from pms_common.clock import now_ms
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.orders import CancelOrder, OrderUpdate
from pms_common.names import Names


class Line:
    """A line to the database that can be cut."""

    def __init__(self, database: str) -> None:
        self._far = make_url(database)
        self._port = free_port()
        self.url = self._far.set(host="127.0.0.1", port=self._port).render_as_string(hide_password=False)
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._far.host, self._far.port)
        self._ends |= {writer, far_writer}
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, target))
            self._tasks.add(task)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                target.write(data)
        target.close()


@pytest.fixture
async def line(database: str) -> AsyncIterator[Line]:
    made = Line(database)
    yield made
    await made.cut()


@pytest.fixture
async def far_desk(names: Names, redis_url: str, line: Line, exchange: dict[str, str]) -> AsyncIterator[Desk]:
    """An order service that is not started, with its database at the end of the line."""
    sim = Simulator(exchange)
    await sim.reset()
    made = Desk(names, redis_url, line.url, sim)
    yield made
    await made.stop()
    await sim.close()


async def test_a_database_that_is_down_at_start_is_waited_for(far_desk: Desk, line: Line) -> None:
    starting = asyncio.create_task(far_desk.start())
    await asyncio.sleep(4)
    assert not starting.done() and far_desk.process.running
    await line.mend()
    await starting


async def test_what_fills_the_changes_while_the_journal_is_away_shuts_no_cancel_out(far_desk: Desk, line: Line) -> None:
    await line.mend()
    await far_desk.start()
    order = await far_desk.place("r1")
    await far_desk.until_state(order, "active")
    await far_desk.drained()
    await line.cut()
    late = await far_desk.place("r2", price="60001.0")
    await far_desk.until_state(late, "active")
    stream = far_desk.names.changes("orders")
    pipe = far_desk.redis.pipeline(transaction=False)
    for n in range(MAX_UNACKED + 500):
        unknown = CancelOrder(client_order_id=f"u{n}", account_id=order.account_id, symbol=order.symbol)
        pipe.xadd(stream, {"data": encode(unknown)})
    await pipe.execute()
    async with asyncio.timeout(20):
        while (await far_desk.redis.xpending(stream, "orders"))["pending"] < MAX_UNACKED:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await far_desk.cancel(order)
    await far_desk.until_state(order, "cancelled", seconds=5)
    await line.mend()
    await far_desk.drained()


MAX_ROWS = 40


@pytest.fixture
async def far_rig(names: Names, redis_url: str, database: str, line: Line) -> AsyncIterator[Rig]:
    """The order service without an exchange, its database at the end of the line, and a journal that is soon full."""
    await empty(database)
    await line.mend()
    made = Rig(names, redis_url, line.url)
    made.max_rows = MAX_ROWS
    await made.start()
    yield made
    await made.kill()


async def test_a_full_journal_leaves_what_can_wait_in_its_stream_and_loses_no_execution(
    far_rig: Rig, line: Line
) -> None:
    rig, asked = far_rig, 3 * MAX_ROWS
    orders = [await rig.accepted(f"PMS_a_LMT_{n}", number=10 + n, quantity="10") for n in range(5)]
    await rig.journal.flush()
    await line.cut()
    stream = rig.names.requests(SERVICE)
    for n in range(asked):
        await rig.ask(stream, place(f"PMS_a_WAIT_{n}", approved_ms=now_ms()))
        await asyncio.sleep(0)
    await rig.until(lambda: not rig.journal.has_room())
    taken = await settled(rig, stream)
    assert MAX_ROWS / 2 < taken < asked, "it went on reading"
    for order in orders:  # the exchange goes on
        executed = [trade(n, "2", str(2 * n)) for n in range(1, 6)]
        for said in executed:
            said.client_order_id, said.exchange_order_id = order.client_order_id, order.exchange_order_id or 0
        rig.manager.report(executed)
    assert rig.commits.depth > MAX_ROWS and {order.executed for order in orders} == {orders[0].quantity}
    told = [update for update in await rig.told() if isinstance(update, OrderUpdate) and update.fill is not None]
    assert len(told) == 25, "executions are told, whatever the journal does"
    waiting = place("PMS_a_WAIT_0")
    cancel = CancelOrder(client_order_id=waiting.client_order_id, account_id="a", symbol=waiting.symbol)
    await rig.ask(rig.names.urgent(SERVICE), cancel)
    cancelled = rig.tracker.find(waiting.client_order_id)
    assert cancelled is not None
    await rig.until(lambda: cancelled.status == "cancelled")
    await line.mend()
    await rig.until(lambda: rig.tracker.find(f"PMS_a_WAIT_{asked - 1}"))
    await rig.drained()
    assert await rows(rig, "SELECT count(*) FROM pms_orders.orders") == [(asked + len(orders),)]
    assert await rows(rig, "SELECT count(*) FROM pms_orders.fills") == [(25,)]


async def settled(rig: Rig, stream: str) -> int:
    """How many entries were handed out, once that does not change any more."""
    known = -1
    while (pending := int((await rig.bus.redis.xpending(stream, SERVICE))["pending"])) != known:
        known = pending
        await asyncio.sleep(0.5)
    return known
