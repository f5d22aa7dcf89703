"""The thin RESP path: fragments, errors in every place, nil and nested replies, the end of a connection."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms_common.bus.errors import RespError
from pms_common.bus.resp import Connection, pack


class Wire(asyncio.Transport):
    """The other end of a connection: keeps what is written."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data):
        self.written += data

    def abort(self):
        self.aborted = True


def encode(reply):
    """RESP2, as a server writes it."""
    match reply:
        case RespError():
            return b"-%s\r\n" % str(reply).encode()
        case None:
            return b"$-1\r\n"
        case bool() | int():
            return b":%d\r\n" % reply
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(reply), reply)
        case list():
            return b"*%d\r\n" % len(reply) + b"".join(map(encode, reply))
    raise AssertionError(reply)


def plain(reply):
    """Comparable: errors by their text."""
    if isinstance(reply, RespError):
        return ("error", str(reply))
    return [plain(item) for item in reply] if isinstance(reply, list) else reply


errors = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).map(RespError)
leaves = st.one_of(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=40), st.none(), errors)
replies = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


async def connected(reply_timeout_s=5.0):
    connection, wire = Connection(reply_timeout_s), Wire()
    connection.connection_made(wire)
    return connection, wire


@given(batches=st.lists(st.lists(replies, min_size=1, max_size=4), min_size=1, max_size=5), cuts=st.data())
def test_any_replies_in_any_fragments(batches, cuts):
    """Every request gets exactly its replies, in order, however the bytes are cut."""

    async def scenario():
        connection, _ = await connected()
        got = []
        for batch in batches:
            connection.request(b"x", len(batch), got.append)
        stream = b"".join(encode(reply) for batch in batches for reply in batch)
        places = cuts.draw(st.lists(st.integers(0, len(stream)), max_size=10))
        edges = [0, *sorted(places), len(stream)]
        for start, end in itertools.pairwise(edges):
            if start < end:
                connection.data_received(stream[start:end])
        assert [plain(batch) for batch in got] == [plain(batch) for batch in batches]
        connection.abort("end of test")

    asyncio.run(scenario())


@given(batch=st.lists(replies, min_size=1, max_size=4), share=st.floats(0, 1, exclude_max=True))
def test_lost_in_the_middle_of_a_reply(batch, share):
    """What is not complete fails with ConnectionError, what was complete before is answered."""

    async def scenario():
        connection, _ = await connected()
        got = []
        connection.request(b"x", 1, got.append)
        connection.request(b"x", len(batch), got.append)
        connection.request(b"x", 1, got.append)
        stream = b"".join(map(encode, batch))
        connection.data_received(b"+OK\r\n" + stream[: int(len(stream) * share)])
        connection.connection_lost(None)
        assert got[0] == [b"OK"]
        assert [type(item) for item in got[1:]] == [ConnectionError, ConnectionError]
        assert connection.closed

    asyncio.run(scenario())


async def test_errors_stand_in_their_place():
    connection, _ = await connected()
    waiting = asyncio.ensure_future(connection.pipeline(("MULTI",), ("GET", "k"), ("BAD",), ("EXEC",)))
    await asyncio.sleep(0)
    connection.data_received(b"+OK\r\n+QUEUED\r\n-ERR unknown command 'BAD'\r\n-EXECABORT discarded\r\n")
    ok, queued, unknown, aborted = await waiting
    assert (ok, queued) == (b"OK", b"QUEUED")
    assert isinstance(unknown, RespError)
    assert unknown.code == "ERR"
    assert aborted.code == "EXECABORT"
    assert not connection.closed


async def test_call_raises_its_error_and_leaves_the_connection_usable():
    connection, wire = await connected()
    failing = asyncio.ensure_future(connection.call("GET", "k"))
    working = asyncio.ensure_future(connection.call("GET", "k"))
    await asyncio.sleep(0)
    assert wire.written == pack(("GET", "k")) * 2
    connection.data_received(b"-WRONGTYPE not a string\r\n$1\r\nv\r\n")
    with pytest.raises(RespError, match="WRONGTYPE"):
        await failing
    assert await working == b"v"


async def test_cancelled_caller_does_not_disturb_the_next():
    connection, _ = await connected()
    first = asyncio.ensure_future(connection.call("GET", "a"))
    second = asyncio.ensure_future(connection.call("GET", "b"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    connection.data_received(b"$1\r\na\r\n$1\r\nb\r\n")
    assert await second == b"b"


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n", b"?\r\n", b"\x00\x01\x02\r\n"])
async def test_garbage_ends_the_connection(garbage):
    connection, wire = await connected()
    waiting = asyncio.ensure_future(connection.call("PING"))
    await asyncio.sleep(0)
    connection.data_received(garbage)
    with pytest.raises(ConnectionError, match="not RESP"):
        await waiting
    assert wire.aborted


async def test_a_reply_nobody_asked_for_ends_the_connection():
    connection, wire = await connected()
    connection.data_received(b"+OK\r\n")
    assert wire.aborted
    assert connection.closed


async def test_request_after_the_end_fails():
    connection, _ = await connected()
    connection.connection_lost(OSError("gone"))
    with pytest.raises(ConnectionError, match="gone"):
        await connection.call("PING")


async def test_silence_ends_the_connection():
    """A half-open connection: what is asked gets no reply."""
    connection, wire = await connected(reply_timeout_s=0.05)
    with pytest.raises(ConnectionError, match="no reply"):
        await asyncio.wait_for(connection.call("PING"), 1)
    assert wire.aborted


async def test_an_idle_connection_lives_on():
    connection, wire = await connected(reply_timeout_s=0.05)
    await asyncio.sleep(0.15)
    assert not connection.closed
    waiting = asyncio.ensure_future(connection.call("PING"))
    await asyncio.sleep(0.02)
    connection.data_received(b"+PONG\r\n")
    assert await waiting == b"PONG"
    assert not wire.aborted
    connection.abort("end of test")
