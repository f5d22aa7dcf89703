"""What all handlers of risk look at, in one place.

Owns no rule: it holds the books, prices, gates and reference data, and answers simple questions about them. Used by
every handler; made by `main`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pms_common.contracts.bus.exchange import LeverageBracket
from pms_common.contracts.bus.orders import Fill, Reference, SymbolSpec
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_risk.domain.account import SETTLEMENT_ASSET, Account
from pms_risk.domain.barriers import Barriers
from pms_risk.domain.books import Books
from pms_risk.domain.fees import MAKER_FEE, TAKER_FEE, at_mark, at_rate
from pms_risk.domain.gates import Gates, State
from pms_risk.domain.liquidation.courses import Courses
from pms_risk.domain.plan import PositionMode
from pms_risk.domain.pool import DEFAULT_LEVERAGE, Pool
from pms_risk.domain.prices import Prices
from pms_risk.domain.reconciliation import Reconciliation

MAX_JOURNAL_LAG_S = 5.0
"""A journal further behind than this closes the gates to reducing (the design's bound)."""


@dataclass(slots=True)
class RiskState:
    """The facts decisions are made from. `now_ms` is the wall clock, `journal_lag_s` how far the journal is behind,
    `overloaded` whether the stream of approved orders is at its bound."""

    books: Books
    namespace: str
    mode: PositionMode
    now_ms: Callable[[], int]
    journal_lag_s: Callable[[], float]
    overloaded: Callable[[], bool]
    prices: Prices = field(default_factory=Prices)
    gates: Gates = field(default_factory=Gates)
    barriers: Barriers = field(default_factory=Barriers)
    reconciliation: Reconciliation = field(default_factory=Reconciliation)
    courses: Courses = field(default_factory=Courses)
    pool: Pool = field(default_factory=Pool)
    set_leverage: int | None = None
    """What is set for every symbol at the exchange; None: nothing is known."""
    specs: dict[str, SymbolSpec] = field(default_factory=dict)
    brackets: dict[str, tuple[LeverageBracket, ...]] = field(default_factory=dict)
    maker_fee: Decimal = MAKER_FEE
    taker_fee: Decimal = TAKER_FEE
    orders_ready: bool = False
    orders_why: str = "the order service has not spoken yet"

    def learn(self, reference: Reference) -> None:
        """Take trading rules and fee rates."""
        self.maker_fee, self.taker_fee = reference.maker_fee, reference.taker_fee
        for spec in reference.symbols:
            self.specs[spec.symbol] = spec

    def fee_value(self, fill: Fill) -> Decimal:
        """What a commission in another asset is worth in the settlement asset."""
        mark = self.prices.mark(f"{fill.commission_asset}{SETTLEMENT_ASSET}")
        return at_mark(fill, mark) if mark is not None else at_rate(fill, self.maker_fee, self.taker_fee)

    def learn_brackets(self, told: Mapping[str, tuple[LeverageBracket, ...]]) -> None:
        """Take margin tiers; whoever is reckoned by them counts as changed."""
        if all(self.brackets.get(symbol) == tiers for symbol, tiers in told.items()):
            return
        self.brackets.update(told)
        for account in self.books.accounts.values():
            if account.maintenance_mode == "brackets":
                account.version += 1

    def account(self, account_id: str | None) -> Account:
        """The account. Raises ACCOUNT_NOT_FOUND."""
        account = self.books.accounts.get(account_id or "")
        if account is None:
            raise CommandError(ErrorCode.ACCOUNT_NOT_FOUND, f"No account {account_id}", field="subAccountId")
        return account

    def spec(self, symbol: str) -> SymbolSpec:
        """The symbol's trading rules. Raises SYMBOL_UNKNOWN."""
        spec = self.specs.get(symbol)
        if spec is None:
            if not self.specs:
                raise CommandError(ErrorCode.INFRA_NOT_READY, self.orders_why)
            raise CommandError(ErrorCode.SYMBOL_UNKNOWN, f"The exchange lists no {symbol}", field="symbol")
        return spec

    def trading_state(self, account_id: str, symbol: str) -> State:
        """The state that holds here; a journal that is behind, or a pool short of margin, allows reductions only."""
        state = self.gates.state(account_id, symbol)
        if state == "active" and (self.journal_lag_s() > MAX_JOURNAL_LAG_S or self.pool.reducing):
            return "reducing"
        return state

    def exchange_leverage(self, symbol: str) -> int:
        """The exchange's leverage of a symbol: as set, or the venue's default, where its brackets allow that much."""
        wanted = self.set_leverage or DEFAULT_LEVERAGE
        tiers = self.brackets.get(symbol)
        return min(wanted, tiers[0].leverage) if tiers else wanted

    def liquidating(self, account_id: str, symbol: str) -> bool:
        """Whether a liquidation is under way here."""
        return self.courses.concern(account_id, symbol)

    def require_capacity(self) -> None:
        """Refuse new risk that the order service could not take."""
        if not self.orders_ready:
            raise CommandError(ErrorCode.INFRA_NOT_READY, f"No new orders: {self.orders_why}")
        if self.overloaded():
            raise CommandError(ErrorCode.INFRA_OVERLOADED)
