"""HTTP as a client sees it: commands with their results, reads, tokens, refusals."""

import asyncio
import hashlib
import json
import signal
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import redis.asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from tests.integration.pms_gateway.conftest import GatewayProcess, Service

from pms_common.clock import now_ms
from pms_common.contracts.bus.algos import AlgoState
from pms_common.contracts.bus.orders import OrderUpdate, OrderView
from pms_common.contracts.bus.risk import AccountState
from pms_common.names import Names
from pms_gateway.app.waiters import Waiters
from pms_gateway.door.access import guard
from pms_gateway.door.audit import Audit
from pms_gateway.door.commands import Commands
from pms_gateway.door.tokens import Tokens

TRADE = {"subAccountId": "acc", "symbol": "BTC/USDT", "side": "LONG", "quantity": 0.01, "leverage": 5}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def next_entry(client: redis.asyncio.Redis, stream: str) -> dict[str, object]:
    async with asyncio.timeout(60):
        while not (found := await client.xrange(stream)):  # noqa: ASYNC110 (another process writes)
            await asyncio.sleep(0.01)
    return json.loads(found[-1][1][b"data"])


async def ready(gateway: GatewayProcess, http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"{gateway.url}/ready") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)


async def test_a_command_reaches_its_owner_and_its_result_comes_back(
    gateway: GatewayProcess,
    services: dict[str, Service],
    client: redis.asyncio.Redis,
    names: Names,
    http: aiohttp.ClientSession,
) -> None:
    gateway.start()
    await gateway.healthy()
    await ready(gateway, http)
    asking = asyncio.create_task(http.post(f"{gateway.url}/v1/commands/trade", json={**TRADE, "requestId": None}))
    command = await next_entry(client, names.cmd("trade"))
    assert {name: command[name] for name in TRADE} == TRADE
    body = b'{"success":true,"requestId":"%s","state":"active"}' % str(command["requestId"]).encode()
    await services["orders"].done(str(command["requestId"]), "acc", "trade", body)
    answer = await asking
    assert (answer.status, await answer.read()) == (200, body)

    asking = asyncio.create_task(
        http.post(f"{gateway.url}/v1/commands/close", json={"positionId": "p", "requestId": "r9"})
    )
    await next_entry(client, names.cmd("close"))
    await services["risk"].done("r9", "acc", "close", b'{"success":false,"errorCode":"POSITION_NOT_FOUND"}')
    assert (await asking).status == 404

    asking = asyncio.create_task(http.post(f"{gateway.url}/v1/trading-state", json={"state": "halted"}))
    halt = await next_entry(client, names.op("trading_state"))
    await services["risk"].done(str(halt["requestId"]), "", "trading_state", b'{"success":true}')
    assert (await asking).status == 200


async def test_a_stop_waits_for_results_and_tells_who_has_none_how_to_ask(
    gateway: GatewayProcess,
    services: dict[str, Service],
    client: redis.asyncio.Redis,
    names: Names,
    http: aiohttp.ClientSession,
) -> None:
    gateway.start()
    await gateway.healthy()
    await ready(gateway, http)
    answered = asyncio.create_task(
        http.post(f"{gateway.url}/v1/commands/trade", json={**TRADE, "requestId": "answered"})
    )
    unanswered = asyncio.create_task(
        http.post(f"{gateway.url}/v1/commands/limit", json={**TRADE, "price": 1, "requestId": "unanswered"})
    )
    await next_entry(client, names.cmd("trade"))
    await next_entry(client, names.cmd("limit"))
    gateway.signal(signal.SIGTERM)
    await services["risk"].done("answered", "acc", "trade", b'{"success":true,"requestId":"answered"}')
    assert (await answered).status == 200
    told = await (await unanswered).json()
    assert told["errorCode"] == "INFRA_TIMEOUT"
    assert "stopping" in told["error"] and "requestId unanswered" in told["error"]
    assert await gateway.ended() == 0


