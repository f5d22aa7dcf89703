"""Tokens, statuses, waiting callers, the ring."""

import hashlib
import json
from pathlib import Path

import pytest

from pms_common.contracts.errors import ErrorCode
from pms_common.contracts.traceparent import EXAMPLE
from pms_gateway.app.hub import Hub, LiveEvent
from pms_gateway.app.waiters import TooManyWaiting, Waiters
from pms_gateway.domain.allowance import Allowance
from pms_gateway.door.answers import status_of
from pms_gateway.door.commands import completed
from pms_gateway.door.server import is_loopback
from pms_gateway.door.tokens import LOOK_S, Role, TokenFile, TokenFileError, load_tokens


def test_tokens_have_roles_and_may_be_stored_hashed(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    digest = hashlib.sha256(b"secret-two").hexdigest()
    file.write_text(f"# who\n\nann read secret-one\nbob operator sha256:{digest}\n")
    tokens = load_tokens(file)
    assert tokens.required
    found = [tokens.find(secret) for secret in ("secret-one", "secret-two", digest, "")]
    assert [token and (token.name, token.role) for token in found] == [
        ("ann", Role.READ),
        ("bob", Role.OPERATOR),
        None,
        None,
    ]


def test_tokens_are_given_and_taken_back_while_it_runs(tmp_path: Path) -> None:
    file, now = tmp_path / "tokens", [0.0]
    file.write_text("ann read one\n")
    tokens = TokenFile(file, lambda: now[0])
    ann = tokens().find("one")
    assert ann is not None and ann in tokens()
    file.write_text("ann read another\nbob trade two\n")
    assert tokens().find("two") is None, "not looked at again so soon"
    now[0] = LOOK_S
    assert tokens().find("two") is not None and tokens().find("one") is None
    assert ann not in tokens()
    for broken in ("ann read", ""):
        file.write_text(broken)
        now[0] += LOOK_S
        assert tokens().find("two") is not None, "a file that cannot be used changes nothing"
    file.unlink()
    now[0] += LOOK_S
    assert tokens().find("two") is not None


def test_a_token_may_send_so_many_requests() -> None:
    allowance = Allowance(per_s=2, burst=3)
    assert [allowance.take("ann", 10.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert allowance.take("bob", 10.0) == 0, "each its own"
    assert allowance.take("ann", 10.4) == pytest.approx(0.1)
    assert allowance.take("ann", 10.5) == 0
    assert [allowance.take("ann", 100.0) for _ in range(4)] == [0, 0, 0, 0.5], "never more than a burst"


@pytest.mark.parametrize("line", ["ann read", "ann boss x", "ann read sha256:12", "ann read sha256:zz"])
def test_a_bad_token_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# first\n{line}\n")
    with pytest.raises(TokenFileError, match="line 2"):
        load_tokens(file)


def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# nothing\n")
    with pytest.raises(TokenFileError, match="no token"):
        load_tokens(file)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("gw", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_every_code_has_an_http_error_status() -> None:
    for code in ErrorCode:
        assert 400 <= status_of(code) < 600
    assert status_of(ErrorCode.ACCOUNT_NOT_FOUND) == 404
    assert status_of(ErrorCode.INSUFFICIENT_MARGIN) == 422


def test_a_request_id_is_added_where_there_is_none() -> None:
    assert completed(b'{"requestId":"r1","quantity":0.10}', None) == b'{"requestId":"r1","quantity":0.10}'
    added = completed(b'{"quantity":0.10000000000000000001}', None)
    assert added.startswith(b'{"quantity":0.10000000000000000001,"requestId":"')
    assert completed(b"nonsense", EXAMPLE) == b"nonsense"


@pytest.mark.parametrize("body", [b'{"requestId":"r1"}', b'{"requestId":"r1","traceparent":null}'])
def test_the_trace_context_of_the_http_request_is_the_commands(body: bytes) -> None:
    assert json.loads(completed(body, EXAMPLE)) == {"requestId": "r1", "traceparent": EXAMPLE}
    assert completed(body, "00-nonsense") == body
    own = b'{"requestId":"r1","traceparent":"the body\'s own"}'
    assert completed(own, EXAMPLE) == own


async def test_waiters_tell_accounts_and_commands_apart_and_are_bounded() -> None:
    waiters = Waiters(max_waiting=2)
    with waiters.expect("r", "a", "chase") as first, waiters.expect("r", "b", "chase") as second:
        with pytest.raises(TooManyWaiting), waiters.expect("r", "c", "chase"):
            pass
        waiters.done("r", "b", "chase", b"B")
        assert not first.done()
        assert await second == b"B"
        waiters.done("r", "a", "cancel_all", b"another owner's, who cannot know that the id is used twice")
        assert not first.done()
        waiters.done("r", "", "chase", b"A")  # the owner could not tell the account
        assert await first == b"A"
    assert len(waiters) == 0


def test_the_ring_knows_where_to_go_on() -> None:
    hub = Hub(ring=3)
    assert hub.position_after((1, 0)) is None
    hub.add([LiveEvent((n, 0), b"%d" % n) for n in range(1, 6)])
    assert (hub.start, hub.end) == (2, 5)
    assert hub.position_after((2, 9)) is None
    assert hub.position_after((3, 0)) == 3
    assert hub.position_after((5, 0)) == 5
    assert [event.payload for event in hub.read(3, 10)] == [b"4", b"5"]
    with pytest.raises(IndexError):
        hub.read(1, 10)


def test_an_account_is_followed_alone() -> None:
    hub = Hub()
    with hub.following("a") as ring, hub.following("a") as again, hub.following("") as whole:
        assert again is ring and whole is hub
        hub.add([LiveEvent((n, 0), b"", account) for n, account in enumerate(("a", "b", "*", "a"), 1)])
        assert [event.event_id[0] for event in ring.read(0, 10)] == [1, 3, 4]
        assert hub.end == 4
    with hub.following("a") as later:
        assert later is not ring, "nothing is kept for nobody"
