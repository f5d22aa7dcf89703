"""Client order ids: deterministic, within the venue's form, and without collisions (R-31, R-10, invariant 1)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_common.ids import client_order_id, object_id, token

VENUE_FORM = re.compile(r"^[.A-Z:/a-z0-9_-]{1,36}$")


@given(account=st.text(min_size=1, max_size=40), request=st.text(max_size=128), kind=st.sampled_from(["MKT", "LMT"]))
def test_id_has_the_venues_form_for_any_account(account: str, request: str, kind: str) -> None:
    assert VENUE_FORM.match(client_order_id("pms", account, kind, request))


def test_same_input_gives_the_same_id_across_processes() -> None:
    # A fixed value: an id that changed between releases would send a redelivered request a second time.
    assert client_order_id("pms", "abc-def-ghi", "MKT", "r1") == "PMS_abc-def-_MKT_qMPgdwBYgGdTWGZrxfI"


def test_every_part_changes_the_id() -> None:
    base = {
        "namespace": "pms", "account_id": "account-1", "kind": "LMT", "request_id": "r1", "child": 0, "attempt": 0,
    }  # fmt: skip
    others = {
        "namespace": "pms2", "account_id": "account-2", "kind": "MKT", "request_id": "r2", "child": 1, "attempt": 1,
    }  # fmt: skip
    ids = {client_order_id(**base), *(client_order_id(**{**base, part: other}) for part, other in others.items())}
    assert len(ids) == len(base) + 1


def test_parts_cannot_run_into_each_other() -> None:
    assert token("a", "bc") != token("ab", "c")


def test_r31_ids_of_requests_children_and_attempts_without_collision() -> None:
    seen = set()
    for n in range(200_000):
        account, request, child, attempt = f"account-{n // 4 % 7}", f"r{n // 4}", n // 2 % 2, n % 2
        seen.add(hash(client_order_id("pms", account, "LMT", request, child, attempt)))
    assert len(seen) == 200_000


@pytest.mark.slow
def test_r31_ten_million_ids_without_collision() -> None:
    seen = set()
    for n in range(10_000_000):
        seen.add(hash(token("pms", "account", n)))
    # Python hashes are 64 bits: about 3e-6 collisions expected among 1e7, where the ids themselves have 112 bits.
    assert len(seen) == 10_000_000


def test_object_ids_of_different_kinds_differ() -> None:
    assert object_id("chase", "pms", "a", "r") != object_id("twap", "pms", "a", "r")
    assert object_id("chase", "pms", "a", "r").startswith("chase_")
