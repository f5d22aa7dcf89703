"""A seed makes a schedule: what is asked of the order service, how the market moves, and what goes wrong when.

Pure: the same seed gives the same schedule, whatever the machine. Times are milliseconds of the hastened clock.
"""

from decimal import Decimal
from random import Random
from typing import Any

import msgspec

ACCOUNTS = ("acct-one", "acct-two", "acct-three")
MIDDLES = {"BTCUSDT": Decimal(60_000), "ETHUSDT": Decimal(3_000)}
TICKS = {"BTCUSDT": Decimal("0.1"), "ETHUSDT": Decimal("0.01")}
STEPS = {"BTCUSDT": Decimal("0.001"), "ETHUSDT": Decimal("0.01")}
DEATHS = {
    "venue:write": 8,
    "venue:answer": 8,
    "venue:event": 12,
    "redis:multi": 14,
    "redis:exec": 14,
    "database:commit": 12,
    "database:committed": 12,
    "redis:write": 60,
    "redis:read": 60,
    "redis:heard": 60,
    "database:write": 90,
    "database:read": 90,
    "database:heard": 90,
    "venue:heard": 40,
}
"""Where the service is killed, and up to the how-manieth time that point is reached in one life."""
SURE_DEATHS = (
    "venue:write",
    "venue:answer",
    "venue:event",
    "redis:multi",
    "redis:exec",
    "database:commit",
    "database:committed",
)
TRADING = ("order.place", "order.modify", "order.cancel")
QUERIES = ("order.status", "openOrders", "userTrades", "POST /fapi/v1/listenKey")
CERTAIN = ((503, -1001, "Internal error; unable to process your request."), (503, -1008, "Service Unavailable."))
UNCERTAIN = (
    (503, 0, "Unknown error, please check your request or try again later."),
    (408, -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    (500, -1000, "An unknown error occurred while processing the request."),
)


class Step(msgspec.Struct, frozen=True):
    """Something that is done at a time: `do` names it, `what` are its particulars."""

    at_ms: int
    do: str
    what: dict[str, Any]


class Schedule(msgspec.Struct, frozen=True):
    """One little trading life, and what goes wrong in it. `deaths`: of the first life, of the second, and so on."""

    seed: int
    waits: str
    """Whether trading waits for the service to be ready: `never`, `once` in the beginning, or `always`."""
    instances: int
    """How many processes there are at a time: with a second one that stands by."""
    steps: list[Step]
    deaths: list[list[tuple[str, int]]]
    pauses_ms: list[int]
    """Before each life but the first."""


def make(seed: int) -> Schedule:
    """The schedule of a seed."""
    return _Maker(seed).make()


class _Maker:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(f"faults {seed}")
        self._steps: list[Step] = []
        self._orders: list[dict[str, Any]] = []
        self._requests = 0
        self._end_ms = self._random.choice((1_500, 3_000, 5_000))
        self._burst_ms = self._random.randint(0, self._end_ms)

    def make(self) -> Schedule:
        chance = self._random
        accounts = ACCOUNTS[: chance.randint(1, 3)]
        symbols = list(MIDDLES)[: chance.choice((1, 1, 2))]
        for _ in range(chance.randint(2, 9)):
            self._order(chance.choice(accounts), chance.choice(symbols))
        for _ in range(chance.randint(1, 6)):
            self._change(chance.choice(self._orders))
        if chance.random() < 0.3:
            self._cancel_all(chance.choice(accounts), chance.choice((None, *symbols)))
        if chance.random() < 0.3:
            self._add("foreign", self._when(), **self._terms(chance.choice(symbols), resting=True))
        for _ in range(chance.randint(1, 8)):
            self._move(chance.choice(symbols))
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            self._go_wrong()
        deaths = [self._death() for _ in range(chance.choice((0, 1, 1, 2, 2, 3)))]
        pauses = [chance.choice((0, 0, 300, 2_000)) for _ in deaths]
        steps = sorted(self._steps, key=lambda step: step.at_ms)
        waits = chance.choices(("never", "once", "always"), (1, 2, 3))[0]
        rivals = any(step.do == "freeze" for step in steps) and chance.random() < 0.7
        instances = 2 if rivals else chance.choice((1, 1, 1, 2))
        return Schedule(self._seed, waits, instances, steps, deaths, pauses)

    # -- trading

    def _add(self, do: str, at_ms: int, **what: Any) -> None:
        self._steps.append(Step(at_ms, do, what))

    def _when(self, from_ms: int = 0) -> int:
        """Some time; for a quarter of what is done the same one."""
        if from_ms <= self._burst_ms and self._random.random() < 0.25:
            return self._burst_ms
        return self._random.randint(min(from_ms, self._end_ms), self._end_ms)

    def _request(self, kind: str) -> str:
        self._requests += 1
        return f"{kind}-{self._requests}"

    def _terms(self, symbol: str, *, resting: bool) -> dict[str, Any]:
        """A side, a quantity and a price that rests, or one that crosses."""
        chance, tick = self._random, TICKS[symbol]
        side = chance.choice(("BUY", "SELL"))
        away = tick * chance.randint(1, 400) if resting else -tick * chance.randint(0, 300)
        price = MIDDLES[symbol] - away if side == "BUY" else MIDDLES[symbol] + away
        quantity = STEPS[symbol] * chance.randint(3, 40)
        if quantity * price < 150:  # above every symbol's minimum notional
            quantity += STEPS[symbol] * 10
        return {"symbol": symbol, "side": side, "quantity": str(quantity), "price": str(price)}

    def _order(self, account: str, symbol: str) -> None:
        chance = self._random
        kind = chance.choices(("LIMIT", "MARKET"), (4, 1))[0]
        force = chance.choices(("GTC", "GTX", "IOC", "FOK"), (6, 2, 1, 1))[0]
        terms = self._terms(symbol, resting=chance.random() < (0.8 if force in ("GTC", "GTX") else 0.3))
        closes = chance.random() < 0.15
        request = self._request("order")
        order = {
            **terms,
            "account": account,
            "request": request,
            "type": kind,
            "force": force if kind == "LIMIT" else None,
            "reduce_only": closes,
            "child": chance.random() < 0.2,
            "answer": chance.random() < 0.8,
            "expires_ms": chance.choice((None, None, None, 30_000, 10_000, 1_000)),
            "stream": "urgent" if closes else "requests",
        }
        self._orders.append({**order, "at_ms": self._when()})
        self._add("place", self._orders[-1]["at_ms"], **order)
        if chance.random() < 0.2:
            self._add("repeat", self._when(self._orders[-1]["at_ms"]), request=request)

    def _change(self, order: dict[str, Any]) -> None:
        chance = self._random
        at_ms = order["at_ms"]
        do = chance.choices(("amend", "cancel", "command", "overtake"), (4, 2, 3, 1))[0]
        if do == "amend":
            terms = self._terms(order["symbol"], resting=chance.random() < 0.85)
            price = str(2 * MIDDLES[order["symbol"]] - Decimal(terms["price"]))
            asked = {"price": terms["price"] if terms["side"] == order["side"] else price}
            quantity = order["quantity"] if chance.random() < 0.5 else terms["quantity"]
            self._add("amend", self._when(at_ms), request=order["request"], quantity=quantity, **asked)
        elif do == "cancel":
            stream = chance.choice(("urgent", "changes"))
            self._add("cancel", self._when(at_ms), request=order["request"], stream=stream)
        elif do == "command":
            name = self._request("cancel")
            at_ms = self._when(at_ms)
            wait = chance.choice(("final", "final", "ack"))
            for when in (at_ms, *((self._when(at_ms),) if chance.random() < 0.3 else ())):
                self._add("command", when, request=order["request"], name=name, wait=wait)
        else:
            self._add("cancel", max(0, at_ms - chance.randint(0, 300)), request=order["request"], stream="urgent")

    def _cancel_all(self, account: str, symbol: str | None) -> None:
        chance = self._random
        children = chance.random() < 0.5
        self._add(
            "cancel_all", self._when(), account=account, symbol=symbol, children=children, name=self._request("all")
        )

    def _move(self, symbol: str) -> None:
        chance, tick, middle = self._random, TICKS[symbol], MIDDLES[symbol]
        if chance.random() < 0.5:
            bid = middle + tick * chance.randint(-300, 300)
            size = str(STEPS[symbol] * chance.choice((5, 100, 5_000)))
            ask = bid + tick * chance.randint(1, 20)
            self._add("market", self._when(), symbol=symbol, bid=str(bid), ask=str(ask), bidQty=size, askQty=size)
        else:
            side = chance.choice(("BUY", "SELL"))
            quantity = str(STEPS[symbol] * chance.choice((1, 5, 20, 200)))
            self._add("trade", self._when(), symbol=symbol, side=side, quantity=quantity)

    # -- faults

    def _go_wrong(self) -> None:
        chance = self._random
        on_messages = (self._lose, self._refuse, self._delay, self._confuse, self._confuse, self._lag)
        wrong = chance.choice((*on_messages, self._part, self._freeze))
        wrong(self._when(), chance.choice((1, 1, 2, 3)))

    def _lose(self, at_ms: int, count: int) -> None:
        """Requests, or their answers."""
        chance = self._random
        operation = chance.choice((*TRADING, *TRADING, *QUERIES))
        if chance.random() < 0.3:
            self._fault(at_ms, kind="disconnect", operation=operation, count=count)
        else:
            executed = chance.random() < 0.7
            self._fault(at_ms, kind="drop_response", operation=operation, count=count, executed=executed)

    def _refuse(self, at_ms: int, count: int) -> None:
        """Errors: of requests that were not executed, or that may have been."""
        chance = self._random
        http, code, text = chance.choice((*CERTAIN, *UNCERTAIN))
        executed = (http, code, text) in UNCERTAIN and chance.random() < 0.5
        error = {"http": http, "code": code, "msg": text, "executed": executed}
        self._fault(at_ms, kind="error", operation=chance.choice((*TRADING, *TRADING, *QUERIES)), count=count, **error)

    def _delay(self, at_ms: int, count: int) -> None:
        """Requests or answers that come late, some past their receive window or the patience for them."""
        chance = self._random
        late = {"where": chance.choice(("request", "response")), "ms": chance.choice((100, 800, 2_500, 4_000))}
        self._fault(at_ms, kind="delay", operation=chance.choice((*TRADING, *QUERIES)), count=count, **late)

    def _confuse(self, at_ms: int, count: int) -> None:
        """Events of the user stream."""
        chance = self._random
        kind = chance.choice(("drop_event", "duplicate_event", "late_event", "reorder_events"))
        event = chance.choice(("ORDER_TRADE_UPDATE", "ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE"))
        how: dict[str, Any] = {"event": event} if chance.random() < 0.7 else {}
        if kind == "reorder_events":
            how |= {"size": chance.randint(2, 5), "seed": chance.randint(1, 1_000)}
            count *= 4
        elif kind != "drop_event":
            how["ms"] = chance.choice((10, 300, 1_500, 3_000))
        self._fault(at_ms, kind=kind, count=count, **how)

    def _part(self, at_ms: int, _count: int) -> None:
        """Connections that break, or fall silent."""
        chance = self._random
        who = chance.choice(("venue", "venue", "silent", "redis", "database"))
        if who == "venue":
            self._fault(at_ms, kind="disconnect", sockets=chance.choice(("private", "ws-api", "all")))
        elif who == "silent":
            sockets, pongs = chance.choice(("private", "ws-api")), chance.random() < 0.5
            self._fault(at_ms, kind="half_open", sockets=sockets, pongs=pongs)
        else:
            self._add(who, at_ms)

    def _freeze(self, at_ms: int, _count: int) -> None:
        """The process that leads stands still, as on a machine that is suspended or swaps, and then goes on."""
        self._add("freeze", at_ms, ms=self._random.choice((300, 2_000, 5_000)))

    def _lag(self, at_ms: int, _count: int) -> None:
        """Queries that answer from the past, as far as the venue's were seen to."""
        self._fault(at_ms, kind="stale_query", ms=self._random.choice((300, 1_500)), seconds=5)

    def _fault(self, at_ms: int, **body: Any) -> None:
        self._add("fault", at_ms, **body)

    def _death(self) -> list[tuple[str, int]]:
        chance = self._random
        points = SURE_DEATHS if chance.random() < 0.7 else tuple(DEATHS)
        point = chance.choice(points)
        return [(point, chance.randint(1, DEATHS[point]))]
