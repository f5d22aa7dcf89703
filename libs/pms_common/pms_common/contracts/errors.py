"""The one vocabulary of refusals and failures: a code for each, with category, retryability and meaning.

Owns the table and `CommandError`. Never guesses a code from a text: the place that knows the failure names the code.
Used by every service that answers commands; the reference page of codes is generated from this table.
"""

from __future__ import annotations

from enum import Enum, StrEnum, unique
from typing import Any

from pms_common.contracts.base import Wire


class Category(StrEnum):
    """Who has to do something about a failure."""

    VALIDATION = "VALIDATION"  # the sender: the command itself is wrong
    OWNERSHIP = "OWNERSHIP"  # the sender: the object belongs to another account
    RISK = "RISK"  # the account's owner or an operator: rules or state forbid it
    EXCHANGE = "EXCHANGE"  # the exchange refused it
    AMBIGUITY = "AMBIGUITY"  # nobody yet: the outcome is not known, ask as the message says
    TIMEOUT = "TIMEOUT"  # the sender: it came, or went on, too late
    INFRA = "INFRA"  # the operator: a part of the system is not available


_V, _O, _R, _X = Category.VALIDATION, Category.OWNERSHIP, Category.RISK, Category.EXCHANGE
_A, _T, _I = Category.AMBIGUITY, Category.TIMEOUT, Category.INFRA


