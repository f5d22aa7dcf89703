"""Where an account stands at given marks: profit, equity, maintenance margin, margin ratio, liquidation prices.

Owns the exact evaluation, the only one decisions are made from. A position without a mark counts as unmoved, which is
good enough to be shown; who decides looks at `missing` first. Used by the snapshot and the liquidation engine.
"""

from dataclasses import dataclass
from decimal import Decimal

from pms_common.decimals import ZERO
from pms_risk.domain.account import Account, Marks
from pms_risk.domain.maintenance import Brackets, Lines, lines, required
from pms_risk.domain.math import (
    Leg,
    account_liquidation_price,
    liquidation_prices,
    margin_ratio,
    static_liquidation_price,
    unrealized_pnl,
)
from pms_risk.domain.position import Position


@dataclass(frozen=True, slots=True)
class Standing:
    """Positions that stand or fall together, at given marks: the cross ones of an account, or one isolated.
    `positions`, `marks` and `legs` run in parallel, oldest first; `balance` is the cash behind them."""

    positions: list[Position]
    marks: list[Decimal | None]
    legs: list[Leg]
    balance: Decimal
    threshold: Decimal
    pnl: Decimal
    maintenance: Decimal

    @property
    def isolated(self) -> str:
        """Id of the one isolated position; empty: these are an account's cross ones."""
        return self.positions[0].id if self.positions and self.positions[0].isolated is not None else ""

    @property
    def equity(self) -> Decimal:
        """Cash and unrealised profit; may be negative."""
        return self.balance + self.pnl

    @property
    def ratio(self) -> Decimal:
        """Margin ratio: higher is worse."""
        return margin_ratio(self.maintenance, self.equity) if self.legs else ZERO

    @property
    def missing(self) -> str | None:
        """The first symbol without a mark."""
        pairs = zip(self.positions, self.marks, strict=True)
        return next((position.symbol for position, mark in pairs if mark is None), None)

    def liquidation_prices(self) -> list[Decimal]:
        """Of each position, the other marks staying where they are."""
        return liquidation_prices(self.legs, self.balance, self.threshold)

    def account_liquidation_price(self) -> Decimal | None:
        """Of the largest position by notional at entry."""
        return account_liquidation_price(self.legs, self.liquidation_prices())


def evaluate(account: Account, marks: Marks, brackets: Brackets, isolated: Position | None = None) -> Standing:
    """Evaluate the account's cross positions at these marks, or one that is isolated."""
    positions = [held for held in account.open_positions() if held.isolated is None] if isolated is None else [isolated]
    found = [marks(position.symbol) for position in positions]
    legs = [_leg(account, *pair, brackets) for pair in zip(positions, found, strict=True)]
    return Standing(
        positions=positions,
        marks=found,
        legs=legs,
        balance=cash_behind(account, isolated),
        threshold=account.rules.liquidation_threshold,
        pnl=sum([leg.pnl for leg in legs], ZERO),
        maintenance=sum([leg.maintenance for leg in legs], ZERO),
    )


def lines_of(account: Account, position: Position, brackets: Brackets) -> Lines:
    """What the account's way of reckoning asks for this position."""
    tiers = brackets.get(position.symbol, ())
    return lines(account.maintenance_mode, account.maintenance_rate, position.quantity, position.cost, tiers)


def maintenance_of(account: Account, position: Position, mark: Decimal | None, brackets: Brackets) -> Decimal:
    """Maintenance margin of one position; without a mark as if it were at its entry."""
    return required(lines_of(account, position, brackets), mark if mark is not None else position.entry_price)


def cash_behind(account: Account, position: Position | None) -> Decimal:
    """The cash that an isolated position may lose, or that the account's cross ones may.

    Where an account has less than it has assigned (its balance was lowered, or a liquidation of the cross positions has
    cost more than stood behind them) and no cross position is left to answer for that, the isolated ones do, each in
    proportion to its margin: nobody may lose what is not there.
    """
    isolated = position.isolated if position is not None else None
    if isolated is None:
        return account.cross_cash
    if account.cross_cash >= 0 or isolated <= 0:
        return isolated
    margins = [held.isolated for held in account.open_positions()]
    if None in margins:
        return isolated
    return isolated + account.cross_cash * isolated / sum([max(margin, ZERO) for margin in margins if margin], ZERO)


def static_price(account: Account, position: Position, brackets: Brackets, balance: Decimal) -> Decimal:
    """The liquidation price of a position alone, with so much cash behind it."""
    of = lines_of(account, position, brackets)
    return static_liquidation_price(position.quantity, position.cost, of, balance, account.rules.liquidation_threshold)


def _leg(account: Account, position: Position, mark: Decimal | None, brackets: Brackets) -> Leg:
    quantity, cost = position.quantity, position.cost
    pnl = unrealized_pnl(quantity, cost, mark) if mark is not None else ZERO
    of = lines_of(account, position, brackets)
    return Leg(quantity, cost, pnl, of, maintenance_of(account, position, mark, brackets))
