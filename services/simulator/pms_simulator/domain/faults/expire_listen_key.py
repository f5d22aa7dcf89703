"""The account's listen key dies: listenKeyExpired, then its sockets are silent but stay open."""

from typing import Any, ClassVar

from pms_simulator.domain.faults.base import Action, Stage
from pms_simulator.domain.faults.fields import Fields


class ExpireListenKey(Action):
    """Expired before its time."""

    kind: ClassVar[str] = "expire_listen_key"

    def __init__(self, fields: Fields) -> None:
        self._account = fields.text("account")

    def act(self, stage: Stage) -> dict[str, Any]:
        """The key that died."""
        return {"listenKey": stage.expire_listen_key(stage.account(self._account))}