@unique
class ErrorCode(Enum):
    """Code → (category, retryable, meaning).

    `retryable`: the same command, under a new request id, may succeed without anybody changing anything.
    The code itself is the member's name (`ErrorCode.X.name`).
    """

    def __init__(self, category: Category, retryable: bool, meaning: str) -> None:
        self.category = category
        self.retryable = retryable
        self.meaning = meaning

    # The command itself
    VALIDATION_FAILED = (_V, False, "A field is missing, of the wrong type or out of its range; `errors` names each.")
    VALIDATION_UNKNOWN_COMMAND = (_V, False, "No command of this type exists.")
    VALIDATION_NOT_JSON = (_V, False, "The payload is not a JSON object.")
    VALIDATION_PAYLOAD_TOO_LARGE = (_V, False, "The payload is larger than 64 KiB.")
    VALIDATION_SUBACCOUNT_REQUIRED = (_V, False, "`subAccountId` is required here.")
    VALIDATION_CLIENT_ORDER_ID_REQUIRED = (_V, False, "`orderId` or `clientOrderId` is required.")
    VALIDATION_TWAP_MISSING_SIZE = (_V, False, "A TWAP needs `totalSize` (USDT) or `quantity`.")
    VALIDATION_TWAP_INVALID_SIZE = (_V, False, "The size of a TWAP or of one of its legs is not usable.")
    VALIDATION_TWAP_LOTS_INVALID = (_V, False, "A lot would be below the symbol's minimum; `details.maxLots` fits.")
    VALIDATION_TWAP_INVALID_INTERVAL = (_V, False, "The duration divided by the lots gives no usable interval.")
    VALIDATION_TWAP_PRICE_UNAVAILABLE = (_V, True, "No price to size the lots with.")
    VALIDATION_TWAP_BASKET_LOTS_INVALID = (_V, False, "Lots of a basket leg would be below its minimum.")
    SCALE_INVALID_ORDER = (_V, False, "A level of the scale order is invalid or repeats a price.")
    SCALE_INVALID_RANGE = (_V, False, "A scale order has 2 to 30 levels.")
    SCALPER_LAYER_TOO_SMALL = (_V, False, "A layer would be below the symbol's minimum notional.")
    SYMBOL_UNKNOWN = (_V, False, "The exchange lists no such symbol.")
    SYMBOL_NOT_TRADING = (_V, True, "The symbol is listed and not open for trading, or not margined in USDT.")
    FILTER_PRICE = (_V, False, "The price breaks the symbol's filters: tick size or bounds.")
    FILTER_QUANTITY = (_V, False, "The quantity breaks the symbol's filters: step size or bounds.")
    POSITION_NOT_FOUND = (_V, False, "No open position with this id.")
    POSITION_CLOSED = (_V, False, "The position has been closed already.")
    POSITION_SIDE_MISMATCH = (_V, False, "The position is on the other side.")
    ORDER_NOT_FOUND = (_V, False, "No order with this id.")
    ORDER_ALREADY_FINAL = (_V, False, "The order has ended; `details.state` says how.")
    ALGO_NOT_FOUND = (_V, False, "No running algo with this id.")
    ALGO_ALREADY_EXISTS = (_V, False, "One is already running on that position; cancel it or name it in `replacesId`.")
    REQUEST_ID_REUSED = (_V, False, "This request id was used for another command; nothing was done.")
    EXPIRED_COMMAND = (_T, True, "The command arrived, or would have been sent, after `expiresAt`; nothing was done.")
    CANCELLED_BEFORE_SEND = (_R, True, "A cancel or close overtook the request; it was never sent.")

    # Whose it is
    OWNERSHIP_FORBIDDEN = (_O, False, "The object belongs to another account.")
    AUTH_TOKEN_REQUIRED = (_O, False, "The gateway wants a valid bearer token.")
    AUTH_ROLE_FORBIDDEN = (_O, False, "The token's role does not allow it.")
    AUTH_RATE_LIMITED = (_I, True, "The token has sent more requests than it may; `Retry-After` says when to go on.")

    # Rules and state of the account
    ACCOUNT_NOT_FOUND = (_R, False, "No such account.")
    ACCOUNT_ALREADY_EXISTS = (_V, False, "An account with this id or name exists.")
    ACCOUNT_FROZEN = (_R, False, "The account is not ACTIVE (frozen or liquidated).")
    ACCOUNT_LIQUIDATING = (_R, True, "The account, or its position on this symbol, is being liquidated.")
    NO_PRICE = (_R, True, "No price, or none confirmed alive within its limit: no new risk.")
    MAX_LEVERAGE_EXCEEDED = (_R, False, "Leverage above the account's maximum.")
    MAX_NOTIONAL_EXCEEDED = (_R, False, "Quantity times price above the account's maximum for one trade.")
    MAX_EXPOSURE_EXCEEDED = (_R, False, "The account's total exposure would pass its maximum.")
    MAX_OPEN_ORDERS_EXCEEDED = (_R, True, "The account has as many open orders as its rules allow.")
    MAX_DAILY_LOSS_REACHED = (_R, False, "The account has lost as much today (UTC) as its rules allow: no new risk.")
    MAX_ORDER_RATE_EXCEEDED = (_R, True, "The account has sent as many orders within a minute as its rules allow.")
    MAX_LEVERAGE = (_R, False, "A basket leg's leverage is above the account's maximum.")
    MAX_NOTIONAL = (_R, False, "A basket leg's notional is above the account's maximum for one trade.")
    SYMBOL_NOT_ALLOWED = (_R, False, "The account's rules do not allow this symbol.")
    INSUFFICIENT_MARGIN = (_R, False, "Margin needed is above what the account has available.")
    MARGIN_RATIO_EXCEEDED = (_R, False, "Margin use would reach 98 % of equity.")
    INSUFFICIENT_BALANCE = (_R, False, "The withdrawal is above what the account has available.")
    HOUSE_UNFUNDED = (_R, False, "The house's cash would fall below zero; `allowUnfunded` overrides.")
    REDUCE_ONLY_REJECTED = (_R, False, "No position of this account is left to reduce, or all of it is being closed.")
    TRADING_HALTED = (_R, True, "Trading is halted here: cancels and liquidation only.")
    TRADING_REDUCING = (_R, True, "Trading is reducing here: only what lowers a position, and cancels.")
    SYMBOL_FROZEN = (_R, True, "Books and exchange differ on this symbol: no new risk until reconciled.")
    BASKET_RUNNING = (_R, True, "Another basket of this account is being executed.")
    ALGO_LIMIT_REACHED = (_R, True, "As many algos of this kind are running as are allowed.")
    APPROVAL_EXCEEDED = (_R, False, "An algo asks for more than was approved; it then asks anew.")
    RISK_REJECTED = (_R, False, "Refused by a rule that `errors` names.")
    RISK_VALIDATION_ERROR = (_R, False, "The check could not be made with the facts at hand.")

    # The exchange
    EXCHANGE_REJECTED = (_X, False, "Refused by the exchange; `details` has its code and text.")
    EXCHANGE_MIN_NOTIONAL = (_X, False, "Quantity times price is below the symbol's minimum notional.")
    EXCHANGE_MARGIN_INSUFFICIENT = (_X, True, "The exchange account's margin does not suffice.")
    EXCHANGE_PRECISION = (_X, False, "More decimals than the symbol's tick or step allows.")
    EXCHANGE_INVALID_ORDER = (_X, False, "The exchange does not accept this kind or combination of order.")
    EXCHANGE_QTY_TOO_SMALL = (_X, False, "The quantity is below the symbol's minimum.")
    EXCHANGE_QTY_TOO_LARGE = (_X, False, "The quantity is above the symbol's maximum.")
    EXCHANGE_PRICE_RANGE = (_X, True, "The price is outside what the exchange allows around its mark.")
    EXCHANGE_REDUCE_ONLY = (_X, True, "Reduce-only refused: nothing left to reduce at the exchange.")
    EXCHANGE_POST_ONLY = (_X, True, "Post-only: the order would have traded at once.")
    EXCHANGE_FOK = (_X, True, "Fill-or-kill: not fillable at once.")
    EXCHANGE_MAX_ORDERS = (_X, True, "As many orders are open as the exchange allows.")
    EXCHANGE_MAX_POSITION = (_X, False, "The position would pass the exchange's maximum at this leverage.")
    EXCHANGE_DUPLICATE_ID = (_X, False, "An order of this client order id exists: what became of it is the answer.")
    EXCHANGE_UNKNOWN_ORDER = (_X, False, "The exchange has no such open order.")
    EXCHANGE_SYMBOL = (_X, True, "The symbol is closed, settling or reduce-only at the exchange.")
    EXCHANGE_RATE_LIMITED = (_X, True, "A request or order limit of the exchange was met; not executed.")
    EXCHANGE_CAPACITY = (_X, True, "This account's share of the rate or order budget is used up.")
    EXCHANGE_UNAVAILABLE = (_X, True, "The exchange could not process the request; proven not executed.")
    EXCHANGE_CLOCK = (_X, True, "The exchange refused the timestamp; not executed.")
    EXCHANGE_AUTH = (_X, False, "The exchange refuses key, signature, address or permission.")
    NO_FILL_PRICE = (_X, False, "The exchange named no fill price.")
    DESYNC_CLOSE_FAILED = (_X, True, "The close found books and exchange apart; reconciliation decides.")
    EXECUTION_ERROR = (_X, False, "A leg of a basket could not be executed; its text says why.")

    # Not known, too late, not available
    AMBIGUOUS_RESULT = (_A, False, "The outcome is not known yet; the message says how to ask.")
    AMBIGUOUS_CLOSE_REJECTED = (_A, False, "Earlier closing orders' outcome is not known yet; nothing was sent.")
    INFRA_TIMEOUT = (_T, True, "No answer in time; the same request id returns the outcome.")
    INFRA_OVERLOADED = (_I, True, "A work queue is at its bound; closes and cancels still pass.")
    INFRA_NOT_READY = (_I, True, "The service is starting, reconciling or without its lease.")
    INFRA_UNAVAILABLE = (_I, True, "A part that is needed is not available.")
    NOT_AVAILABLE = (_I, False, "This version does not carry out this command.")
    INFRA_REDIS_UNAVAILABLE = (_I, True, "Redis is not available.")
    INFRA_PROXY_FAILURE = (_I, True, "The caller's proxy could not pass the command on.")
    INFRA_CHASE_UNAVAILABLE = (_I, True, "The chase engine is not available.")
    INFRA_SCALPER_UNAVAILABLE = (_I, True, "The scalper engine is not available.")
    INFRA_TWAP_UNAVAILABLE = (_I, True, "The TWAP engine is not available.")
    INFRA_TRAIL_STOP_UNAVAILABLE = (_I, True, "The trailing stop engine is not available.")
    INFRA_INTERNAL = (_I, False, "A defect of this system; its log has the details under the request id.")


