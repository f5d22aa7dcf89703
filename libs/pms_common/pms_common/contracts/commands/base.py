"""The envelope all public commands share, and what a command class says of itself.

Used by the command families and by `parse`. Never holds rules of one command.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from pms_common.contracts.base import Wire
from pms_common.contracts.rules import Id, OneOf, Report, TimeMs, Traceparent

Owner = Literal["risk", "orders", "algos"]
StreamKind = Literal["cmd", "op"]
WaitFor = Literal["ack", "final"]
AccountRule = Literal["required", "by_object", "free"]

OPENING_LIFE_MS = 10_000
"""Default life of what may open risk, from the entry id's time."""
CLOSING_LIFE_MS = 60_000
"""Default life of what closes positions."""


class Envelope(Wire, frozen=True, kw_only=True):
    """Fields every command may carry beside its own."""

    request_id: Id
    sub_account_id: Id | None = None
    created_at_ms: TimeMs | None = msgspec.field(default=None, name="createdAt")
    expires_at_ms: TimeMs | None = msgspec.field(default=None, name="expiresAt")
    wait_for: Annotated[WaitFor | None, OneOf(("ack", "final"))] = None
    traceparent: Traceparent | None = None


class Command(Envelope, frozen=True, kw_only=True):
    """A public command as its owner sees it: checked, with symbols and sides in their native form.

    A family's class sets `TYPE` and what differs from these:
    `OWNER` reads the command and answers it; `STREAM` is `cmd` (everybody) or `op` (operators only);
    `LIFE_MS` is the default time to `expiresAt` (None: it never expires); `WAIT_FOR` the default of `waitFor`;
    `ACCOUNT` tells whether `subAccountId` is required, told by the object that the command names, or free.
    """

    TYPE: ClassVar[str]
    OWNER: ClassVar[Owner] = "risk"
    STREAM: ClassVar[StreamKind] = "cmd"
    LIFE_MS: ClassVar[int | None] = None
    WAIT_FOR: ClassVar[WaitFor] = "ack"
    ACCOUNT: ClassVar[AccountRule] = "required"

    @classmethod
    def settle(cls, given: dict[str, Any], report: Report) -> None:
        """Check rules between fields, and resolve one field into others; `given` holds what was sent."""

    @property
    def waits_for(self) -> WaitFor:
        """What the answer waits for: as asked, else the type's default."""
        return self.wait_for or self.WAIT_FOR
