"""W3C trace contexts: what is one, what is ignored, and how it is put into a message."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_common.contracts.events import splice
from pms_common.contracts.parse import parse_command
from pms_common.contracts.traceparent import EXAMPLE, LENGTH, Ids, ids, read, sampled, told

_, TRACE, SPAN, _ = EXAMPLE.split("-")
HEX = "0123456789abcdef"


def hexadecimal(digits: int) -> st.SearchStrategy[str]:
    return st.text(HEX, min_size=digits, max_size=digits)


@given(hexadecimal(32), hexadecimal(16), hexadecimal(2))
def test_what_has_its_form_is_taken_as_it_is(trace: str, span: str, flags: str) -> None:
    context = f"00-{trace}-{span}-{flags}"
    if int(trace, 16) and int(span, 16):
        assert read(context) == context
        assert ids(context) == Ids(trace, span)
        assert sampled(context) == bool(int(flags, 16) & 1)
    else:
        assert read(context) == ""


@given(st.one_of(st.text(max_size=80), st.integers(), st.none(), st.lists(st.text()), st.booleans()))
def test_anything_else_is_none(value: object) -> None:
    assert read(value) == ""


@given(st.integers(0, LENGTH - 1), st.characters(exclude_characters=HEX + "-"))
def test_one_wrong_character_makes_it_none(at: int, wrong: str) -> None:
    assert read(EXAMPLE[:at] + wrong + EXAMPLE[at + 1 :]) == ""


@pytest.mark.parametrize(
    "bad",
    [
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"01-{TRACE}-{SPAN}-01more",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 1000,
    ],
)
def test_what_looks_like_one_is_none(bad: str) -> None:
    assert read(bad) == ""


def test_of_a_later_version_what_is_known_is_taken() -> None:
    assert read(f"01-{TRACE}-{SPAN}-01-what-comes-later") == read(f"cc-{TRACE}-{SPAN}-01") == f"00-{TRACE}-{SPAN}-01"


def test_an_empty_one_is_not_sampled_and_changes_no_message() -> None:
    assert not sampled("")
    assert told(b'{"a":1}', "") == b'{"a":1}'
    assert json.loads(told(b'{"a":1}', EXAMPLE)) == {"a": 1, "traceparent": EXAMPLE}
    assert json.loads(splice(b'{"a":1}', 1, "2-3", 4)) == {"seq": 1, "eventId": "2-3", "epoch": 4, "a": 1}
    assert json.loads(splice(b'{"a":1}', 1, "2-3", 4, EXAMPLE))["traceparent"] == EXAMPLE


BODY = {"subAccountId": "a", "clientOrderId": "c", "requestId": "r"}


@pytest.mark.parametrize("bad", ["", "nonsense", 5, True, {}, EXAMPLE.upper()])
def test_an_invalid_one_refuses_no_command_and_is_named(bad: object) -> None:
    parsed = parse_command("cancel", json.dumps(BODY | {"traceparent": bad}).encode(), "1-0")
    assert parsed.command.traceparent is None
    assert parsed.warnings == ("traceparent is no W3C trace context and was ignored",)


def test_a_command_sent_again_in_another_trace_is_the_same() -> None:
    plain = parse_command("cancel", json.dumps(BODY).encode(), "1-0")
    traced = parse_command("cancel", {**BODY, "traceparent": EXAMPLE}, "1-0")
    assert (plain.command.traceparent, traced.command.traceparent) == (None, EXAMPLE)
    assert plain.body_hash == traced.body_hash
