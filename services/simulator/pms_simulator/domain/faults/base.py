"""What all faults share: whom they concern, how often they strike.

Every fault that stays in force takes, all optional: ``account`` (a name; ``apiKey`` means the key's account),
``symbol``, ``clientOrderId``, and its bounds: ``count`` (strikes left), ``seconds`` (time in force), ``probability``
with ``seed``, and ``skip`` (matches let through first). A ``RequestFault`` also takes ``operation`` (one or a list of
``order.place`` or REST routes such as ``POST /fapi/v1/order``) and ``transport`` (``rest`` or ``ws``); an
``EventFault`` takes ``event`` (ORDER_TRADE_UPDATE, ...), ``execution`` (its ``x``, or the reason ``m`` of an
ACCOUNT_UPDATE) and ``reader`` (``all``, ``oldest``, ``newest``: which of the account's sockets it befalls).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, ClassVar, Protocol

from pms_simulator.domain.account import Account
from pms_simulator.domain.engine import Engine
from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults.fields import Fields

WHICH = frozenset({"all", "oldest", "newest"})


@dataclass(frozen=True, slots=True)
class Call:
    """A request as faults see it. ``name`` is the REST route or the WebSocket method; a handshake is a call too."""

    transport: str
    name: str
    operation: str
    params: Mapping[str, str]
    account: str | None = None
    ip: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A user event as faults see it."""

    account: str
    event: str
    execution: str
    symbol: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a request: wait, execute or not, look into the past, answer or not, hang up."""

    delay_before_ms: int = 0
    delay_after_ms: int = 0
    execute: bool = True
    answer: bool = True
    disconnect: bool = False
    error: VenueError | None = None
    lag_ms: int = 0
    shrink: Decimal | None = None


class Fault(ABC):
    """One fault in force."""

    kind: ClassVar[str]

    def __init__(self, fields: Fields, now_ms: int) -> None:
        self.number = 0
        self.account = fields.text("account")
        self._symbol = fields.text("symbol")
        self._client_id = fields.text("clientOrderId")
        self._count = fields.whole("count")
        seconds = fields.number("seconds")
        self.until_ms = None if seconds is None else now_ms + int(seconds * 1000)
        self._probability = fields.number("probability", 1)
        self._random = Random(fields.whole("seed") or 0)
        self._skip = fields.whole("skip") or 0

    def is_spent(self, now_ms: int) -> bool:
        """Whether it can never strike again."""
        return (self._count is not None and self._count <= 0) or (self.until_ms is not None and now_ms >= self.until_ms)

    def _concerns(self, account: str | None, symbol: str | None, client_id: str | None) -> bool:
        return (
            (self.account is None or self.account == account)
            and (self._symbol is None or self._symbol == symbol)
            and (self._client_id is None or self._client_id == client_id)
        )

    def _draw(self) -> bool:
        """Whether a match is struck; uses up one of ``skip`` or ``count``."""
        if self._skip:
            self._skip -= 1
            return False
        if self._probability is not None and self._random.random() >= self._probability:
            return False
        if self._count is not None:
            self._count -= 1
        return True


class RequestFault(Fault):
    """Befalls requests; WebSocket handshakes only where ``operation`` is ``connect``, or ``handshakes`` is set."""

    handshakes: ClassVar[bool] = False

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        self._operations = fields.names("operation")
        self._transport = fields.choice("transport", {"rest", "ws"}, "")

    def matches(self, call: Call) -> bool:
        """Whether ``call`` is of the kind it befalls."""
        if self._operations is not None and not self._operations & {call.operation, call.name}:
            return False
        if self._operations is None and call.operation == "connect" and not self.handshakes:
            return False
        if self._transport and self._transport != call.transport:
            return False
        client_id = call.params.get("newClientOrderId") or call.params.get("origClientOrderId")
        return self._concerns(call.account, call.params.get("symbol"), client_id)

    def strikes(self, call: Call) -> bool:
        """Whether ``call`` is hit; uses up one of ``count``."""
        return self.matches(call) and self._draw()

    @abstractmethod
    def verdict(self, call: Call, now_ms: int) -> Verdict:
        """What a struck request suffers."""


class EventFault(Fault):
    """Befalls user events on their way out."""

    hold_ms = 0  # after this, what it keeps is let go by ``release``

    def __init__(self, fields: Fields, now_ms: int) -> None:
        super().__init__(fields, now_ms)
        self._events = fields.names("event")
        self._executions = fields.names("execution")
        self.reader = fields.choice("reader", WHICH, "all")

    def strikes(self, notice: Notice) -> bool:
        """Whether the event is hit; uses up one of ``count``."""
        if self._events is not None and notice.event not in self._events:
            return False
        if self._executions is not None and notice.execution not in self._executions:
            return False
        return self._concerns(notice.account, notice.symbol, notice.client_id) and self._draw()

    @abstractmethod
    def pass_on(self, frame: Any) -> list[tuple[int, Any]]:
        """What leaves for a struck frame: frames, each after a wait in milliseconds."""

    def release(self) -> list[Any]:
        """Let go of what it keeps."""
        return []


@dataclass(frozen=True, slots=True)
class Target:
    """Sockets to act on: of a route (or ``all``), of an account where one is named, all or one end of them."""

    route: str
    account: str | None
    which: str


ROUTES = frozenset({"public", "market", "private", "ws-api", "all"})


def read_target(fields: Fields, route: str) -> Target:
    """``sockets``, ``account`` and ``which`` of a request."""
    return Target(fields.choice("sockets", ROUTES, route), fields.text("account"), fields.choice("which", WHICH, "all"))


class Stage(Protocol):
    """What an action may do to the running venue."""

    @property
    def engine(self) -> Engine:
        """Markets and accounts."""

    @property
    def now_ms(self) -> int:
        """The venue's clock."""

    def account(self, name: str | None) -> Account:
        """The named account, or the first one; -1100."""

    def client_id(self) -> str:
        """A fresh client order id as the venue generates them."""

    def close_sockets(self, target: Target) -> int:
        """Drop sockets; how many."""

    def silence_sockets(self, target: Target, seconds: float | None, *, pongs: bool) -> int:
        """Leave sockets open but send nothing; how many."""

    def expire_listen_key(self, account: Account) -> str:
        """End the account's listen key with listenKeyExpired; the key, -1125 where there is none."""


class Action(ABC):
    """Something that happens once, at once."""

    kind: ClassVar[str]

    @abstractmethod
    def __init__(self, fields: Fields) -> None:
        """Read what it takes."""

    @abstractmethod
    def act(self, stage: Stage) -> dict[str, Any]:
        """Do it; what there is to tell."""
