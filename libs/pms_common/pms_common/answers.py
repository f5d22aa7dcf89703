"""How a public request ends: its result key, its channel, and the note to the other services, in one MULTI.

Owns the form and the life of `pms:result:*`. Never decides an outcome. Used by whichever service ends a request.
"""

import msgspec

from pms_common.bus import Outbox, UpdatesWriter
from pms_common.contracts.base import encode
from pms_common.contracts.bus.common import RequestDone
from pms_common.contracts.errors import CommandError
from pms_common.contracts.results import RESULT_TTL_S, Success, failure
from pms_common.contracts.traceparent import told
from pms_common.marks import Marks
from pms_common.names import Names


class Answers:
    """Ends requests on behalf of one service; what it adds leaves with the outputs of the same stretch.

    `traceparent` is that of the request, or empty.
    """

    def __init__(self, names: Names, outbox: Outbox, updates: UpdatesWriter, marks: Marks) -> None:
        self._names = names
        self._outbox = outbox
        self._updates = updates
        self._marks = marks

    def succeed(self, request_id: str, account_id: str, command: str, result: Success, traceparent: str = "") -> None:
        """End a request with its success."""
        self.end(request_id, account_id, command, encode(result), traceparent)

    def fail(self, request_id: str, account_id: str, command: str, error: CommandError, traceparent: str = "") -> None:
        """End a request with its failure."""
        self.end(request_id, account_id, command, encode(failure(error, request_id)), traceparent)

    def end(self, request_id: str, account_id: str, command: str, body: bytes, traceparent: str = "") -> None:
        """End a request with an encoded result; it is kept for repeats where the request was taken here."""
        body = told(body, traceparent)
        self.tell(request_id, account_id, command, body)
        self._marks.end(account_id, request_id, body)

    def refuse(
        self, request_id: str, account_id: str, command: str, error: CommandError, traceparent: str = ""
    ) -> None:
        """Answer a command that was never taken: its request, if there is one, does not end by this."""
        self.tell(request_id, account_id, command, told(encode(failure(error, request_id)), traceparent))

    def tell(self, request_id: str, account_id: str, command: str, body: bytes) -> None:
        """Tell a result, for the first time or again."""
        key = self._names.result(request_id)
        self._outbox.set(key, body, RESULT_TTL_S)
        self._outbox.publish(key, body)
        self._updates.publish(
            RequestDone(
                epoch=0, n=0, account_id=account_id, request_id=request_id, command=command, body=msgspec.Raw(body)
            )
        )
