"""The opening of the house: what the exchange account held before anything was booked.

Owns that, from the very first look on, the books add up to the exchange: what nobody here has becomes the house's.
Never looks again: what differs later is `reconciliation`'s. Pure. Used by the application's exchange facts.
"""

from decimal import Decimal

from pms_common.contracts.bus.orders import ExchangeAccount
from pms_common.decimals import ZERO
from pms_risk.domain.account import SETTLEMENT_ASSET
from pms_risk.domain.books import Books
from pms_risk.domain.house import CAPITAL, HOUSE
from pms_risk.domain.ledger import Entry
from pms_risk.domain.position import WALLET_UNIT, Position


def open_house(books: Books, exchange: ExchangeAccount) -> tuple[list[Entry], list[Position]]:
    """Take the exchange account as it is found at the very first look: cash beyond what is booked becomes capital,
    positions beyond what is booked become external ones.

    It is as of the newest change that it holds: what was made before that and is heard of later is in it.
    """
    opened_ms = books.house.opened_ms = exchange.event_ms if exchange.as_of_ms is None else exchange.as_of_ms
    entries = []
    wallets = {SETTLEMENT_ASSET: ZERO} | {balance.asset: balance.wallet for balance in exchange.balances}
    for asset, wallet in wallets.items():
        found = wallet - books.cash(asset)
        if found or asset == SETTLEMENT_ASSET:  # an empty wallet has an entry, too: it tells of the first look
            entries.append(
                books.house.book(
                    CAPITAL,
                    found,
                    key=f"opening_wallet:{asset}",
                    cause="opening_wallet",
                    reference="exchange",
                    at_ms=opened_ms,
                    asset=asset,
                )
            )
    return entries, _open_external(books, exchange)


def _open_external(books: Books, exchange: ExchangeAccount) -> list[Position]:
    booked = books.quantities()
    opened = []
    for found in exchange.positions:
        key = (found.symbol, found.position_side)
        rest = found.quantity - booked.get(key, ZERO)
        if not rest or key in books.house.positions:
            continue
        position_id = books.position_id(HOUSE, found.position_side, f"opening:{found.symbol}")
        position = Position(position_id, found.symbol, found.position_side, Decimal(1), exchange.event_ms)
        position.add(rest, found.entry_price, Decimal(1))
        position.cost = position.cost.quantize(WALLET_UNIT)  # an average price has any number of digits
        books.house.positions[key] = position
        opened.append(position)
    return opened
