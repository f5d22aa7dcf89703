"""A JS backend that only XADDs and reads, on the whole system: results and events are those of the contract."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.e2e.conftest import RunNode

from pms_cli.books import settled_books
from pms_cli.system.place import Place
from pms_cli.system.running import running_system
from pms_common.contracts.caches import PriceCache
from pms_common.contracts.events import EVENTS, decode_event

Report = dict[str, Any]


def _recorded_market(data: Path) -> Path | None:
    captures = sorted(data.glob("captures/*btcusdt*.gz"))
    return captures[0] if captures else None


@pytest.fixture(scope="module", params=["synthetic", "recorded"])
def market(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The system on each kind of market."""
    env = {"PMS_SIM_SYMBOLS": "BTCUSDT,ETHUSDT"}
    if request.param == "recorded":
        capture = _recorded_market(request.getfixturevalue("data_directory"))
        if capture is None:
            pytest.skip("no raw capture of BTCUSDT")
        env = {"PMS_SIM_REPLAY": str(capture), "PMS_FEED_SYMBOLS": "BTCUSDT"}
    with running_system(tmp_path_factory.mktemp(request.param), env) as (place, _):
        yield place


@pytest.fixture(scope="module")
def report(node: RunNode, market: Place) -> Report:
    """What the session saw."""
    return node("session.mjs", market)


def test_each_step_is_answered_as_it_must_be(report: Report) -> None:
    results = report["results"]
    for step in ("create", "deposit", "rules", "trade", "limit", "cancel", "chase", "chaseCancel", "close"):
        assert results[step]["success"] is True, (step, results[step])
    assert results["deposit"]["balance"] == 5250.5
    assert results["limit"]["state"] == "active"
    assert results["cancel"]["state"] == "cancelled"
    assert results["close"]["position"]["status"] == "CLOSED"
    assert isinstance(results["close"]["trade"]["realizedPnl"], float)


def test_a_repeated_request_gets_the_first_result_and_trades_once(report: Report) -> None:
    assert report["results"]["tradeAgain"] == report["results"]["trade"]
    assert report["results"]["tradeReused"]["errorCode"] == "REQUEST_ID_REUSED"
    filled = [e for e in report["events"] if e["type"] == "order_filled"]
    assert len(filled) == 2  # the trade and the close


@pytest.mark.parametrize(
    ("step", "code", "word"),
    [
        ("badQuantity", "VALIDATION_FAILED", "quantity"),
        ("badSide", "VALIDATION_FAILED", "side"),
        ("tooLarge", "MAX_NOTIONAL_EXCEEDED", "Notional"),
    ],
)
def test_bad_input_is_refused_naming_what_is_wrong(report: Report, step: str, code: str, word: str) -> None:
    result = report["results"][step]
    assert result["success"] is False
    assert isinstance(result["error"], str)
    assert word in result["error"]
    assert code in {error["code"] for error in result["errors"]}


def test_every_event_has_the_contracts_form(report: Report) -> None:
    for event in report["events"]:
        assert isinstance(decode_event(msgspec.json.encode(event["data"])), EVENTS[event["type"]])
        assert event["data"]["eventId"] == event["id"]


def test_events_of_the_account_are_numbered_without_holes(report: Report) -> None:
    numbers = [e["data"]["seq"] for e in report["events"] if e["data"]["subAccountId"] == report["subAccountId"]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_pub_sub_says_the_same_as_the_log(report: Report) -> None:
    published = [msgspec.json.decode(text) for _, text in report["published"]]
    logged = [event["data"] for event in report["events"]]
    assert published == logged
    for (channel, _), event in zip(report["published"], logged, strict=True):
        assert channel == f"pms:events:{event['type']}"


def test_fills_carry_the_account_and_come_before_the_position(report: Report) -> None:
    types = [event["type"] for event in report["events"]]
    trade = types.index("order_filled")
    assert types[trade + 1] == "position_updated"
    account = report["events"][trade]["data"]["account"]
    assert account["positions"][0]["quantity"] == 0.01
    assert set(account) == {"balance", "equity", "marginUsed", "availableMargin", "positions"}


def test_the_price_and_risk_caches_have_their_form(report: Report) -> None:
    msgspec.convert(report["price"], PriceCache)
    assert report["risk"]["subAccountId"] == report["subAccountId"]
    assert report["risk"]["positions"][0]["side"] == "LONG"


def test_the_books_equal_the_exchange_after_it(report: Report, market: Place) -> None:
    books = asyncio.run(settled_books(market))
    assert books.equal, books
    assert books.positions == {}


def test_commands_of_several_orders_are_answered_with_what_became_of_each(node: RunNode, market: Place) -> None:
    results = node("orders.mjs", market)["results"]
    scale, amend, basket, close = (results[name] for name in ("scale", "amend", "basket", "close"))
    assert (scale["success"], scale["placed"], scale["failed"], scale["total"]) == (True, 2, 0, 2)
    assert (amend["success"], amend["quantity"]) == (True, 0.012)
    assert (basket["basketName"], basket["succeeded"], basket["total"]) == ("one", 1, 1)
    assert basket["results"][0]["trade"]["position"]["quantity"] == 0.02
    assert results["limitClose"]["state"] == "active"
    assert (close["trade"]["quantity"], close["position"]["remainingQty"]) == (0.01, 0.01), (
        "the resting closer gave way"
    )
    everything = results["closeAll"]
    assert (everything["success"], everything["closed"], everything["total"]) == (True, 1, 1)
    assert everything["cancelled"] == 3, "two of the scale, one that was closing"
    assert (results["closeAllAgain"]["total"], results["closeAllAgain"]["results"]) == (0, [])
    assert results["closeClosed"]["errorCode"] == "POSITION_CLOSED"
