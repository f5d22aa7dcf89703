"""Which countdowns are set, and which ends they explain."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pms_orders.orders import sent

from pms_orders.app.dead_man import DeadMan
from pms_orders.domain.dead_man import Countdown, capacity, decide, explains

FOR_MS = 60_000
NOW_MS = 1_000_000


def test_it_arms_where_own_orders_rest_and_no_foreign_ones() -> None:
    own = {"BTCUSDT": 1, "ETHUSDT": 2}
    assert decide(own, {"ETHUSDT"}, {}, NOW_MS, FOR_MS) == [Countdown("BTCUSDT", FOR_MS)]


def test_it_sets_again_when_a_third_has_passed() -> None:
    own = {"BTCUSDT": 1}
    assert decide(own, set(), {"BTCUSDT": NOW_MS + 40_001}, NOW_MS, FOR_MS) == []
    assert decide(own, set(), {"BTCUSDT": NOW_MS + 40_000}, NOW_MS, FOR_MS) == [Countdown("BTCUSDT", FOR_MS)]


def test_it_disarms_where_no_order_is_left_or_a_foreign_one_came_but_not_what_has_run_out() -> None:
    armed = {"BTCUSDT": NOW_MS + 50_000, "ETHUSDT": NOW_MS + 50_000, "XRPUSDT": NOW_MS}
    assert decide({"ETHUSDT": 1}, {"ETHUSDT"}, armed, NOW_MS, FOR_MS) == [
        Countdown("BTCUSDT", 0),
        Countdown("ETHUSDT", 0),
    ]


def test_a_countdown_explains_ends_at_its_end_only() -> None:
    assert explains(NOW_MS, NOW_MS, NOW_MS) and explains(NOW_MS, NOW_MS, NOW_MS + 4_000)
    assert not explains(NOW_MS, NOW_MS, NOW_MS - 1_000) and not explains(NOW_MS, NOW_MS, NOW_MS + 60_000)
    assert explains(NOW_MS - 30_000, NOW_MS, NOW_MS - 20_000), "any of those that were asked for may have run"


symbols = st.text("ABCDEFGH", min_size=3, max_size=4)


@given(
    own=st.dictionaries(symbols, st.integers(1, 50), max_size=60),
    foreign=st.sets(symbols, max_size=20),
    armed=st.dictionaries(symbols, st.integers(NOW_MS - FOR_MS, NOW_MS + FOR_MS), max_size=60),
)
def test_every_armed_symbol_has_own_orders_and_no_foreign_ones_and_the_weight_is_kept(
    own: dict[str, int], foreign: set[str], armed: dict[str, int]
) -> None:
    decided = decide(own, foreign, armed, NOW_MS, FOR_MS)
    after = {symbol: until_ms for symbol, until_ms in armed.items() if until_ms > NOW_MS}
    for symbol, countdown_ms in decided:
        after.pop(symbol, None)
        if countdown_ms:
            after[symbol] = NOW_MS + countdown_ms
    assert len(after) <= capacity(FOR_MS) and not after.keys() & foreign and after.keys() <= own.keys()
    left = own.keys() - foreign - after.keys()
    assert not left or len(after) == capacity(FOR_MS)
    assert all(until_ms > NOW_MS + FOR_MS // 2 for until_ms in after.values())


class Exchange:
    """The manager's orders, the exchange and Redis of a switch; `set` are the countdowns that were asked for."""

    def __init__(self) -> None:
        me: Any = self
        self.set: list[tuple[str, int]] = []
        self.others: set[str] = set()
        self.tracker = self
        self.switch = DeadMan(
            countdown_ms=FOR_MS,
            manager=me,
            rest=me,
            clock=me,
            outbox=me,
            key="k",
            healthy=lambda: True,
            others_at=lambda: set(self.others),
        )
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms

    def live(self) -> list[Any]:
        return [sent()]

    def find_reported(self, *_of: Any) -> None:
        return None

    async def open_orders(self, _symbol: str) -> list[Any]:
        return []

    def command(self, *_words: Any) -> None:
        """Redis keeps it."""

    async def flush(self) -> None:
        """It has."""

    async def ask(self, _verb: str, _path: str, _weight: int, _form: Any, asked: dict[str, Any]) -> None:
        self.set.append((asked["symbol"], asked["countdownTime"]))


async def test_r30_an_order_of_others_that_comes_while_a_countdown_runs_disarms_it_at_once() -> None:
    exchange = Exchange()
    await exchange.switch._turn()
    exchange.others.add("BTCUSDT")
    await exchange.switch._turn()
    assert exchange.set == [("BTCUSDT", FOR_MS), ("BTCUSDT", 0)]
    exchange.ms += FOR_MS // 3 - 1
    await exchange.switch._turn()
    assert len(exchange.set) == 2
    exchange.ms += 1  # its end may have been missed: the exchange is asked whether it still rests
    await exchange.switch._turn()
    assert exchange.set[2:] == [("BTCUSDT", FOR_MS)]
