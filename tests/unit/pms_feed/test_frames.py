"""Frames of the wire: typed decoding, routes, garbage, and one market's life over them."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pms_feed.app.frames import Frames
from pms_feed.app.market import Market
from pms_feed.app.wire import RestQuote, Snapshot
from pms_feed.domain.liveness import ALIVE_LIMIT_MS, SILENT_MS

T = 1_700_000_000_000


class Rig:
    """One market behind the frame handler, with what it published and the answers seen."""

    def __init__(self, source: Any = "both") -> None:
        self.frames = Frames()
        self.published: list[tuple[float, float]] = []
        self.answers: list[tuple[int, bool]] = []
        self.market = Market("BTCUSDT", source, lambda _market: None)
        self.frames.add(self.market)

    def _publish(self) -> None:
        """What the publisher does when the line to Redis is idle."""
        self.market.settle()
        if self.market.moved:
            self.market.tick(0)
            self.published.append((self.market.l1.bid, self.market.l1.ask))

    @property
    def garbage(self) -> int:
        return self.frames.garbage + self.market.garbage

    def text(self, body: bytes | str) -> None:
        body = body.encode() if isinstance(body, str) else body
        self.frames.on_text(lambda request_id, ok: self.answers.append((request_id, ok)), body)
        self._publish()

    def quote(self, update_id: int, bid: str, ask: str, **more: Any) -> None:
        event = {"e": "bookTicker", "u": update_id, "s": "BTCUSDT", "b": bid, "B": "1", "a": ask, "A": "2"}
        data = {**event, "T": T, "E": T, **more}
        self.text(json.dumps({"stream": "btcusdt@bookTicker", "data": data}))

    def depth(self, first: int, last: int, previous: int, bids: Any = (), asks: Any = (), **more: Any) -> None:
        event = {"e": "depthUpdate", "E": T, "T": T, "s": "BTCUSDT", "U": first, "u": last, "pu": previous}
        data = {**event, "b": bids, "a": asks, **more}
        self.text(json.dumps({"stream": "btcusdt@depth@100ms", "data": data}))

    def snapshot(self, update_id: int, bid: float, ask: float) -> bool:
        stands = self.market.on_snapshot(Snapshot(update_id, [(bid, 1.0)], [(ask, 1.0)], T), T, T * 1000)
        self._publish()
        return stands


def test_unknown_fields_and_rpi_marks_are_tolerated() -> None:
    rig = Rig()
    rig.quote(1, "10.5", "11", ps="BTCUSDT", st=1, rpi={"b": ["1"]}, nq="7")
    rig.depth(2, 3, 1, [["10.5", "1"]], st=1, ps="BTCUSDT")
    assert rig.published == [(10.5, 11.0)]
    assert rig.garbage == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_counted_and_never_fatal(body: bytes) -> None:
    rig = Rig()
    rig.text(body)
    assert rig.garbage + rig.frames.other + len(rig.answers) == 1
    assert rig.published == []


@given(st.integers(0, 200))
def test_truncated_frames_are_garbage_and_the_book_notices_the_loss(cut: int) -> None:
    rig = Rig()
    rig.depth(90, 100, 80)
    assert rig.snapshot(100, 10.0, 12.0)
    body = b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"U":101,"u":105,"pu":100,"b":[],"a":[]}}'
    rig.text(body[: min(cut, len(body) - 1)])
    assert rig.garbage + rig.frames.other == 1
    rig.depth(106, 110, 105)
    assert rig.market.wants_snapshot
    assert rig.market.gaps == 1


def test_values_that_are_no_prices_are_garbage() -> None:
    rig = Rig()
    for number in ("nan", "inf", "-1", "1e400", "", "x"):
        rig.quote(1, number, "11")
    rig.text('{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":1}}')
    rig.text('{"stream":"btcusdt@bookTicker"}')
    assert rig.garbage == 8
    assert not rig.market.l1.known


def test_a_bookticker_whose_fields_come_in_another_order_is_understood() -> None:
    rig = Rig()
    event = {"E": T, "u": 7, "a": "12", "A": "1", "b": "10", "B": "1", "s": "BTCUSDT", "e": "bookTicker"}
    rig.text(json.dumps({"data": event, "stream": "btcusdt@bookTicker"}))
    assert rig.published == [(10.0, 12.0)]


def test_garbage_on_a_quote_stream_vouches_for_nothing() -> None:
    rig = Rig()
    rig.quote(1, "10", "12")
    before = rig.market.quote_us
    rig.text('{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":2')
    assert rig.garbage == 1
    assert rig.market.quote_us == before


def test_answers_to_control_messages_are_told() -> None:
    rig = Rig()
    rig.text('{"result":null,"id":4}')
    rig.text('{"error":{"code":2,"msg":"Invalid request"},"id":5}')
    rig.text('{"code":2,"msg":"Invalid request","id":6}')
    rig.text('{"stream":"gone@bookTicker","data":{"e":"bookTicker","u":1,"E":1,"b":"1","B":"1","a":"2","A":"1"}}')
    assert rig.answers == [(4, True), (5, False), (6, False)]
    assert rig.frames.other == 1


def test_gap_resyncs_while_the_book_ticker_carries_on() -> None:
    rig = Rig()
    rig.quote(100, "10", "12")
    rig.depth(90, 100, 80)
    assert rig.snapshot(100, 10.0, 12.0)
    assert not rig.market.wants_snapshot
    rig.depth(120, 130, 119, [["10.5", "1"]])
    assert rig.market.wants_snapshot
    rig.quote(131, "10.6", "12")
    assert rig.published[-1] == (10.6, 12.0)
    rig.depth(131, 140, 130, [["10.7", "3"]])
    assert rig.snapshot(135, 10.6, 12.0)
    assert rig.published[-1] == (10.7, 12.0)
    assert not rig.market.wants_snapshot


@given(st.permutations(range(100, 111)), st.lists(st.booleans(), min_size=11, max_size=11))
def test_whatever_order_quotes_come_in_and_whenever_they_are_told_the_highest_id_wins(
    order: list[int], told: list[bool]
) -> None:
    rig = Rig()
    highest = 0
    for update_id, tell in zip(order, told, strict=True):
        event = {"e": "bookTicker", "u": update_id, "s": "BTCUSDT", "b": f"{update_id}", "B": "1", "a": "900", "A": "2"}
        body = json.dumps({"stream": "btcusdt@bookTicker", "data": {**event, "T": T, "E": T}})
        rig.frames.on_text(lambda _id, _ok: None, body.encode())
        highest = max(highest, update_id)
        if tell:
            rig.market.settle()
            assert rig.market.l1.bid == highest
    rig.market.settle()
    assert rig.market.l1.bid == highest


def test_a_tick_bears_the_venues_time_of_the_last_diff_its_book_was_made_of() -> None:
    rig = Rig("depth")
    rig.depth(101, 105, 100, [["10.5", "1"]], E=T + 7)
    rig.snapshot(103, 10.0, 12.0)
    assert rig.published == [(10.5, 12.0)]
    assert rig.market.l1.event_ms == T + 7


def test_the_newer_of_both_streams_wins_whatever_arrives_last() -> None:
    rig = Rig()
    rig.depth(90, 100, 80)
    rig.snapshot(100, 10.0, 12.0)
    rig.quote(110, "10.2", "12")
    rig.depth(101, 105, 100, [["10.1", "1"]])
    assert rig.published[-1] == (10.2, 12.0)
    rig.depth(106, 112, 105, [["10.4", "1"]])
    rig.quote(111, "10.3", "12")
    assert rig.published[-1] == (10.4, 12.0)


def test_source_decides_which_streams_are_read() -> None:
    assert Rig("both").market.streams == ("btcusdt@bookTicker", "btcusdt@depth@100ms")
    assert Rig("depth").market.streams == ("btcusdt@depth@100ms",)
    assert Rig("bookticker").market.streams == ("btcusdt@bookTicker",)
    assert not Rig("bookticker").market.wants_snapshot


def test_depth_alone_says_resyncing_until_its_book_stands_again() -> None:
    rig = Rig("depth")
    rig.market.opened(T)
    rig.depth(90, 100, 80)
    rig.snapshot(100, 10.0, 12.0)
    now = rig.market.depth_us // 1000
    rig.market.look(now, now)
    assert rig.market.tick(1).state == "live"
    rig.depth(120, 130, 119)
    rig.market.look(now + ALIVE_LIMIT_MS + 10_000, now + ALIVE_LIMIT_MS + 10_000)
    assert rig.market.state == "resyncing"
    assert rig.market.tick(1).bid == 10.0


def test_after_a_reconnect_lower_ids_are_taken() -> None:
    rig = Rig()
    rig.quote(1_000, "10", "12")
    rig.quote(5, "11", "12")
    assert rig.published == [(10.0, 12.0)]
    rig.market.disconnected()
    rig.quote(5, "11", "12")
    assert rig.published[-1] == (11.0, 12.0)


def test_a_rest_quote_gives_the_first_price_and_any_frame_replaces_it() -> None:
    rig = Rig()
    quote = RestQuote("BTCUSDT", 10.0, 1.0, 12.0, 1.0, T)
    assert rig.market.on_rest_quote(quote, T, T * 1000)
    assert rig.market.l1.bid == 10.0
    assert rig.market.liveness.agreed_ms == T
    rig.quote(1, "10.1", "12")
    assert rig.market.l1.bid == 10.1
    assert not rig.market.on_rest_quote(quote, T + 5_000, T * 1000)
    assert rig.market.liveness.doubted_ms == T + 5_000


def test_a_silent_stream_of_a_moving_market_is_found() -> None:
    rig = Rig()
    rig.quote(1, "10", "12")
    now = rig.market.quote_us // 1000
    assert rig.market.dead_streams(now) == []
    rig.market.opened(now - 10_000)
    assert rig.market.dead_streams(now) == []
    assert rig.market.dead_streams(now + SILENT_MS + 1) == ["btcusdt@depth@100ms"]


def test_tick_carries_the_alive_time_and_the_quote_in_its_order() -> None:
    rig = Rig()
    rig.quote(1, "10", "12")
    rig.market.liveness.agreed_ms = rig.market.quote_us // 1000 + 77
    rig.market.look(rig.market.liveness.agreed_ms, 0)
    tick = rig.market.tick(123)
    assert (tick.symbol, tick.bid, tick.bid_quantity, tick.ask, tick.ask_quantity) == ("BTCUSDT", 10.0, 1.0, 12.0, 2.0)
    assert (tick.event_ms, tick.sent_us, tick.state) == (T, 123, "live")
    assert tick.ts_ms == rig.market.liveness.agreed_ms
    assert tick.changed_ms == rig.market.quote_us // 1000
