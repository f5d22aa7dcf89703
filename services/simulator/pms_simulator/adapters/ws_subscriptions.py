"""SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS and the ``combined`` property, on market and user sockets alike.

Owns the control messages and their errors. What a subscription does is the listener's.
"""

import time
from typing import Any

import msgspec
from picows import WSCloseCode

from pms_simulator.adapters.ws_base import Socket

MAX_STREAMS = 1024
MESSAGES_PER_SECOND = 10


class StreamSocket(Socket):
    """A socket that carries named streams."""

    def __init__(self, registry: set[Socket], *, combined: bool) -> None:
        super().__init__(registry)
        self.combined = combined
        self.names: dict[str, None] = {}
        self._second = 0
        self._messages = 0

    def start_stream(self, name: str) -> None:
        """Begin sending ``name``."""
        raise NotImplementedError

    def stop_stream(self, name: str) -> None:
        """Stop sending ``name``."""
        raise NotImplementedError

    def send_named(self, name: str, payload: bytes) -> None:
        """An event, wrapped where the connection is combined."""
        if self.combined:
            payload = b'{"stream":"%b","data":%b}' % (name.encode(), payload)
        self.send_text(payload)

    def closed(self) -> None:
        """Stop everything."""
        for name in self.names:
            self.stop_stream(name)
        self.names.clear()

    def subscribe(self, names: list[str]) -> None:
        """Add streams that are not there yet."""
        for name in names:
            if name not in self.names:
                self.names[name] = None
                self.start_stream(name)

    def received(self, payload: bytes) -> None:
        """A control message; too many of them end the connection."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._messages = second, 0
        self._messages += 1
        if self._messages > MESSAGES_PER_SECOND:
            self.drop(WSCloseCode.POLICY_VIOLATION)
            return
        try:
            message = msgspec.json.decode(payload)
        except msgspec.DecodeError:
            self.send_json({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}})
            return
        self._control(message)

    def _control(self, message: Any) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            self.send_json({"error": {"code": 2, "msg": "Invalid request: missing field `method`"}})
            return
        params = message.get("params") or []
        answer: dict[str, Any] = {"result": None, "id": message.get("id")}
        match message["method"]:
            case "SUBSCRIBE" | "UNSUBSCRIBE" if not _all_names(params):
                answer = {"error": {"code": 2, "msg": "Invalid request: invalid type, expected a sequence of names"}}
            case "SUBSCRIBE" if len(self.names) + len(params) > MAX_STREAMS:
                answer = {"error": {"code": 2, "msg": "Invalid request: too many streams"}}
            case "SUBSCRIBE":
                self.send_json(answer)
                self.subscribe(params)
                return
            case "UNSUBSCRIBE":
                for name in params:
                    if name in self.names:
                        del self.names[name]
                        self.stop_stream(name)
            case "LIST_SUBSCRIPTIONS":
                answer["result"] = list(self.names)
            case "SET_PROPERTY" | "GET_PROPERTY":
                answer = self._property(message["method"], params, answer)
            case other:
                text = f"Invalid request: unknown variant `{other}`"
                answer = {"error": {"code": 2, "msg": text}}
        self.send_json(answer)

    def _property(self, method: str, params: Any, answer: dict[str, Any]) -> dict[str, Any]:
        if not params or params[0] != "combined":
            return {"error": {"code": 0, "msg": "Unknown property"}}
        if method == "GET_PROPERTY":
            return {**answer, "result": self.combined}
        if len(params) != 2 or not isinstance(params[1], bool):
            return {"error": {"code": 1, "msg": "Invalid value type: expected Boolean"}}
        self.combined = params[1]
        return answer


def _all_names(params: Any) -> bool:
    return isinstance(params, list) and all(isinstance(name, str) for name in params)
