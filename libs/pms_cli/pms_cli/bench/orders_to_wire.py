"""The benchmark `orders_to_wire`: an approved order in the order service, beside a bare WebSocket client.

`delay`: from an order's entry to its arrival at the venue; `round_trip`: until its answer is booked; both one order at
a time, and both beside the round trip of the bare client: the same library with a signed string and nothing else,
against the same venue in the same round. `rate`: orders a second with 20 in flight, beside the bare client's.

Everything between is the product's: decoding, registration, journal row, checks, lanes, budget, signature, socket, and
the answer's way back through the outcomes. The journal's rows are made and not written: PostgreSQL is off this path.
"""

import asyncio
import gc
import hmac
import json
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from pms_cli.bench.result import Context, Result, Sample, combine, sample_of
from pms_common.answers import Answers
from pms_common.bus import Bus, Entry, UpdatesWriter
from pms_common.bus.entry import Tracker
from pms_common.clock import now_ms
from pms_common.contracts.bus.base import encode
from pms_common.contracts.bus.orders import PlaceOrder, SymbolSpec
from pms_common.db import GroupCommit
from pms_common.ids import client_order_id
from pms_common.marks import Marks
from pms_common.names import Names
from pms_common.rate.window import Window
from pms_orders.adapters.binance.clock import VenueClock
from pms_orders.adapters.binance.signing import Signer
from pms_orders.adapters.binance.trading_rest import TradingRest
from pms_orders.adapters.binance.trading_socket import TradingSocket
from pms_orders.adapters.binance.transport import Sent, Transport
from pms_orders.adapters.journal import STATEMENTS, Journal
from pms_orders.app.intake import Intake
from pms_orders.app.manager import OrderManager
from pms_orders.app.outcomes import Outcomes
from pms_orders.app.publisher import Publisher
from pms_orders.app.sender import Sender
from pms_orders.domain.errors import VenueError
from pms_orders.domain.gates import Gates
from pms_orders.domain.rate import Budget
from pms_orders.domain.tracker import OrderTracker

IN_FLIGHT = 20
MAX_ORDERS = 5_000
"""Of one cell: their journal rows are kept in memory."""
PLENTY = 10**9
SECRET = "s" * 64


class Client:
    """Something that sends one order when asked; `answered` hears of each answer."""

    answered: Callable[[], None] = staticmethod(lambda: None)

    def order(self) -> None:
        """Send one."""
        raise NotImplementedError


