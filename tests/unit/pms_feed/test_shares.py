"""The feeds' shares of the symbols: one of them tells each, whoever joins, leaves or is killed."""

from dataclasses import dataclass, field, replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pms_feed.domain.shares import DRIFT_MS, LATE_MS, LIFE_MS, Member, Shares

SYMBOLS = frozenset(f"SYM{at}USDT" for at in range(30))
STEP_MS = 50
RENEW_MS = 300
START_MS = 1_000_000


@dataclass
class Redis:
    """What the script of `adapters.members` keeps, with a clock of its own."""

    records: dict[str, Member] = field(default_factory=dict)

    def renew(self, name: str, now_ms: int) -> list[Member]:
        others = [member for member in self.records.values() if member.name != name and member.until_ms > now_ms]
        known = self.records.get(name)
        if known is not None and known.until_ms > now_ms:
            from_ms = known.from_ms if others else 0
        else:
            from_ms = 0 if known is None and not others else now_ms + LIFE_MS
        self.records[name] = Member(name, from_ms, now_ms + LIFE_MS)
        return [*others, self.records[name]]


class Cluster:
    """Feeds that renew every 300 ms, each at a beat of its own, until they are killed.

    They split every `split_every_ms`, and their answers from Redis take `answer_ms`: by so much each is unsure of what
    another's begin is by its own clock (see `adapters.members`).
    """

    def __init__(self, split_every_ms: int = STEP_MS, answer_ms: int = 0) -> None:
        self.redis = Redis()
        self.feeds: dict[str, Shares] = {}
        self.told: dict[str, frozenset[str]] = {}
        self.split_every_ms = split_every_ms
        self.answer_ms = answer_ms
        self.paused: set[str] = set()
        self.now_ms = START_MS
        self.untold_ms = dict.fromkeys(SYMBOLS, 0)
        self.longest_ms = 0

    def join(self, name: str) -> None:
        self.feeds[name] = Shares(name)
        self.told.pop(name, None)  # what an earlier life told ended with it
        self.beat(name)

    def beat(self, name: str) -> None:
        members = [self._unsure(name, member) for member in self.redis.renew(name, self.now_ms)]
        self.feeds[name].renewed(self.now_ms, members, self.now_ms)

    def _unsure(self, name: str, member: Member) -> Member:
        off_ms = self.answer_ms if member.name == name else -self.answer_ms
        return replace(member, from_ms=member.from_ms and member.from_ms + off_ms)

    def run(self, lasts_ms: int) -> None:
        for _ in range(lasts_ms // STEP_MS):
            self.now_ms += STEP_MS
            for at, name in enumerate(self.feeds):
                if name not in self.paused and (self.now_ms + at * 70) % RENEW_MS < STEP_MS:
                    self.beat(name)
            self.look()

    def look(self) -> None:
        for at, (name, feed) in enumerate(self.feeds.items()):
            if (self.now_ms + at * STEP_MS) % self.split_every_ms == 0:
                self.told[name] = feed.split(SYMBOLS, self.now_ms).told
        told = [self.told.get(name, frozenset()) for name, feed in self.feeds.items() if feed.believes(self.now_ms)]
        for symbol in SYMBOLS:
            tellers = sum(symbol in symbols for symbols in told)
            assert tellers <= 1, f"{symbol} is told by {tellers}"
            self.untold_ms[symbol] = 0 if tellers else self.untold_ms[symbol] + STEP_MS
            self.longest_ms = max(self.longest_ms, self.untold_ms[symbol])


def test_a_feed_alone_tells_everything_at_once() -> None:
    cluster = Cluster()
    cluster.join("a")
    assert cluster.feeds["a"].split(SYMBOLS, START_MS) == (SYMBOLS, SYMBOLS)


def test_who_joins_prepares_its_symbols_and_takes_them_over_without_a_hole() -> None:
    cluster = Cluster()
    cluster.join("a")
    cluster.run(2_000)
    cluster.join("b")
    joining = cluster.feeds["b"].split(SYMBOLS, cluster.now_ms)
    assert joining.carried
    assert not joining.told
    cluster.longest_ms = 0
    cluster.run(LIFE_MS + 2 * LATE_MS)
    assert cluster.feeds["b"].split(SYMBOLS, cluster.now_ms).told == joining.carried
    assert cluster.feeds["a"].split(SYMBOLS, cluster.now_ms).carried == SYMBOLS - joining.carried
    assert cluster.longest_ms <= LATE_MS + STEP_MS


def test_the_others_take_over_what_a_killed_feed_had_and_nothing_else_moves() -> None:
    cluster = Cluster()
    for name in "abc":
        cluster.join(name)
        cluster.run(2_500)
    before = {name: feed.split(SYMBOLS, cluster.now_ms).told for name, feed in cluster.feeds.items()}
    del cluster.feeds["b"]
    cluster.longest_ms = 0
    cluster.run(3_000)
    for name, feed in cluster.feeds.items():
        assert feed.split(SYMBOLS, cluster.now_ms).told >= before[name]
    assert LIFE_MS - RENEW_MS <= cluster.longest_ms <= LIFE_MS + RENEW_MS + 2 * STEP_MS


def test_a_feed_that_is_not_heard_tells_nothing_from_before_others_may() -> None:
    cluster = Cluster()
    for name in "ab":
        cluster.join(name)
        cluster.run(2_500)
    cluster.paused.add("a")
    asked_ms = cluster.now_ms
    cluster.run(5_000)
    assert not cluster.feeds["a"].believes(asked_ms + LIFE_MS - DRIFT_MS)
    assert cluster.feeds["b"].split(SYMBOLS, cluster.now_ms).told == SYMBOLS
    carried = cluster.feeds["a"].split(SYMBOLS, cluster.now_ms).carried
    assert carried
    cluster.paused.clear()
    cluster.run(3_000)


def test_records_of_the_dead_that_a_clock_set_back_keeps_are_seen_through() -> None:
    shares = Shares("a")
    dead = Member("b", 0, 9_000_000)
    for at in range(0, 3_000, RENEW_MS):
        now_ms = START_MS + at
        shares.renewed(now_ms, [dead, Member("a", 0, now_ms)], now_ms)
    assert shares.split(SYMBOLS, START_MS + 2_700).told == SYMBOLS


steps = st.lists(
    st.tuples(st.sampled_from(["join", "kill", "pause", "go on"]), st.integers(0, 4), st.integers(0, 4_000)),
    max_size=12,
)


@settings(deadline=None, max_examples=100)
@given(steps, st.sampled_from([STEP_MS, 2 * STEP_MS, 10 * STEP_MS]), st.sampled_from([0, 100, 450]))
@example([("join", 1, 3_370), ("join", 3, 788), ("pause", 1, 1_227)], 10 * STEP_MS, 0)  # heard again between two splits
def test_whatever_happens_to_feeds_none_tells_what_another_does(
    happened: list[tuple[str, int, int]], split_every_ms: int, answer_ms: int
) -> None:
    cluster = Cluster(split_every_ms, answer_ms)
    cluster.join("first")
    for what, which, lasts_ms in happened:
        name = f"feed{which}"
        match what:
            case "join" if name not in cluster.feeds:
                cluster.join(name)
            case "kill":
                cluster.feeds.pop(name, None)
                cluster.redis.records.pop(name, None) if lasts_ms % 2 else None
            case "pause" if name in cluster.feeds:
                cluster.paused.add(name)
            case _:
                cluster.paused.discard(name)
        cluster.run(lasts_ms)
    cluster.paused.clear()
    cluster.run(2 * LIFE_MS + LATE_MS)
    told = [feed.split(SYMBOLS, cluster.now_ms).told for feed in cluster.feeds.values()]
    assert frozenset().union(*told) == SYMBOLS