EARLIER = frozenset(
    {
        *(ErrorCode.VALIDATION_TWAP_INVALID_SIZE, ErrorCode.VALIDATION_TWAP_INVALID_INTERVAL),
        *(ErrorCode.POSITION_SIDE_MISMATCH, ErrorCode.RISK_VALIDATION_ERROR, ErrorCode.NO_FILL_PRICE),
        *(ErrorCode.DESYNC_CLOSE_FAILED, ErrorCode.EXECUTION_ERROR, ErrorCode.AMBIGUOUS_CLOSE_REJECTED),
        *(ErrorCode.NOT_AVAILABLE, ErrorCode.INFRA_UNAVAILABLE, ErrorCode.INFRA_PROXY_FAILURE),
        *(ErrorCode.INFRA_CHASE_UNAVAILABLE, ErrorCode.INFRA_SCALPER_UNAVAILABLE),
        *(ErrorCode.INFRA_TWAP_UNAVAILABLE, ErrorCode.INFRA_TRAIL_STOP_UNAVAILABLE),
    }
)
"""Codes that JS knows from earlier engines and that nothing gives any more."""


class FieldError(Wire, frozen=True, kw_only=True):
    """One violation: the code, a readable sentence, and the field as the sender would write it (`legs[2].side`)."""

    code: str
    message: str
    field: str | None = None


class CommandError(Exception):
    """A command refused or failed, with everything its answer needs.

    `request_id` is where the answer goes, as far as the payload told one; `traceparent` the command's, where it was
    refused for its form.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str | None = None,
        *,
        field: str | None = None,
        errors: tuple[FieldError, ...] = (),
        details: dict[str, Any] | None = None,
        request_id: str = "",
        traceparent: str = "",
    ) -> None:
        self.code = code
        self.message = message or code.meaning
        self.field = field
        self.errors = errors or (FieldError(code=code.name, message=self.message, field=field),)
        self.details = details
        self.request_id = request_id
        self.traceparent = traceparent
        super().__init__(f"{code.name}: {self.message}")


class NotJson(ValueError):
    """The payload is not a JSON object. It belongs in `pms:dead`, and is answered where an id was found in it."""

    def __init__(self, reason: str, request_id: str | None) -> None:
        super().__init__(reason)
        self.request_id = request_id
