"""Traces of a whole system: one tree from a command to its events over all services, told to a real collector."""

import asyncio
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from redis.asyncio import Redis
from tests.e2e.conftest import SYNTHETIC

from pms_cli.commands.send import request
from pms_cli.system.place import Place
from pms_cli.system.running import running_system
from pms_common.contracts.traceparent import ids

pytestmark = pytest.mark.slow

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01, "leverage": 10}
WITHIN_S = 60


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace: str
    id: str
    parent: str
    error: str
    attributes: dict[str, str]


@dataclass
class Collector:
    """Takes OTLP/HTTP as a collector does."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None

    def take(self, body: bytes) -> None:
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {item.key: item.value.string_value for item in of_resource.resource.attributes}
            for span in (span for scope in of_resource.scope_spans for span in scope.spans):
                assert span.start_time_unix_nano <= span.end_time_unix_nano
                self.spans.append(
                    Span(
                        resource["service.name"],
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.status.message,
                        {item.key: item.value.string_value for item in span.attributes},
                    )
                )

    async def branch(self, name: str, trace: str) -> list[tuple[str, str]]:
        """Service and name of the steps from a span of the trace up to the sender's own, which nobody exports."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                known = {span.id: span for span in self.spans if span.trace == trace}
                steps = [next((span for span in known.values() if span.name == name), None)]
                while steps[-1] is not None and steps[-1].parent != SENDER:
                    steps.append(known.get(steps[-1].parent))
                if steps[-1] is not None:
                    return [(step.service, step.name) for step in steps]
                await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            found.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever)
    serving.start()

    def stop() -> None:
        server.shutdown()
        serving.join()
        server.server_close()

    found.stop = stop
    yield found
    stop()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traced")


@pytest.fixture(scope="module")
def traced(state: Path, collector: Collector) -> Iterator[Place]:
    told = {"PMS_OTLP_ENDPOINT": collector.url, "PMS_LOG_FORMAT": "json", "PMS_LOG_LEVEL": "DEBUG"}
    with running_system(state, SYNTHETIC | told) as (place, _):
        yield place


SENDER = "00f067aa0ba902b7"


def context() -> str:
    """A trace of its own, of the sender's span."""
    return f"00-{uuid.uuid4().hex}-{SENDER}-01"


async def send(place: Place, type_: str, **body: Any) -> dict[str, Any]:
    result = await request(place, type_, {"requestId": uuid.uuid4().hex, **body}, WITHIN_S)
    assert result is not None, body
    return result


async def account(place: Place, **more: Any) -> str:
    made = await send(place, "account", action="create", name=uuid.uuid4().hex, balance=20_000, **more)
    rules = {"maxNotionalPerTrade": 100_000, "maxTotalExposure": 100_000}
    await send(place, "account", action="set_rules", subAccountId=made["subAccountId"], **rules)
    return str(made["subAccountId"])