class Bare(WSListener, Client):
    """A socket, a string and its signature."""

    def __init__(self) -> None:
        self._transport: WSTransport | None = None
        self._sent = 0
        self._waiter: asyncio.Future[list[int]] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the socket."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """An answer."""
        answer = json.loads(frame.get_payload_as_bytes())
        if self._waiter is not None:
            self._waiter.set_result(answer["result"])
            self._waiter = None
        else:
            self.answered()

    def order(self) -> None:
        """Sign and send one."""
        assert self._transport is not None
        self._sent += 1
        at_ms = time.time_ns() // 1_000_000
        name = f"PMS_bare_{self._sent:020d}"
        text = (
            f"apiKey=key&newClientOrderId={name}&newOrderRespType=ACK&positionSide=BOTH&price=60000&quantity=0.01"
            f"&recvWindow=1000&selfTradePreventionMode=EXPIRE_TAKER&side=BUY&symbol=BTCUSDT&timeInForce=GTC"
            f"&timestamp={at_ms}&type=LIMIT"
        )
        signature = hmac.digest(SECRET.encode(), text.encode(), "sha256").hex()
        request = (
            f'{{"id":{self._sent},"method":"order.place","params":{{"apiKey":"key","newClientOrderId":"{name}",'
            f'"newOrderRespType":"ACK","positionSide":"BOTH","price":"60000","quantity":"0.01","recvWindow":1000,'
            f'"selfTradePreventionMode":"EXPIRE_TAKER","side":"BUY","symbol":"BTCUSDT","timeInForce":"GTC",'
            f'"timestamp":{at_ms},"type":"LIMIT","signature":"{signature}"}}}}'
        )
        self._transport.send(WSMsgType.TEXT, request.encode())

    async def arrivals(self) -> list[int]:
        """When the venue got what was sent since the last call (ns)."""
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.send(WSMsgType.TEXT, b'{"id":0,"method":"arrivals"}')
        return await self._waiter

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)


class System(Client):
    """The order service from its bus handler to its trading socket."""

    def __init__(self, bus: Bus, names: Names, url: str) -> None:
        gates = Gates()
        journal = Journal(GroupCommit("", "orders", 1, STATEMENTS))
        updates = UpdatesWriter(bus.outbox, names.updates("orders"), 1)
        answers = Answers(names, bus.outbox, updates, Marks(bus, names, "orders"))
        publisher = Publisher(updates, bus.outbox, answers, journal, names.own("orders", "tombstones"))
        specs = {"BTCUSDT": _spec()}
        self._manager = OrderManager(
            tracker=OrderTracker(), gates=gates, specs=specs, publisher=publisher, journal=journal, now_ms=now_ms
        )
        budget = Budget((Window(10_000, PLENTY), Window(60_000, PLENTY)), Window(60_000, PLENTY))
        self._outcomes = Outcomes(self._manager, budget, lambda: None, now_ms, journal)
        clock = VenueClock()
        self.clock = clock
        venue = (Signer("key", SECRET), clock, budget)
        self.socket = TradingSocket(url, *venue, self._heard, self._outcomes.lost)
        self.rest = TradingRest("http://127.0.0.1:9", *venue, self._heard, self._outcomes.lost)
        transport = Transport(self.socket, self.rest, lambda ok, why: None)
        self._manager.sender = Sender(budget, gates, transport, self._manager.bar, now_ms, specs)
        self._manager.sender.open_for_risk = True
        self._intake = Intake(self._manager, gates, publisher, journal)
        self._entries = _entries(names)

    def _heard(self, sent: Sent, exchange_order_id: int, error: VenueError | None) -> None:
        self._outcomes.answered(sent, exchange_order_id, error)
        self.answered()

    def order(self) -> None:
        """Hand in one approval, as the bus consumer does."""
        self._intake.work(self._entries.pop())


async def run(context: Context) -> list[Result]:
    """Measure the service beside the bare client, `rounds` times, on the services' event loop."""
    return await asyncio.to_thread(lambda: uvloop.run(_run(context)))


async def _run(context: Context) -> list[Result]:
    delays: list[tuple[Sample, float]] = []
    trips: list[tuple[Sample, float]] = []
    rates: list[tuple[Sample, float]] = []
    async with _venue() as url:
        for number in range(context.rounds + 1):
            bare = Bare()
            await ws_connect(lambda bare=bare: bare, url)
            async with _system(context, url) as system:
                seconds = context.seconds / 2 if number else 0.2  # the first round warms
                _, reference = await _delay(bare, bare, seconds)
                delay, trip = await _delay(system, bare, seconds)
                bare_rate, rate = await _rate(bare, seconds), await _rate(system, seconds)
                await bare.arrivals()
            bare.close()
            if number:
                delays.append((delay, reference.p50))
                trips.append((trip, reference.p50))
                rates.append((Sample(rate, rate, rate, 1), bare_rate))
    return [
        combine("orders_to_wire.delay", "us", delays, "bare client's round trip"),
        combine("orders_to_wire.round_trip", "us", trips, "bare client's round trip"),
        combine("orders_to_wire.rate", "orders/s", rates, "bare client"),
    ]


async def _delay(client: Client, bare: Bare, seconds: float) -> tuple[Sample, Sample]:
    """One order at a time: from its entry to its arrival, and to its answer."""
    began: list[int] = []
    ended: list[int] = []
    await bare.arrivals()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and len(began) < MAX_ORDERS:
        answer = asyncio.get_running_loop().create_future()
        client.answered = lambda answer=answer: answer.set_result(None)  # type: ignore[misc]
        began.append(time.time_ns())
        client.order()
        await answer
        ended.append(time.time_ns())
    arrived = await bare.arrivals()
    there, back = ([(at - start) / 1000 for start, at in zip(began, times, strict=True)] for times in (arrived, ended))
    return sample_of(there, len(began)), sample_of(back, len(began))


