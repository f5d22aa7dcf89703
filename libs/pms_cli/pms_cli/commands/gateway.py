"""The rows of the views, asked from the gateway.

Owns what is shown beside what the gateway answers: an account's name for its id, an algo's id under one name, a line
for each process. Used by `views`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pms_cli.commands.shared import settings

if TYPE_CHECKING:
    import aiohttp

Rows = list[dict[str, Any]]
ALL = "all"


async def rows_of(url: str, names: Sequence[str]) -> dict[str, Rows]:
    """The rows of each view. Raises what aiohttp raises."""
    import aiohttp

    token = settings().token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(url, headers=headers, timeout=timeout, raise_for_status=True) as session:
        accounts: Rows = (await _get(session, "accounts"))["accounts"]
        told = await _get(session, "services") if {"services", "trading"} & set(names) else {}
        named = {account["id"]: account["name"] for account in accounts}
        views: dict[str, Rows] = {"accounts": accounts}
        views["services"] = list(_processes(told.get("services", ())))
        views["trading"] = [_named(named, state) for state in told.get("tradingStates", ())]
        for name in set(names) - views.keys():
            views[name] = [_named(named, _identified(row)) for row in (await _get(session, name))[name]]
    return {name: views[name] for name in names}


async def _get(session: "aiohttp.ClientSession", name: str) -> dict[str, Any]:
    async with session.get(f"/v1/{name}") as answer:
        told: dict[str, Any] = await answer.json()
        return told


def _named(names: Mapping[str, str], row: dict[str, Any]) -> dict[str, Any]:
    account_id = row["subAccountId"]
    return {"account": names.get(account_id, account_id) if account_id else ALL, **row}


def _identified(row: dict[str, Any]) -> dict[str, Any]:
    """Each kind of algo names its id after itself."""
    if "kind" not in row:
        return row
    first, *rest = row["kind"].split("_")
    return {"id": row[f"{first}{''.join(map(str.capitalize, rest))}Id"], **row}


def _processes(services: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for service in services:
        if not service["processes"]:
            yield {"service": service["name"], "state": "not there"}
        for beat in service["processes"]:
            waiting = [backlog["lag"] + backlog["pending"] for backlog in beat["backlogs"]]
            yield {
                "service": beat["service"],
                "process": beat["process"],
                "state": _state(beat),
                "waiting": sum(waiting),
                "loopLagMs": round(beat["figures"].get("loop_lag_max_seconds", beat["loopLagS"]) * 1000),
                "memoryMb": round(beat["residentBytes"] / 1e6),
            }


def _state(beat: dict[str, Any]) -> str:
    if beat["leads"] is False:
        return "stands by"
    if not beat["ready"]:
        return beat["why"] or "not ready"
    return "leads" if beat["leads"] else "ready"
