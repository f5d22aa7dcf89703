"""The HTTP door of a whole system, tried with whatever its OpenAPI document allows, and as a reader uses it."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from pms_cli.system.place import Place
from pms_gateway.door.openapi import document

pytestmark = pytest.mark.slow

API = schemathesis.openapi.from_dict(document())
API.config.phases.update(phases=["coverage", "fuzzing"])
API.config.checks.update(
    excluded_check_names=[
        "negative_data_rejection",  # a number as text, a word in small letters: understood, though not told
        "positive_data_acceptance",  # fields that exclude each other, 30 digits: refused, though not told
    ]
)


@API.exclude(path="/v1/events").parametrize()
@settings(max_examples=4, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_the_answer_is_what_the_document_says(case: Any, system: Place) -> None:
    answer = case.call_and_validate(base_url=system.gateway)
    if answer.status_code >= 400:
        assert isinstance(answer.json()["error"], str)


async def test_a_reader_that_has_the_answer_is_not_sent_it_again(system: Place) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{system.gateway}/v1/algos") as first:
            assert first.headers["Cache-Control"] == "private, no-cache"
            tag, body = first.headers["ETag"], await first.json()
        async with http.get(f"{system.gateway}/v1/algos", headers={"If-None-Match": tag}) as again:
            assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
        async with http.get(f"{system.gateway}/v1/algos", headers={"If-None-Match": 'W/"other"'}) as other:
            assert (other.status, await other.json()) == (200, body)
        async with http.get(f"{system.gateway}/openapi.json") as served:
            assert served.headers["Content-Encoding"] in ("gzip", "deflate")
            assert await served.json() == json.loads(json.dumps(document()))
        async with http.get(f"{system.gateway}/docs") as page:
            assert page.content_type == "text/html"
            assert "//" not in (await page.text()).replace("://", ""), "no other host is asked"


async def test_an_operators_action_is_recorded_with_its_outcome(system: Place) -> None:
    async def post(body: dict[str, Any]) -> int:
        async with http.post(f"{system.gateway}/v1/commands/account", json=body) as answer:
            return answer.status

    async with aiohttp.ClientSession() as http:
        assert await post({"action": "freeze", "subAccountId": "nobody", "requestId": "audit-1"}) == 404
        async with asyncio.timeout(30), http.get(f"{system.gateway}/v1/audit?limit=2") as answer:
            newest = await answer.json()
        ended, asked = newest["items"]
        assert (ended["requestId"], ended["outcome"]) == ("audit-1", "ACCOUNT_NOT_FOUND")
        assert (asked["who"], asked["address"], asked["command"]) == ("anyone", "127.0.0.1", "account")
        assert json.loads(asked["body"])["action"] == "freeze"
        async with http.get(f"{system.gateway}/v1/audit?limit=1&before={ended['id']}") as answer:
            assert (await answer.json())["items"] == [asked]
        async with http.get(f"{system.gateway}/v1/audit?before=x") as refused:
            assert refused.status == 400
