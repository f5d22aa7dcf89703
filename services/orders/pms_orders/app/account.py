"""What the exchange says of the pooled account: balances and positions.

Owns the latest facts and their telling: changes as they come, all of them after a reconciliation and in snapshots.
Never compares them with the virtual accounts: that is risk's. Used by the user stream and the reconciliation.
"""

from collections.abc import Callable

from pms_common.bus import UpdatesWriter
from pms_common.contracts.bus.orders import AssetBalance, ExchangeAccount, ExchangePosition
from pms_orders.adapters.binance import wire


class ExchangeFacts:
    """Wallets by asset and positions by symbol and leg."""

    def __init__(self, updates: UpdatesWriter, now_ms: Callable[[], int]) -> None:
        self._updates = updates
        self._now_ms = now_ms
        self._balances: dict[str, AssetBalance] = {}
        self._positions: dict[tuple[str, str], ExchangePosition] = {}

    def change(self, event: wire.AccountUpdate) -> None:
        """An ACCOUNT_UPDATE: only what changed."""
        balances = [AssetBalance(asset=item.asset, wallet=item.wallet) for item in event.account.balances]
        positions = [_position(item) for item in event.account.positions]
        self._keep(balances, positions)
        self._updates.publish(
            ExchangeAccount(
                epoch=0,
                n=0,
                cause=event.account.cause,
                balances=balances,
                positions=positions,
                event_ms=event.event_ms,
            )
        )

    def replace(self, assets: list[wire.Asset], positions: list[wire.PositionRisk]) -> None:
        """The whole truth, from queries."""
        self._balances.clear()
        self._positions.clear()
        risks = [
            ExchangePosition(
                symbol=p.symbol, position_side=p.position_side, quantity=p.position_amt, entry_price=p.entry_price
            )
            for p in positions
        ]
        self._keep([AssetBalance(asset=item.asset, wallet=item.balance) for item in assets if item.balance], risks)
        self.tell_all("reconciliation")

    def tell_all(self, cause: str) -> None:
        """Publish everything."""
        self._updates.publish(
            ExchangeAccount(
                epoch=0,
                n=0,
                complete=True,
                cause=cause,
                balances=list(self._balances.values()),
                positions=list(self._positions.values()),
                event_ms=self._now_ms(),
            )
        )

    def _keep(self, balances: list[AssetBalance], positions: list[ExchangePosition]) -> None:
        for balance in balances:
            self._balances[balance.asset] = balance
        for position in positions:
            key = (position.symbol, position.position_side)
            if position.quantity:
                self._positions[key] = position
            else:
                self._positions.pop(key, None)


def _position(told: wire.FeedPosition) -> ExchangePosition:
    return ExchangePosition(
        symbol=told.symbol, position_side=told.position_side, quantity=told.quantity, entry_price=told.entry_price
    )
