"""A model of the part of Redis that the outbox relies on, which loses connections at every possible point."""

import asyncio

import hiredis

from pms_common.bus.entry import SEPARATOR, updates_in
from pms_common.bus.outbox import Outbox
from pms_common.bus.resp import Connection

STREAM = "s"


class Model:
    """The part of Redis that the outbox relies on: MULTI is atomic, keys keep their value, connections end.

    `plan` says for each write what becomes of it: "ok"; "unread": lost before execution; "unanswered": executed, but
    the replies are lost; "half": so is half of the replies; "busy": refused by a passing error.
    """

    def __init__(self, plan=()):
        self.plan = list(plan)
        self.keys = {}
        self.entries = []
        self.sizes = []
        self.acked = []
        self.execs = []
        self.connections = 0
        self.writes = 0

    async def dial(self):
        self.connections += 1
        connection = Connection()
        connection.connection_made(Line(self, connection))
        return connection

    def execute(self, commands):
        queued: list[list[bytes]] | None = None
        replies = []
        for words in commands:
            name = words[0]
            if name == b"MULTI":
                queued = []
                replies.append(b"+OK\r\n")
            elif name == b"EXEC":
                done = b"".join(self.apply(command) for command in queued)
                self.execs.append([data for w in queued if w[0] == b"XADD" for data in w[4].split(SEPARATOR)])
                replies.append(b"*%d\r\n%s" % (len(queued), done))
                queued = None
            elif queued is not None:
                queued.append(words)
                replies.append(b"+QUEUED\r\n")
            else:
                replies.append(self.apply(words))
        return b"".join(replies)

    def apply(self, words):
        match words:
            case [b"SET", key, value, *_]:
                self.keys[key] = value
                return b"+OK\r\n"
            case [b"GET", key]:
                value = self.keys.get(key)
                return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)
            case [b"XADD", _, b"*", b"data" | b"updates" as field, data]:
                held = updates_in({field: data})
                assert (field == b"data") == (len(held) == 1)
                self.entries += held
                self.sizes.append(len(held))
                return b"$3\r\n1-1\r\n"
            case [b"XACK", _, _, *ids]:
                self.acked += ids
                return b":%d\r\n" % len(ids)
        raise AssertionError(words)


class Line(asyncio.Transport):
    def __init__(self, model, connection):
        super().__init__()
        self._model = model
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader()
        self._open = True

    def get_extra_info(self, name, default=None):
        return None

    def write(self, data):
        self._loop.call_soon(self._arrive, data)

    def abort(self):
        self._open = False

    def _lose(self):
        self._open = False
        self._connection.connection_lost(OSError("lost"))

    def _arrive(self, data):
        if not self._open:
            return
        commands = []
        self._parser.feed(data)
        while (command := self._parser.gets()) is not False:
            commands.append(command)
        if commands[0][0] == b"GET":
            self._answer(self._model.execute(commands))
            return
        self._model.writes += 1
        fate = self._model.plan.pop(0) if self._model.plan else "ok"
        if fate == "unread":
            self._lose()
            return
        if fate == "busy":
            multi = commands[0][0] == b"MULTI"
            errors = [b"-OOM command not allowed\r\n"] * (len(commands) - 2)
            self._answer(
                b"+OK\r\n" + b"".join(errors) + b"-EXECABORT\r\n" if multi else b"-OOM not allowed\r\n" * len(commands)
            )
            return
        replies = self._model.execute(commands)
        if fate == "ok":
            self._answer(replies)
            return
        if fate == "half":
            self._answer(replies[: len(replies) // 2])
        self._lose()

    def _answer(self, replies):
        self._connection.data_received(replies)


def ignore(_part, _ok, _why):
    pass


async def running(model, **bounds):
    outbox = Outbox(model.dial, "mark", ready=ignore, **bounds)
    return outbox, asyncio.ensure_future(outbox.run())


async def until(there):
    while not there():  # noqa: ASYNC110
        await asyncio.sleep(0)