async def test_bad_input_is_refused_at_the_door_naming_the_field(
    gateway: GatewayProcess, client: redis.asyncio.Redis, names: Names, http: aiohttp.ClientSession
) -> None:
    gateway.start()
    await gateway.healthy()
    cases = [
        ("trade", {**TRADE, "quantity": -1}, 400, "VALIDATION_FAILED", "quantity"),
        ("trade", {**TRADE, "subAccountId": None}, 400, None, "subAccountId"),
        ("nothing", {}, 404, "VALIDATION_UNKNOWN_COMMAND", None),
    ]
    for type_, body, status, code, field in cases:
        async with http.post(f"{gateway.url}/v1/commands/{type_}", json=body) as answer:
            refused = await answer.json()
            assert answer.status == status, refused
            assert refused["success"] is False
            assert isinstance(refused["error"], str)
            assert code is None or refused["errorCode"] == code
            assert field is None or refused["errors"][0]["field"] == field
    for raw, status in [(b"{", 400), (b"[1]", 400), (b'{"x":"' + b"y" * 70_000 + b'"}', 413)]:
        async with http.post(f"{gateway.url}/v1/commands/trade", data=raw) as answer:
            assert answer.status == status
            assert (await answer.json())["success"] is False
    async with http.get(f"{gateway.url}/v1/nothing") as answer:
        assert answer.status == 404
        assert (await answer.json())["success"] is False
    async with http.get(f"{gateway.url}/v1/commands/trade") as answer:
        assert answer.status == 405
    for query, named in [("symbols=A&symbols=B", "symbols"), ("symbols=A-B", "symbols"), ("symbols=a", "symbols")]:
        async with http.get(f"{gateway.url}/v1/prices?{query}") as answer:
            assert (answer.status, (await answer.json())["errors"][0]["field"]) == (400, named)
    async with http.get(f"{gateway.url}/v1/audit?before=0-0") as answer:
        assert (answer.status, await answer.json()) == (200, {"items": [], "next": None})
    for path in (
        "/v1/audit?before=1%0A",
        "/v1/audit?before=",
        "/v1/accounts/a/ledger?before=%C2%B2~",
        "/v1/accounts/a/trades?before=x",
    ):
        async with http.get(gateway.url + path) as answer:
            assert (answer.status, (await answer.json())["errors"][0]["field"]) == (400, "before")
    assert await client.exists(names.cmd("trade")) == 0


async def test_no_answer_in_time_says_how_to_ask(redis_url: str, names: Names) -> None:
    redis_client = redis.asyncio.Redis.from_url(redis_url)
    app = web.Application(middlewares=[guard(lambda: Tokens(()))])
    app.add_routes(Commands(redis_client, names, Waiters(), Audit(redis_client, names), now_ms, wait_s=0.1).routes())
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/v1/commands/trade", json={**TRADE, "requestId": "r-77"})
        refused = await answer.json()
    await redis_client.aclose()
    assert answer.status == 504
    assert (refused["errorCode"], refused["errorCategory"], refused["requestId"]) == (
        "INFRA_TIMEOUT",
        "TIMEOUT",
        "r-77",
    )
    assert "requestId r-77" in refused["error"]


def order(**changes: object) -> OrderView:
    values = {
        "client_order_id": "o1",
        "account_id": "acc",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "order_type": "LIMIT",
        "quantity": Decimal("0.5"),
        "price": Decimal("60000.1"),
        "leverage": Decimal(5),
        "state": "active",
        "exchange_order_id": 2**60,
        "version": 1,
        "created_ms": 1,
        "updated_ms": 2,
    }
    return OrderView(**{**values, **changes})  # type: ignore[arg-type]


async def test_reads_show_what_the_owners_told(
    gateway: GatewayProcess, services: dict[str, Service], http: aiohttp.ClientSession
) -> None:
    snapshot = b'{"subAccountId":"acc","balance":100.5,"positions":[{"id":"p1","symbol":"BTCUSDT","quantity":1}]}'
    services["risk"].snapshot = [
        lambda: AccountState(
            epoch=1, n=1, account_id="acc", name="First", status="ACTIVE", version=3, snapshot=msgspec.Raw(snapshot)
        )
    ]
    services["orders"].snapshot = [
        lambda: OrderUpdate(epoch=1, n=1, key="s", cause="snapshot", order=order(), event_ms=1)
    ]
    services["algos"].snapshot = [
        lambda: AlgoState(
            epoch=1,
            n=1,
            algo_id="chase_1",
            kind="chase",
            account_id="acc",
            symbol="BTCUSDT",
            version=1,
            item=msgspec.Raw(b'{"chaseId":"chase_1"}'),
        )
    ]
    gateway.start()
    await gateway.healthy()
    await ready(gateway, http)

    async def get(path: str) -> tuple[int, dict[str, Any]]:
        async with http.get(gateway.url + path) as answer:
            return answer.status, await answer.json()

    account = {"id": "acc", "name": "First", "accountStatus": "ACTIVE", **json.loads(snapshot)}
    assert await get("/v1/accounts") == (200, {"accounts": [account]})
    assert await get("/v1/accounts/acc") == (200, account)
    assert (await get("/v1/accounts/other"))[0] == 404
    assert (await get("/v1/accounts/other/orders"))[0] == 404
    position = {"subAccountId": "acc", "id": "p1", "symbol": "BTCUSDT", "quantity": 1}
    assert await get("/v1/positions?subAccountId=acc") == (200, {"positions": [position]})
    algo = {"kind": "chase", "subAccountId": "acc", "chaseId": "chase_1"}
    assert await get("/v1/accounts/acc/algos") == (200, {"algos": [algo]})
    status, orders = await get("/v1/accounts/acc/orders")
    assert status == 200
    (shown,) = orders["orders"]
    assert shown["orderId"] == shown["clientOrderId"] == "o1"
    assert (shown["price"], shown["exchangeOrderId"], shown["subAccountId"]) == (60000.1, str(2**60), "acc")
    assert await get("/v1/orders?subAccountId=other") == (200, {"orders": []})
    status, seen = await get("/v1/services")
    assert {service["name"] for service in seen["services"] if service["lastUpdateMs"]} == {"orders", "risk", "algos"}
    async with http.get(gateway.url + "/") as page:
        assert page.content_type == "text/html"
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    async with http.get(gateway.url + "/metrics") as metrics:
        assert "pms_events_total" in await metrics.text()


