"""An account's history through the gateway of a whole system: ledger, trades, ended orders and the daily statement."""

from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from tests.e2e.test_opposite_accounts import HALF, ORDER, account_with, command

from pms_cli.books import settled_books, sim_state
from pms_cli.system.place import Place

pytestmark = pytest.mark.slow


async def get(place: Place, path: str, **query: Any) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{place.gateway}/v1/accounts/{path}", params=query) as answer:
        return answer.status, await answer.json()


async def items(place: Place, path: str, limit: int, **query: Any) -> list[Any]:
    """All pages of a history."""
    found: list[Any] = []
    more: dict[str, Any] = {}
    while True:
        status, page = await get(place, path, limit=limit, **query, **more)
        assert status == 200, page
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        more = {"before": page["next"]}


async def test_a_days_work_is_told_in_pages(system: Place) -> None:
    account, position = await account_with(system, "BUY")
    low = int(float((await sim_state(system))["markets"]["BTCUSDT"]["ask"]) * 0.97)
    resting = {**ORDER, "subAccountId": account, "side": "BUY", "quantity": HALF, "price": low}
    placed = await command(system, "limit", **resting)
    await command(system, "cancel", clientOrderId=placed["clientOrderId"])
    await command(system, "close", positionId=position)
    assert (await settled_books(system)).equal  # the journal follows the answers

    ledger = await items(system, f"{account}/ledger", 2)
    assert ledger == await items(system, f"{account}/ledger", 100)
    assert {item["cause"] for item in ledger} == {"deposit", "commission", "realized_pnl"}
    for newer, older in pairwise(ledger):
        assert newer["balanceBefore"] == older["balanceAfter"]
    trades = await items(system, f"{account}/trades", 1)
    assert sum(trade["quantity"] for trade in trades if trade["side"] == "SELL") == pytest.approx(2 * HALF)
    assert sum(trade["quantity"] for trade in trades if trade["side"] == "BUY") == pytest.approx(2 * HALF)
    orders = await items(system, f"{account}/orders", 1, state="closed")
    assert sorted(order["state"] for order in orders) == ["cancelled", "filled", "filled"]
    assert orders[0]["filledQty"] == pytest.approx(2 * HALF)
    days = await items(system, f"{account}/statement", 1)
    assert days[-1]["openingBalance"] == 0
    assert days[0]["closingBalance"] == ledger[0]["balanceAfter"]
    assert sum(day["trades"] for day in days) == len(trades)
    for day in days:
        total = sum(day["changes"].values())
        assert day["openingBalance"] + total == pytest.approx(day["closingBalance"])


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"limit": "many"}, {"before": "yesterday"}])
async def test_a_page_that_cannot_be_is_refused(system: Place, query: dict[str, Any]) -> None:
    status, body = await get(system, "nobody/ledger", **query)
    assert (status, body["errorCode"]) == (400, "VALIDATION_FAILED")


async def test_an_account_nobody_knows_has_no_history(system: Place) -> None:
    for path in ("ledger", "trades", "statement", "orders"):
        assert await get(system, f"nobody/{path}", state="closed") == (200, {"items": [], "next": None})
