"""The JS client on a running system, in both Redis libraries: by itself, with every command, and as its docs use it.

What every command was answered and told is held against the JSON Schemas, and every error code is brought about.
"""

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from redis import Redis
from tests.deployed import Deployed, deployed_system
from tests.node import ROOT, run

from pms_cli.commands.send import request
from pms_cli.system.place import Place
from pms_common.contracts.errors import EARLIER, ErrorCode
from pms_common.contracts.events import EVENTS
from pms_common.contracts.exchange_codes import MEANINGS, Outcome
from pms_common.contracts.results_algos import RESULTS
from pms_common.contracts.schema import contract
from pms_simulator.domain.catalog import built_in

CHASE, TRADE, FOLLOW = "chase.mjs", "trade.mjs", "follow-client.mjs"
PAGE = ROOT / "docs" / "javascript.md"
LIBRARIES = ["ioredis", "redis"]
DEFS = contract("#/$defs/")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "BNBUSDT", "ADAUSDT", "QUIETUSDT")
TOKENS = """reader read token-that-may-read
trader trade token-that-may-trade
hasty trade token-that-hurries
"""

NEVER_ANSWERED = {
    "APPROVAL_EXCEEDED": "answered to an algo, which cancels the order and asks for the rest anew",
    "EXCHANGE_DUPLICATE_ID": "the order is asked for, and what it has become is the answer",
    "INFRA_INTERNAL": "a defect; that one is answered is tried in tests/integration/pms_common/test_inlet.py",
}
"""Error codes that nothing sent from outside brings about, and why."""


def exchange_codes() -> list[tuple[int, str, int]]:
    """The exchange's codes by which an order is refused for good, with ours, and how often it has to say so."""
    passing = (Outcome.AGAIN, Outcome.RATE, Outcome.CLOCK)
    final = (Outcome.NOT_EXECUTED, Outcome.FATAL, Outcome.GONE)
    found = {code: meaning for code, meaning in MEANINGS.items() if meaning.outcome in final}
    first = {meaning.error: code for code, meaning in reversed(MEANINGS.items()) if meaning.outcome in passing}
    once = [(code, meaning.error.name, 1) for code, meaning in found.items()]
    return [*once, *((code, error.name, 3) for error, code in first.items())]


