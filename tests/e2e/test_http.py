"""The HTTP door of a whole system, tried with whatever its OpenAPI document allows, and as a reader uses it."""

import asyncio
import json
import os
from typing import Any

import aiohttp
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from pms_cli.system.place import Place
from pms_common.contracts.schema import command_name
from pms_gateway.door.openapi import document

pytestmark = pytest.mark.slow

READS = schemathesis.openapi.from_dict(document())
COMMANDS = schemathesis.openapi.from_dict(document())
for api in (READS, COMMANDS):
    api.config.phases.update(phases=["coverage", "fuzzing"])
THOROUGH = (
    "PMS_TEST_THOROUGH" in os.environ
)  # a minute more: each start of an algo for nobody waits 2 s for its account
OWN_CHECKS = ["negative_data_rejection", "positive_data_acceptance"]
COMMANDS.config.checks.update(excluded_check_names=OWN_CHECKS)  # those below instead, which know what is not told
FEW = settings(max_examples=4, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
ALL = settings(FEW, phases=[Phase.explicit, Phase.generate])  # the explicit ones: every rule of the document broken

UNTOLD = (
    "printable characters",  # Unicode's word, which no pattern has
    "must be a symbol",  # one of letters that are not ASCII
    "at most 28 digits",
    "is required: give",  # one field or another
    "repeats the price",
    "is required for",  # by what another field says
    "has no meaning for",
    "cannot be given together",
)
"""Why a command that fits its schema may be refused for its form, by the words of the refusal."""
Body = dict[str, Any]


def _understood(given: object) -> bool:
    """What is read as what it stands for: numbers, words and flags as text; 1 and 0 as flags; null as if not there."""
    return given is None or isinstance(given, str | int | float)


def take_what_the_schema_allows(_: Any, answer: Any, case: Any) -> None:
    """The form of a command that fits its schema is refused for no other reason than those of `UNTOLD`."""
    if case.meta.generation.mode.is_positive and answer.status_code == 400:
        for error in answer.json()["errors"]:
            told = error["code"] != "VALIDATION_FAILED" or any(words in error["message"] for words in UNTOLD)
            assert told, f"the schema does not tell: {error}"


def refuse_what_the_schema_forbids(_: Any, answer: Any, case: Any) -> None:
    """A command that does not fit its schema is refused, unless it is plain what is meant."""
    refused = answer.status_code in (400, 413) or answer.json().get("errorCategory") == "VALIDATION"
    if case.meta.generation.mode.is_negative and not refused:
        name = command_name(case.path.rpartition("/")[2].replace("-", "_"))
        schema = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
        errors = jsonschema_rs.Draft202012Validator(schema).iter_errors(case.body)
        forbidden = [error.instance for error in errors if "traceparent" not in error.instance_path]  # what W3C says
        assert all(map(_understood, forbidden)), f"the schema forbids {forbidden}"


@READS.include(method="GET").exclude(path="/v1/events").parametrize()
@ALL
def test_whatever_is_asked_the_answer_is_what_the_document_says(case: Any, system: Place) -> None:
    _has_the_form_of_a_result(case.call_and_validate(base_url=system.gateway))


@COMMANDS.include(method="POST").parametrize()
@(ALL if THOROUGH else FEW)
def test_whatever_is_sent_the_answer_is_what_the_document_says(case: Any, system: Place) -> None:
    own = [take_what_the_schema_allows, refuse_what_the_schema_forbids]
    _has_the_form_of_a_result(case.call_and_validate(base_url=system.gateway, additional_checks=own))


def _has_the_form_of_a_result(answer: Any) -> None:
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