async def event(place: Place, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first of all events that is wanted."""
    async with Redis.from_url(place.redis) as client, asyncio.timeout(WITHIN_S):
        while True:
            for _, fields in await client.xrange(place.names.events):
                found: dict[str, Any] = json.loads(fields[b"data"])
                if wanted(found):
                    return found
            await asyncio.sleep(0.05)


async def of_order(place: Place, type_: str, order_id: str) -> dict[str, Any]:
    return await event(place, lambda found: found["type"] == type_ and found.get("clientOrderId") == order_id)


def trace_of(message: dict[str, Any]) -> str:
    return ids(message["traceparent"]).trace_id


PLACED = [("pms-gateway", "event order_placed"), ("pms-orders", "exchange place")]
FILLED = [("pms-gateway", "event order_filled"), ("pms-risk", "book fill"), ("pms-orders", "exchange place")]


async def test_a_trade_is_one_tree_over_all_services(traced: Place, collector: Collector, state: Path) -> None:
    asked = context()
    trace = ids(asked).trace_id
    result = await send(
        traced, "trade", subAccountId=await account(traced), **ORDER, traceparent=asked, waitFor="final"
    )
    order_id = result["clientOrderId"]
    assert trace_of(result) == trace
    assert trace_of(await of_order(traced, "order_filled", order_id)) == trace
    moved = await event(traced, lambda found: found["type"] == "position_updated" and "traceparent" in found)
    assert trace_of(moved) == trace
    assert await collector.branch("event order_filled", trace) == [*FILLED, ("pms-risk", "command trade")]
    assert ("pms-risk", "book fill") in await collector.branch("event position_updated", trace)
    placed = next(span for span in collector.spans if span.trace == trace and span.name == "exchange place")
    assert placed.attributes["pms.client_order_id"] == order_id
    lines = [json.loads(line) for line in _json_lines(state / "log")]
    steps = {(line["service"], line["step"]) for line in lines if line.get("trace_id") == trace}
    assert steps >= {("risk", "command trade"), ("orders", "exchange place"), ("gateway", "event order_filled")}
    assert {line["span_id"] for line in lines if line.get("trace_id") == trace} >= {placed.id}


def _json_lines(path: Path) -> list[str]:
    return re.findall(r"\{.*\}", path.read_text(encoding="utf-8"))


async def test_the_children_of_a_chase_are_in_its_trace(traced: Place, collector: Collector) -> None:
    asked, ended = context(), context()
    body = {**ORDER, "stalkOffsetPct": 0.5, "traceparent": asked}
    begun = await send(traced, "chase", subAccountId=await account(traced), **body)
    trace = ids(asked).trace_id
    assert trace_of(begun) == trace
    told = await event(traced, lambda found: found.get("chaseId") == begun["chaseId"])
    assert trace_of(told) == trace
    decided = [("pms-risk", "approve child"), ("pms-algos", "ask child"), ("pms-algos", "command chase")]
    assert await collector.branch("event order_placed", trace) == [*PLACED, *decided]
    over = await send(traced, "chase_cancel", chaseId=begun["chaseId"], traceparent=ended)
    assert trace_of(over) == ids(ended).trace_id
    assert await collector.branch("command chase_cancel", ids(ended).trace_id)


async def test_a_command_over_http_takes_the_headers_context(traced: Place, collector: Collector) -> None:
    asked, body = context(), {**ORDER, "subAccountId": await account(traced), "waitFor": "final"}
    url, headers = f"{traced.gateway}/v1/commands/trade", {"traceparent": asked}
    async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as answer:
        assert trace_of(await answer.json()) == ids(asked).trace_id
    branch = await collector.branch("event order_filled", ids(asked).trace_id)
    assert branch == [*FILLED, ("pms-risk", "command trade")]


async def test_what_changes_an_order_goes_on_in_its_own_trace(traced: Place, collector: Collector) -> None:
    placed, amended, cancelled, closed = (context() for _ in range(4))
    owner = await account(traced)
    bought = await send(traced, "trade", subAccountId=owner, **ORDER, waitFor="final")
    assert "traceparent" not in bought, "nobody traces it"
    assert "traceparent" not in await of_order(traced, "order_filled", bought["clientOrderId"])
    price = int(bought["avgFillPrice"] * 0.95)
    order = await send(traced, "limit", subAccountId=owner, **ORDER, price=price, traceparent=placed)
    order_id = order["clientOrderId"]
    assert trace_of(order) == ids(placed).trace_id
    after = await send(traced, "amend", clientOrderId=order_id, price=price - 10, traceparent=amended)
    assert trace_of(after) == ids(amended).trace_id
    gone = await send(traced, "cancel", clientOrderId=order_id, traceparent=cancelled)
    assert trace_of(gone) == ids(cancelled).trace_id
    assert trace_of(await of_order(traced, "order_placed", order_id)) == ids(placed).trace_id
    assert trace_of(await of_order(traced, "order_cancelled", order_id)) == ids(cancelled).trace_id
    assert ("pms-risk", "command amend") in await collector.branch("exchange amend", ids(amended).trace_id)
    assert ("pms-orders", "command cancel") in await collector.branch("exchange cancel", ids(cancelled).trace_id)
    another = (await send(traced, "limit", subAccountId=owner, **ORDER, price=price))["clientOrderId"]
    all_gone = context()
    assert (await send(traced, "cancel_all", subAccountId=owner, traceparent=all_gone))["cancelled"] == 1
    assert "traceparent" not in await of_order(traced, "order_placed", another)
    assert trace_of(await of_order(traced, "order_cancelled", another)) == ids(all_gone).trace_id
    over = await send(traced, "close_all", subAccountId=owner, traceparent=closed)
    assert (over["closed"], trace_of(over)) == (1, ids(closed).trace_id)
    branch = await collector.branch("event position_closed", ids(closed).trace_id)
    assert branch[-1] == ("pms-risk", "command close_all")


async def test_a_refusal_is_an_error_of_its_step(traced: Place, collector: Collector) -> None:
    asked = context()
    refused = await send(traced, "trade", subAccountId="nobody", **ORDER, traceparent=asked)
    assert (refused["errorCode"], trace_of(refused)) == ("ACCOUNT_NOT_FOUND", ids(asked).trace_id)
    await collector.branch("command trade", ids(asked).trace_id)
    (span,) = [span for span in collector.spans if span.trace == ids(asked).trace_id]
    assert span.error == "ACCOUNT_NOT_FOUND"
    wrong = await send(traced, "trade", subAccountId="nobody", traceparent=asked)
    assert (wrong["errorCategory"], trace_of(wrong)) == ("VALIDATION", ids(asked).trace_id)


async def test_a_collector_that_goes_away_stops_no_trade(traced: Place, collector: Collector) -> None:
    collector.stop()
    owner = await account(traced)
    async with aiohttp.ClientSession() as http, asyncio.timeout(WITHIN_S):
        while 'pms_trace_spans_total{outcome="failed"} 0.0' in await _metrics(http, traced.services["risk"]):
            for side in ("BUY", "SELL"):
                body = {**ORDER, "side": side, "traceparent": context(), "waitFor": "final"}
                result = await send(traced, "trade", subAccountId=owner, **body)
                assert result.get("state") == "filled", result
            await asyncio.sleep(0.5)


async def _metrics(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(url) as answer:
        return await answer.text()
