"""The venue of the benchmark `orders_to_wire`: takes every order at once and remembers when it came.

Prints its port. Answers like the WebSocket API; `arrivals` gives and forgets the times (ns, the machine's clock) at
which the orders of this connection or another arrived, in their order.
"""

import asyncio
import time

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

arrived: list[int] = []
_LIMITS = (
    b'"rateLimits":[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":1000000000,"count":1},'
    b'{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":1000000000,"count":1}]}'
)


class Request(msgspec.Struct):
    """All that is read of a request."""

    id: int
    method: str


_decode = msgspec.json.Decoder(Request).decode


class Venue(WSListener):
    """One connection."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take an order, or tell when the orders came."""
        now = time.time_ns()
        if frame.msg_type is not WSMsgType.TEXT:
            return
        request = _decode(frame.get_payload_as_memoryview())
        if request.method == "arrivals":
            transport.send(WSMsgType.TEXT, msgspec.json.encode({"id": request.id, "result": arrived}))
            arrived.clear()
            return
        arrived.append(now)
        number = b"%d" % request.id
        answer = b'{"id":' + number + b',"status":200,"result":{"orderId":' + number + b"}," + _LIMITS
        transport.send(WSMsgType.TEXT, answer)


async def serve() -> None:
    """Serve until killed."""
    server = await ws_create_server(lambda _request: Venue(), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
