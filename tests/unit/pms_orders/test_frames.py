"""Frames of the batched write are what a WebSocket server reads, alone and together."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server

from pms_orders.adapters.binance.frames import client_frame


@given(st.binary(max_size=70_000), st.binary(min_size=4, max_size=4))
def test_the_mask_is_undone_by_applying_it_again(payload: bytes, mask: bytes) -> None:
    frame = client_frame(payload, mask)
    size = len(payload)
    head = 2 if size < 126 else 4 if size < 65_536 else 10
    assert frame[head : head + 4] == mask
    body = frame[head + 4 :]
    assert bytes(byte ^ mask[n % 4] for n, byte in enumerate(body[:300])) == payload[:300]
    assert len(body) == size


async def test_a_server_reads_single_and_batched_frames() -> None:
    heard: list[bytes] = []
    done = asyncio.Event()
    payloads = [b"x" * size for size in (0, 1, 125, 126, 500, 65_535, 65_536)]

    class Server(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type is WSMsgType.TEXT:
                heard.append(frame.get_payload_as_bytes())
                if len(heard) == len(payloads) + 1:
                    done.set()

    server = await ws_create_server(lambda _request: Server(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await ws_connect(WSListener, f"ws://127.0.0.1:{port}/")
    transport.send(WSMsgType.TEXT, b"first")
    transport.underlying_transport.write(b"".join([client_frame(payload) for payload in payloads]))
    async with asyncio.timeout(5):
        await done.wait()
    transport.disconnect(graceful=False)
    await transport.wait_disconnected()
    server.close()
    assert heard == [b"first", *payloads]
