"""The recorded market drives a chase: every amend is explained by a quote that was recorded, and by the chase's rules.

Each best bid and ask of a capture goes to a chase that follows both ways at the touch. Whatever price it asks for is a
recorded own quote, seen within the time that its rules hold a move back.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.data.captures import lines
from tests.unit.pms_algos.build import D, plan, spec, update

from pms_algos.domain import chase as chases
from pms_algos.domain.actions import Amend, Ask, Market
from pms_algos.domain.chase_quote import FLICKER_MS

MIN_INTERVAL_MS = 100
TICK = D("0.01")
"""No symbol of the captures has a finer one; a move of one of these may be less than a tick of its own."""
Quote = tuple[int, Decimal, Decimal]
"""The exchange's time, best bid, best ask."""


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_every_amend_of_a_chase_is_explained_by_a_recorded_quote(
    capture_file: Path, side: str, record_property: Any
) -> None:
    quotes: dict[str, list[Quote]] = {}
    for line in lines(capture_file):
        if line.raw.get("stream", "").endswith("@bookTicker"):
            told = line.raw["data"]
            quotes.setdefault(told["s"], []).append((told["E"], D(told["b"]), D(told["a"])))
    amends = sum(_chase(symbol, side, told) for symbol, told in quotes.items())
    record_property("cases", max(amends, 1))
    print(f"{capture_file.name}: {side}: {sum(map(len, quotes.values()))} quotes, {amends} amends explained")


def _chase(symbol: str, side: str, quotes: list[Quote]) -> int:
    """Amends of one chase along the quotes of a symbol, each held against what was recorded before it."""
    rules = spec(symbol=symbol, tick_size=TICK, max_price=D(0), percent_price_up=D(5), percent_price_down=D("0.2"))
    own = [bid if side == "BUY" else ask for _, bid, ask in quotes]
    the_plan = plan(symbol=symbol, side=side, anchor=own[0], min_interval_ms=MIN_INTERVAL_MS, quantity=D(10))
    state, _ = chases.start(the_plan, quotes[-1][0] + 60_000)
    explained, moved_ms = 0, 0
    for number, (at_ms, bid, ask) in enumerate(quotes):
        market = Market(bid, ask, rules)
        on = chases.on_saved if number == 0 else chases.on_quote
        state, actions = on(state, market, at_ms)
        for action in actions:
            if isinstance(action, Ask | Amend):
                assert action.price == own[number], f"{symbol} {at_ms}: {action.price}, the quote was {own[number]}"
                cause = "accepted" if isinstance(action, Ask) else "amended"
                told = update(cause, "active", side=side, quantity=D(10), price=action.price)  # type: ignore[arg-type]
                before = state.child.price
                state, _ = chases.on_child(state, 0, 0, told, rules, at_ms)
                if isinstance(action, Amend):
                    _explain(side, before, action.price, own, [ms for ms, _, _ in quotes[: number + 1]], moved_ms)
                    explained += 1
                moved_ms = at_ms
    return explained


def _explain(side: str, before: Any, price: Any, own: list[Any], times: list[int], moved_ms: int) -> None:
    """Not sooner than the least interval; and a single tick towards the market has stood for a while."""
    now_ms = times[-1]
    assert now_ms - moved_ms >= MIN_INTERVAL_MS
    assert price != before
    toward = price > before if side == "BUY" else price < before
    if toward and abs(price - before) <= TICK:
        lasting = [quote for quote, ms in zip(own, times, strict=False) if now_ms - FLICKER_MS < ms <= now_ms]
        assert set(lasting) == {price}, "a flicker was followed"
