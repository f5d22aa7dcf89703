"""Sockets stay open and fall silent: nothing more is sent, what comes in is not read.

``sockets`` (default private), ``account``, ``which``; ``pongs`` false leaves pings unanswered too. After ``seconds``
they speak again; what was sent in between is lost. Sockets opened afterwards are sound.
"""

from typing import Any, ClassVar

from pms_simulator.domain.faults.base import Action, Stage, read_target
from pms_simulator.domain.faults.fields import Fields


class HalfOpen(Action):
    """Deaf and mute."""

    kind: ClassVar[str] = "half_open"

    def __init__(self, fields: Fields) -> None:
        self._target = read_target(fields, "private")
        self._seconds = fields.number("seconds")
        self._pongs = fields.flag("pongs", True)

    def act(self, stage: Stage) -> dict[str, Any]:
        """How many fell silent."""
        return {"silenced": stage.silence_sockets(self._target, self._seconds, pongs=self._pongs)}