def listing(folder: Path) -> Path:
    """An exchange with a symbol that nobody trades, one that is settled, and one with four places in its book."""
    info = built_in()
    by_name = {entry["symbol"]: entry for entry in info["symbols"]}
    info["symbols"].append({**by_name["SOLUSDT"], "symbol": "QUIETUSDT", "pair": "QUIETUSDT", "baseAsset": "QUIET"})
    by_name["ADAUSDT"]["status"] = "SETTLING"
    (places,) = (f for f in by_name["XRPUSDT"]["filters"] if f["filterType"] == "MAX_NUM_ORDERS")
    places["limit"] = 4
    file = folder / "exchange-info.json"
    file.write_text(json.dumps(info), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Everything as it is deployed, each service with only its own rights, and room for all that the tables send."""
    folder = tmp_path_factory.mktemp("js")
    tokens = folder / "tokens"
    tokens.write_text(TOKENS, encoding="utf-8")
    limits = ("ORDERS_PER_MINUTE", "ORDERS_PER_TEN_SECONDS", "WEIGHT_PER_MINUTE")
    env = {"PMS_SIM_SYMBOLS": ",".join(SYMBOLS), "PMS_SIM_VOLATILITY": "0.0001", "PMS_SIM_BALANCE": "100000000"}
    env |= {"PMS_SIM_EXCHANGE_INFO": str(listing(folder)), "PMS_GATEWAY_TOKEN_FILE": str(tokens)}
    env |= dict.fromkeys((f"PMS_SIM_LIMIT_{name}" for name in limits), "100000")
    with deployed_system(folder, env) as running:
        yield running
        with Redis.from_url(running.admin, decode_responses=True) as redis:
            denied = [(entry["username"], entry["reason"], entry["object"]) for entry in redis.acl_log()]
    assert not denied, "what services need, and what the client does, deploy/redis/users.acl allows"


@pytest.fixture(scope="module")
def system(deployed: Deployed) -> Place:
    """Where it is, for an operator."""
    return deployed.place


@pytest.fixture(scope="module")
def backend(deployed: Deployed) -> dict[str, str]:
    """The environment of a JS backend, which may do no more than its Redis user."""
    return {**_env(deployed.place), "PMS_REDIS_URL": deployed.js}


def _env(system: Place) -> dict[str, str]:
    return {"PMS_REDIS_URL": system.redis, "PMS_TEST_SIM": str(system.simulator), "FORCE_COLOR": "0"}


def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": DEFS})


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_client(node_folder: Path, deployed: Deployed, library: str) -> None:
    env = {**_env(deployed.place), "PMS_TEST_REDIS": library, "PMS_TEST_ADMIN_URL": deployed.admin}
    run("node", "--test", "client.test.mjs", cwd=node_folder, within_s=120, **env)


@pytest.fixture(scope="module", params=LIBRARIES)
def report(node_folder: Path, deployed: Deployed, request: pytest.FixtureRequest) -> dict[str, list[Any]]:
    """What the tables of commands and of conditions were answered and told, after all their rows held."""
    told: dict[str, list[Any]] = {"answered": [], "events": [], "accounts": []}
    for script in ("commands.test.mjs", "conditions.test.mjs"):
        file = node_folder / f"report-{request.param}-{script}.json"
        env = {**_env(deployed.place), "PMS_TEST_REDIS": request.param, "PMS_TEST_REPORT": str(file)}
        env |= {"PMS_TEST_ADMIN_URL": deployed.admin, "PMS_TEST_GATEWAY": deployed.place.gateway}
        env |= {"PMS_TEST_EXCHANGE_CODES": json.dumps(exchange_codes())}
        run("node", "--test", script, cwd=node_folder, within_s=200, **env)
        for what, found in json.loads(file.read_text(encoding="utf-8")).items():
            told[what] += found
    return told


def test_every_command_succeeds_and_every_answer_fits_its_schema(report: dict[str, Any]) -> None:
    assert {type_ for type_, result in report["answered"] if result["success"]} == RESULTS.keys()
    for type_, result in report["answered"]:
        _validator(RESULTS[type_].__name__ if result["success"] else "Failure").validate(result)


def test_every_error_code_is_brought_about_or_it_is_said_why_not(report: dict[str, Any]) -> None:
    failures = [result for _, result in report["answered"] if not result["success"]]
    seen = {ErrorCode[result["errorCode"]] for result in failures}
    given = set(ErrorCode) - EARLIER
    assert {code.name for code in given - seen} == NEVER_ANSWERED.keys()
    assert seen <= given
    for result in failures:
        code = ErrorCode[result["errorCode"]]
        assert (result["errorCategory"], result["retryable"]) == (code.category, code.retryable)


def test_every_event_fits_its_schema_and_has_what_browsers_read(report: dict[str, Any]) -> None:
    validators = {type_: _validator(cls.__name__) for type_, cls in EVENTS.items()}
    for event in report["events"]:
        validators[event["type"]].validate(event)
        assert isinstance(event["subAccountId"], str) and event["subAccountId"]
        if event["type"].startswith("order_"):
            assert event["orderId"] == event["clientOrderId"]
            assert isinstance(event["price"], int | float), "browsers format it"
            assert event["side"] in ("BUY", "SELL")
        if event["type"].startswith(("position_", "trail_stop_")) or event["type"] == "scalper_filled":
            assert event["side"] in ("LONG", "SHORT")
    told = {event["type"] for event in report["events"]}
    ends = {f"{algo}_cancelled" for algo in ("chase", "scalper", "twap", "twap_basket", "trail_stop")}
    assert ends <= told
    assert {"order_placed", "order_filled", "order_cancelled", "order_failed", "position_updated"} <= told


def test_numbers_of_an_account_have_no_holes(report: dict[str, Any]) -> None:
    for account in report["accounts"]:
        numbers = [event["seq"] for event in report["events"] if event["subAccountId"] == account]
        assert numbers == list(range(1, len(numbers) + 1))


def test_the_types_say_what_may_be_written(node_folder: Path) -> None:
    options = ("--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom")
    run("node_modules/.bin/tsc", *options, "--skipLibCheck", "types.test.ts", cwd=node_folder, within_s=120)


def example(name: str, folder: Path) -> Path:
    """An example of the page, as a script in a folder that has what the page installs."""
    found = dict(re.findall(r"<!-- run: (\S+) -->\n```js\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    script = folder / name
    script.write_text(found[name], encoding="utf-8")
    return script


def test_every_example_of_the_page_is_run_here() -> None:
    assert re.findall(r"<!-- run: (\S+) -->", PAGE.read_text(encoding="utf-8")) == [CHASE, TRADE, FOLLOW]


@pytest.fixture(scope="module")
def account(system: Place) -> str:
    """An account as the page makes it."""
    command = {"requestId": "page", "action": "create", "name": "alice", "balance": 10_000}
    made = asyncio.run(request(system, "account", command, 30))
    assert made is not None and made["success"], made
    return str(made["subAccountId"])


def test_the_tutorials_chase_is_filled(node_folder: Path, backend: dict[str, str], account: str) -> None:
    told = run("node", example(CHASE, node_folder).name, account, cwd=node_folder, within_s=120, **backend).splitlines()
    assert told[0].startswith("chase_progress")
    assert re.fullmatch(r"chase_filled [\d.]+", told[-1])


def test_the_example_of_commands_tells_success_and_refusal(
    node_folder: Path, backend: dict[str, str], account: str
) -> None:
    told = run("node", example(TRADE, node_folder).name, account, cwd=node_folder, **backend).splitlines()
    done, refused = map(json.loads, told)
    assert done["state"] == "filled"
    assert refused["errorCode"] == "MAX_NOTIONAL_EXCEEDED"


def test_the_example_of_events_goes_on_where_it_was(
    node_folder: Path, system: Place, backend: dict[str, str], account: str
) -> None:
    script, place = example(FOLLOW, node_folder), node_folder / "after.txt"

    def follow(wanted: str) -> list[str]:
        """What it prints until a line has it; then it is killed."""
        with subprocess.Popen(
            ["node", script.name],
            cwd=node_folder,
            env={**os.environ, **backend},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line.strip())
                if wanted in line:
                    break
            while not place.exists() or not place.read_text(encoding="utf-8"):
                time.sleep(0.05)
            process.kill()
        return lines

    assert follow("account ")[0].startswith("account")
    order = {"subAccountId": account, "symbol": "BTCUSDT", "side": "SELL", "quantity": 0.002, "leverage": 10}
    for n in range(2):
        result = asyncio.run(request(system, "trade", {**order, "requestId": f"follow-{n}"}, 30))
        assert result is not None and result["success"], result
    with Redis.from_url(system.redis, decode_responses=True) as client:
        begun = place.read_text(encoding="utf-8")
        seen = [line.split()[0] for line in follow(" position_closed ") if line[0].isdigit()]
        logged = [entry_id for entry_id, _ in client.xrange(system.names.events, f"({begun}", seen[-1])]
    assert seen == logged
