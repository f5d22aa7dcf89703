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
    base = ("pms", "account-1", "LMT", "r1", 0, 0)
    ids = {client_order_id(*base)}
    for i, other in enumerate(("pms2", "account-2", "MKT", "r2", 1, 1)):
        ids.add(client_order_id(*base[:i], other, *base[i + 1 :]))  # type: ignore[arg-type]
    assert len(ids) == len(base) + 1


def test_parts_cannot_run_into_each_other() -> None:
    assert token("a", "bc") != token("ab", "c")


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
