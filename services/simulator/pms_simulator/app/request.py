"""What a handler gets, and how a route is described.

Owns types only; ``dispatch`` runs them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from pms_simulator.app.keys import Key
from pms_simulator.domain.account import Account

if TYPE_CHECKING:
    from pms_simulator.app.venue import Venue

Security = Literal["none", "key", "signed"]
Weigh = int | Callable[[dict[str, str]], int]


@dataclass(slots=True)
class Session:
    """A WebSocket API connection; ``key`` is the API key it is logged on with."""

    connected_ms: int
    show_limits: bool
    key: str | None = None
    since_ms: int | None = None


@dataclass(slots=True)
class Request:
    """A checked request. ``account`` is the key's; reading it on a route without security is an error.

    ``shrink``: the share of a reduce-only order's quantity that the venue takes, where a fault says so.
    """

    params: dict[str, str]
    now_ms: int
    signer: Account | None = None
    key: Key | None = None
    session: Session | None = None
    shrink: Decimal | None = None

    @property
    def account(self) -> Account:
        """The account that signed."""
        if self.signer is None:
            raise LookupError("route without security asked for an account")
        return self.signer


Handler = Callable[["Venue", Request], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A REST route or WebSocket method. ``orders`` is what it adds to the (10 s, 1 min) order counts."""

    name: str
    handler: Handler
    security: Security = "signed"
    weight: Weigh = 1
    orders: tuple[int, int] = (0, 0)
    operation: str = ""

    def weigh(self, params: dict[str, str]) -> int:
        """Request weight with these parameters."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)