async def test_tokens_decide_who_may_do_what(
    environment: dict[str, str], tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    file = tmp_path / "tokens"
    file.write_text("ann read secret-read\nbob trade secret-trade\n")
    gateway = GatewayProcess({**environment, "PMS_GATEWAY_TOKEN_FILE": str(file)}, tmp_path / "gateway.log")
    gateway.start()
    try:
        await gateway.healthy()

        async def status(method: str, path: str, token: str | None, body: object = None) -> int:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with http.request(method, gateway.url + path, headers=headers, json=body) as answer:
                return answer.status

        async def refusal(path: str, token: str) -> str:
            async with http.post(gateway.url + path, headers={"Authorization": f"Bearer {token}"}, json={}) as answer:
                return str((await answer.json())["errorCode"])

        assert await refusal("/v1/commands/trade", "secret") == "AUTH_TOKEN_REQUIRED"
        assert await refusal("/v1/commands/trade", "secret-read") == "AUTH_ROLE_FORBIDDEN"
        assert await status("GET", "/v1/accounts", None) == 401
        assert await status("GET", "/v1/accounts", "secret") == 401
        assert await status("GET", "/v1/accounts", "secret-read") == 200
        assert await status("POST", "/v1/commands/trade", "secret-read", {}) == 403
        assert await status("POST", "/v1/commands/trade", "secret-trade", {}) == 400
        assert await status("POST", "/v1/commands/account", "secret-trade", {}) == 403
        assert await status("POST", "/v1/trading-state", "secret-trade", {}) == 403
        assert await status("GET", "/health", None) == 200
        for protocols, code in [((), 401), (("pms.events", "bearer.secret-read"), 101)]:
            try:
                async with http.ws_connect(gateway.url + "/v1/events", protocols=protocols) as socket:
                    assert (code, socket.protocol) == (101, "pms.events")
            except aiohttp.WSServerHandshakeError as refused:
                assert refused.status == code
        ann = {"Authorization": "Bearer secret-read"}
        async with http.ws_connect(gateway.url + "/v1/events", headers=ann) as socket, asyncio.timeout(60):
            digest = hashlib.sha256(b"secret-new").hexdigest()
            file.write_text(f"bob trade secret-trade\neve operator sha256:{digest}\n")
            ended = await socket.receive()
            assert (ended.type, ended.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.POLICY_VIOLATION)
            assert await status("GET", "/v1/accounts", "secret-read") == 401
            assert await status("GET", "/v1/accounts", "secret-new") == 200
            assert await status("GET", "/v1/audit", "secret-trade") == 403
            many = (refusal("/v1/commands/trade", "secret-trade") for _ in range(300))  # more than a token may send
            assert "AUTH_RATE_LIMITED" in await asyncio.gather(*many)
            assert await status("GET", "/v1/accounts", "secret-new") == 200
        assert "secret-" not in gateway.log
    finally:
        gateway.stop()


def test_it_does_not_listen_to_the_world_without_tokens(environment: dict[str, str], tmp_path: Path) -> None:
    gateway = GatewayProcess({**environment, "PMS_GATEWAY_HOST": "0.0.0.0"}, tmp_path / "gateway.log")
    gateway.start()
    assert gateway.exit_code(60) == 1
    assert "PMS_GATEWAY_TOKEN_FILE" in gateway.log
    assert "Traceback" not in gateway.log, "the sentence is enough"
