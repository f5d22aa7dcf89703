"""What the exchange says of the pooled account: balances and positions.

Owns the latest facts and their telling: changes as they come, all of them after a reconciliation and in snapshots.
Never compares them with the virtual accounts: that is risk's. Used by the user stream and the reconciliation.
"""

import time
from collections.abc import Callable, Iterator
from decimal import Decimal

from pms_common.bus import UpdatesWriter
from pms_common.contracts.bus.orders import AssetBalance, ExchangeAccount, ExchangePosition
from pms_common.decimals import ZERO
from pms_orders.adapters.binance import wire

LAG_S = 2.0
"""Queries were seen to lag by 1.1 to 1.5 s behind the engine (binance-usdm facts, 5.7); the venue names no bound."""

Key = tuple[str, str]
"""(asset, "") of a wallet, (symbol, leg) of a position."""


class ExchangeFacts:
    """Wallets by asset and positions by symbol and leg."""

    def __init__(self, updates: UpdatesWriter, now_ms: Callable[[], int]) -> None:
        self._updates = updates
        self._now_ms = now_ms
        self._balances: dict[Key, AssetBalance] = {}
        self._positions: dict[Key, ExchangePosition] = {}
        self._changed_s: dict[Key, float] = {}
        self._told_ms: dict[Key, int] = {}
        self.differed = False
        """Whether the last queries knew something else than the feed had told."""
        self.paid = False
        """Whether that was a wallet."""
        self.paid_ms = 0
        """When the feed last told a change of a wallet that no execution carries."""
        self._asked_ms = 0
        """Until when, in the exchange's time, the last queries knew everything."""
        self._executed: dict[Key, Decimal] = {}
        self._heard_s: dict[str, float] = {}
        self._explained: dict[Key, Decimal] = {}
        self.stirred = False
        """Whether the next look is due soon: since `unexplained` was asked there was a gap, or the feed has told of an
        execution or a change."""

    @property
    def exposed(self) -> bool:
        """Whether the account holds a position."""
        return bool(self._positions)

    def change(self, event: wire.AccountUpdate) -> None:
        """An ACCOUNT_UPDATE: only what changed."""
        paid = event.account.cause != "ORDER"
        balances = [
            AssetBalance(asset=item.asset, wallet=item.wallet, change=item.change if paid and item.change else None)
            for item in event.account.balances
        ]
        positions = [_position(item) for item in event.account.positions]
        overtaken = [item for item in balances if not self._is_newest(_wallet(item), event.event_ms)]
        balances = [item for item in balances if item not in overtaken]
        positions = [item for item in positions if self._is_newest(_leg(item), event.event_ms)]
        now_s, self.stirred = time.monotonic(), True
        if paid:
            self.paid_ms = event.event_ms
        self._changed_s.update(dict.fromkeys((*map(_wallet, balances), *map(_leg, positions)), now_s))
        self._keep(balances, positions)
        self._updates.publish(
            ExchangeAccount(
                epoch=0,
                n=0,
                trade_ms=None if paid else event.event_ms,
                cause=event.account.cause,
                symbol=event.account.symbol,
                balances=[*balances, *self._payments(overtaken)],
                positions=positions,
                event_ms=event.event_ms,
            )
        )

    def _payments(self, overtaken: list[AssetBalance]) -> Iterator[AssetBalance]:
        """What an event that others have overtaken tells of payments, with the wallets as they are known by now."""
        for item in overtaken:
            known = self._balances.get(_wallet(item))
            if known is not None and item.change is not None:
                yield AssetBalance(asset=item.asset, wallet=known.wallet, change=item.change)

    def executed(self, symbol: str, position_side: str, quantity: Decimal) -> None:
        """The feed told an execution: signed, positive bought."""
        key = symbol, position_side
        self._executed[key] = self._executed.get(key, ZERO) + quantity
        self._heard_s[symbol] = time.monotonic()
        self.stirred = True

    def unheard(self, symbols: set[str], within_s: float) -> set[str]:
        """Those on which the feed has told no execution within this time."""
        since_s = time.monotonic() - within_s
        return {symbol for symbol in symbols if symbol not in self._heard_s or self._heard_s[symbol] < since_s}

    def unexplained(self) -> set[str]:
        """The symbols whose position changed, since this was last asked, by something else than was executed.

        The event of an execution was missed there; or it has only just been told, and the position not yet.
        """
        held = {key: position.quantity for key, position in self._positions.items()}
        legs = held.keys() | self._explained.keys() | self._executed.keys()
        found = {
            leg[0]
            for leg in legs
            if held.get(leg, ZERO) - self._explained.get(leg, ZERO) != self._executed.get(leg, ZERO)
        }
        self._explained, self._executed, self.stirred = held, {}, False
        return found

    def _is_newest(self, key: Key, event_ms: int) -> bool:
        """Whether nothing later was told of it: two connections may tell the same events in another order."""
        if event_ms < self._told_ms.get(key, 0):
            return False
        self._told_ms[key] = event_ms
        return True

    def positions(self) -> list[ExchangePosition]:
        """All positions that are not flat."""
        return list(self._positions.values())

    def replace(
        self,
        assets: list[wire.Asset],
        positions: list[wire.PositionRisk],
        asked_s: float,
        since_ms: int = 0,
        *,
        of_one_moment: bool = False,
    ) -> set[str]:
        """The whole truth, from queries asked at `asked_s` (monotonic); the symbols whose position was another one.

        What the feed has told since then, or so shortly before that the queries may not have seen it, stays as told;
        where they are `of_one_moment` they say themselves what they have seen. A leg that has not changed since
        `since_ms` counts as known, whatever became of the symbol's other one.
        """
        known = self._balances, self._positions
        newest_ms = max([0, *(asset.update_time for asset in assets), *(held.update_time for held in positions)])
        self._asked_ms = max(self._now_ms() - int((time.monotonic() - asked_s + LAG_S) * 1_000), newest_ms)
        since_s = asked_s - LAG_S
        self._changed_s = {
            key: at_s
            for key, at_s in self._changed_s.items()
            if at_s >= since_s and not (of_one_moment and self._told_ms[key] < newest_ms)
        }
        self._balances = {key: item for key, item in self._balances.items() if key in self._changed_s}
        self._positions = {key: item for key, item in self._positions.items() if key in self._changed_s}
        balances = [AssetBalance(asset=item.asset, wallet=item.balance) for item in assets if item.balance]
        risks = [
            ExchangePosition(
                symbol=p.symbol, position_side=p.position_side, quantity=p.position_amt, entry_price=p.entry_price
            )
            for p in positions
        ]
        self._keep(
            [item for item in balances if _wallet(item) not in self._changed_s],
            [item for item in risks if _leg(item) not in self._changed_s],
        )
        self.paid = known[0] != self._balances
        self.differed = known != (self._balances, self._positions)
        old = {(p.symbol, p.position_side) for p in positions if 0 < p.update_time < since_ms}
        legs = (known[1].keys() | self._positions.keys()) - old
        return {leg[0] for leg in legs if known[1].get(leg) != self._positions.get(leg)}

    def tell_all(self, cause: str) -> None:
        """Publish everything, as of now, or of the newest change where this machine's clock is behind.

        It holds what changed until the newest change that the feed has told or the queries have seen: they answer as of
        some moment before they are asked, which no answer names.
        """
        told_ms = max(self._told_ms.values(), default=0)
        self._updates.publish(
            ExchangeAccount(
                epoch=0,
                n=0,
                complete=True,
                as_of_ms=max(told_ms, self._asked_ms),
                cause=cause,
                balances=list(self._balances.values()),
                positions=list(self._positions.values()),
                event_ms=max(self._now_ms(), told_ms),
            )
        )

    def _keep(self, balances: list[AssetBalance], positions: list[ExchangePosition]) -> None:
        for balance in balances:
            self._balances[_wallet(balance)] = balance
        for position in positions:
            if position.quantity:
                self._positions[_leg(position)] = position
            else:
                self._positions.pop(_leg(position), None)


def _wallet(balance: AssetBalance) -> Key:
    return balance.asset, ""


def _leg(position: ExchangePosition) -> Key:
    return position.symbol, position.position_side


def _position(told: wire.FeedPosition) -> ExchangePosition:
    return ExchangePosition(
        symbol=told.symbol, position_side=told.position_side, quantity=told.quantity, entry_price=told.entry_price
    )