async def _rate(client: Client, seconds: float) -> float:
    """Orders a second with some always in flight."""
    done, left = asyncio.Event(), MAX_ORDERS
    count, began = 0, time.monotonic()
    ends = began + seconds

    def answered() -> None:
        nonlocal count, left
        count += 1
        if time.monotonic() < ends and left:
            left -= 1
            client.order()
        else:
            done.set()

    client.answered = answered
    for _ in range(IN_FLIGHT):
        client.order()
    await done.wait()
    lasted = time.monotonic() - began
    await asyncio.sleep(0.2)  # the last answers
    return count / lasted


@asynccontextmanager
async def _venue() -> AsyncIterator[str]:
    module = "pms_cli.bench.orders_to_wire_peer"
    peer = await asyncio.create_subprocess_exec(sys.executable, "-m", module, stdout=subprocess.PIPE)
    assert peer.stdout is not None
    try:
        yield f"ws://127.0.0.1:{int(await peer.stdout.readline())}/"
    finally:
        peer.kill()
        await peer.communicate()


@asynccontextmanager
async def _system(context: Context, url: str) -> AsyncIterator[System]:
    names = Names(f"bench{uuid.uuid4().hex[:8]}")
    bus = await Bus.connect(context.redis_url, "orders", names)
    system = System(bus, names, url)
    await system.clock.measure(_machine_time)
    tasks = [asyncio.create_task(part.run()) for part in (bus, system.socket)]
    async with asyncio.timeout(20):
        while not system.socket.connected:  # noqa: ASYNC110 (the product tells its own parts)
            await asyncio.sleep(0.01)
    gc.collect()
    gc.set_threshold(20_000, 20, 50)  # as the service does
    try:
        yield system
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await system.rest.close()
        async for key in bus.redis.scan_iter(match=f"{names.namespace}:*", count=1000):
            await bus.redis.unlink(key)
        await bus.close()


async def _machine_time() -> int:
    return now_ms()


def _entries(names: Names) -> list[Entry]:
    """Approvals as the bus consumer hands them in: enough for both cells."""
    asked, now = _approval(), now_ms()
    tracker = Tracker(names.requests("orders"), "orders", "0", lambda _count: None)
    made = []
    for number in range(2 * MAX_ORDERS + IN_FLIGHT):
        data = asked.replace(b"@", client_order_id(names.namespace, "a", "LMT", str(number)).encode())
        made.append(Entry(tracker, f"{now}-{number}", data, {}))
    for entry in made:
        tracker.opened(entry.id)
    return made


def _approval() -> bytes:
    """An approved order as risk writes it, `@` in the place of its name."""
    return encode(
        PlaceOrder(
            client_order_id="@",
            account_id="a",
            symbol="BTCUSDT",
            side="BUY",
            order_type="LIMIT",
            quantity=Decimal("0.01"),
            price=Decimal(60_000),
            time_in_force="GTC",
            leverage=Decimal(10),
            approved_ms=now_ms(),
        )
    )


def _spec() -> SymbolSpec:
    given = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "margin_asset": "USDT",
        "tick_size": "0.1",
        "min_price": "1",
        "max_price": "1000000",
        "step_size": "0.001",
        "min_quantity": "0.001",
        "max_quantity": "1000",
        "market_step_size": "0.001",
        "market_min_quantity": "0.001",
        "market_max_quantity": "120",
        "min_notional": "5",
        "percent_price_up": "1.05",
        "percent_price_down": "0.95",
        "max_orders": PLENTY,
        "market_take_bound": "0.05",
    }
    return msgspec.convert(given, SymbolSpec, strict=False)
