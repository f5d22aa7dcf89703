"""Where public commands come in: parsed, made idempotent, refused or handed to the service's decision.

Owns what is the same for every command: garbage to `pms:dead`, bad input answered with the field's name, repeats
answered with the first result, expired commands refused. Never decides a command. Used by risk, orders and algos.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from pms_common import tracing
from pms_common.answers import Answers
from pms_common.bus import Entry, Malformed, Outbox
from pms_common.contracts.commands import COMMANDS, Command
from pms_common.contracts.commands.base import WaitFor
from pms_common.contracts.errors import CommandError, ErrorCode, NotJson
from pms_common.contracts.parse import Parsed, parse_command
from pms_common.marks import Known, Marks


class Taken(Enum):
    """What became of a request that its owner did not refuse."""

    NOW = auto()  # its entry may go: what it takes to end it leaves in the same MULTI
    LATER = auto()  # the owner calls `acknowledge` after its journal has it


class Request(NamedTuple):
    """A checked command with its entry; `account_id` is what the sender gave, or empty.

    `traceparent` is the context in which it is decided, which its outputs carry on; empty where nobody traces it.
    """

    command: Command
    entry: Entry
    warnings: tuple[str, ...]
    body_hash: str
    expires_at_ms: int | None
    traceparent: str = ""

    @property
    def request_id(self) -> str:
        """Idempotency key of the command, per account."""
        return self.command.request_id

    @property
    def account_id(self) -> str:
        """The account as the sender gave it."""
        return self.command.sub_account_id or ""

    @property
    def type(self) -> str:
        """The command's type, as in its stream's name."""
        return self.command.TYPE

    @property
    def wait_for(self) -> WaitFor:
        """What the answer waits for."""
        return self.command.waits_for


Decide = Callable[[Request], Taken]
"""Decides one command: outputs into the outbox, or CommandError, which is the answer."""

Begun = Callable[[Request], bool]


class CommandInlet:
    """Makes bus handlers of decisions."""

    def __init__(
        self,
        outbox: Outbox,
        marks: Marks,
        answers: Answers,
        now_ms: Callable[[], int],
        *,
        require_account: bool = False,
    ) -> None:
        self._outbox = outbox
        self._marks = marks
        self._answers = answers
        self._now_ms = now_ms
        self._require_account = require_account

    def route(self, type_: str, decide: Decide, begun: Begun | None = None) -> Callable[[Entry], None]:
        """The handler of the stream of commands of one type.

        `begun` tells of a request without a mark whether it is being carried out already: it is never too late.
        """

        def handle(entry: Entry) -> None:
            try:
                parsed = parse_command(
                    type_, entry.data or entry.fields, entry.id, require_account=self._require_account
                )
            except NotJson as why:
                raise Malformed(str(why)) from why
            except CommandError as error:
                self._answers.refuse(error.request_id, "", type_, error, error.traceparent)
                self._outbox.ack(entry)
                return
            self._take(parsed, entry, decide, begun)

        return handle

    def acknowledge(self, request: Request, refusal: CommandError | None = None) -> None:
        """End the entry of a request that was taken LATER, and write its mark; `refusal` is why it failed."""
        self._marks.take(request.account_id, request.request_id, request.body_hash)
        self._outbox.ack(request.entry)
        if request.traceparent:
            tracing.record(
                f"command {request.type}",
                request.traceparent,
                request.command.traceparent or "",
                request.entry.ms,
                error=refusal.code.name if refusal is not None else "",
                request_id=request.request_id,
                account_id=request.account_id,
            )

    def bury(self, entry: Entry, reason: str) -> None:
        """Answer a command that went to `pms:dead`, where an id can be found in it (the consumer's `on_dead`).

        Entries of other streams that the same consumer reads are nobody's request.
        """
        type_ = entry.stream.rpartition(":")[2]
        if type_ not in COMMANDS:
            return
        try:
            request_id: str | None = parse_command(type_, entry.data or entry.fields, entry.id).request_id
            error = CommandError(ErrorCode.INFRA_INTERNAL)
        except NotJson as why:
            request_id = why.request_id
            error = CommandError(ErrorCode.VALIDATION_NOT_JSON, reason)
        except CommandError as refused:  # an entry that was deleted before it was handled has no fields left
            request_id, error = refused.request_id, CommandError(ErrorCode.INFRA_INTERNAL)
        if request_id:
            self._answers.refuse(request_id, "", type_, error)

    def _take(self, parsed: Parsed, entry: Entry, decide: Decide, begun: Begun | None) -> None:
        command = parsed.command
        account_id = command.sub_account_id or ""
        known = self._marks.find(account_id, command.request_id)
        if known is not None:
            self._again(parsed, entry, known)
            return
        context = tracing.begin(command.traceparent or "", command.TYPE, command.request_id, entry.id)
        request = Request(command, entry, parsed.warnings, parsed.body_hash, parsed.expires_at_ms, context)
        refusal: CommandError | None = None
        self._marks.hold(account_id, command.request_id, parsed.body_hash)
        try:
            if parsed.expired(self._now_ms()) and not (begun is not None and begun(request)):
                raise CommandError(ErrorCode.EXPIRED_COMMAND)
            taken = decide(request)
        except CommandError as error:
            self._answers.fail(command.request_id, account_id, command.TYPE, error, request.traceparent)
            taken, refusal = Taken.NOW, error
        except BaseException:
            self._marks.forget(account_id, command.request_id)  # its outputs are rolled back, it will be tried again
            raise
        if taken is Taken.NOW:
            self.acknowledge(request, refusal)

    def _again(self, parsed: Parsed, entry: Entry, known: Known) -> None:
        request_id, account_id, type_ = parsed.request_id, parsed.command.sub_account_id or "", parsed.command.TYPE
        if known.body_hash != parsed.body_hash:
            reused = CommandError(ErrorCode.REQUEST_ID_REUSED)
            self._answers.refuse(request_id, account_id, type_, reused, parsed.command.traceparent or "")
        elif known.result is not None:
            self._answers.tell(request_id, account_id, type_, known.result)
        self._outbox.ack(entry)
