"""Cash flows that no execution carries: funding for its holders, everything else of the exchange's income list.

Owns where each kind goes. Funding is settled with the holders by its rate (`funding`); the exchange's own payment meets
it in the house's rounding book. A liquidation's fee goes to those who were liquidated, as long as they are remembered.
All other flows are the house's, each under its own kind as the cause. Pure. Used by the application's cash flows.
"""

from collections.abc import Mapping
from decimal import Decimal

from pms_common.contracts.bus.exchange import CashFlow
from pms_common.decimals import ZERO
from pms_risk.domain.account import SETTLEMENT_ASSET
from pms_risk.domain.booking import Booking, Deal
from pms_risk.domain.books import ONE, Books
from pms_risk.domain.first_look import FUNDING_FEE
from pms_risk.domain.funding import Funding
from pms_risk.domain.house import CAPITAL, EXTERNAL, HOUSE, INCOME, INSURANCE, ROUNDING
from pms_risk.domain.moves import Holder
from pms_risk.domain.position import WALLET_UNIT
from pms_risk.domain.shares import divide

INSURANCE_CLEAR = "INSURANCE_CLEAR"
BOOKS = {
    FUNDING_FEE: ROUNDING,
    INSURANCE_CLEAR: INSURANCE,
    "TRANSFER": CAPITAL,
    "INTERNAL_TRANSFER": CAPITAL,
    "CROSS_COLLATERAL_TRANSFER": CAPITAL,
    "COIN_SWAP_DEPOSIT": CAPITAL,
    "COIN_SWAP_WITHDRAW": CAPITAL,
    "AUTO_EXCHANGE": CAPITAL,
}
"""The house's book of each income type; all others are income."""
FEE_WITHIN_MS = 5_000
"""How far from its liquidation a fee may be."""


def flow_key(flow: CashFlow) -> str:
    """What makes a flow unique."""
    return f"{flow.kind}:{flow.flow_id}:{flow.asset}:{flow.symbol}"


def book_flow(books: Books, flow: CashFlow) -> list[Booking]:
    """Book a flow that was not booked before: the accounts' parts, if any, and last the house's."""
    reference = f"flow:{flow_key(flow)}"
    bookings = []
    house, rest = Booking(reference, HOUSE, "BOTH"), flow.amount
    if flow.kind == INSURANCE_CLEAR and flow.amount < 0 and flow.asset == SETTLEMENT_ASSET:
        liquidated = books.moves.liquidated(flow.symbol, flow.time_ms, FEE_WITHIN_MS)
        for name, part in divide(flow.amount, liquidated, WALLET_UNIT).items():
            if name == HOUSE or name not in books.accounts:
                continue
            deal = _deal(f"{reference}:{name}", flow)
            booking = Booking(deal.reference, name, "BOTH")
            account = books.accounts[name]
            books.book_account(booking, deal, account, part, "insurance_clear")
            books.settle_debt(booking, account, deal)
            bookings.append(booking)
            rest -= part
    if rest:
        book = EXTERNAL if bookings or _of_external(books, flow) else BOOKS.get(flow.kind, INCOME)
        books.book_house(house, _deal(reference, flow), book, rest, flow.kind.lower(), flow.asset)
    books.flows.remember(flow_key(flow), flow.time_ms)
    return [*bookings, house]


def _of_external(books: Books, flow: CashFlow) -> bool:
    """Whether it is a funding from before the first look, which is settled with nobody: the external book held all."""
    return flow.kind == FUNDING_FEE and flow.time_ms <= (books.house.opened_ms or 0)


def _deal(reference: str, flow: CashFlow) -> Deal:
    return Deal(reference, flow.symbol, "BOTH", ZERO, ONE, flow.time_ms)


def book_funding(books: Books, funding: Funding, moved: Mapping[Holder, Decimal] | None = None) -> list[Booking]:
    """Settle a funding that was not settled before with all who held the symbol at its instant; the house's part last.

    Raises `LookupError` where what moved after it is not remembered and not told by `moved`.
    """
    if moved is None and books.moves.complete_from_ms > funding.at_ms:
        raise LookupError(f"positions of {funding.symbol} at {funding.at_ms} are not remembered")
    reference = "funding:{}:{}".format(*funding.key)
    bookings: list[Booking] = []
    external = ZERO
    for (name, leg), quantity in books.held_at(funding.symbol, funding.at_ms, moved).items():
        payment = funding.payment(quantity)
        if not payment:
            continue
        account = books.accounts.get(name)
        if account is None:
            external += payment
            continue
        deal = Deal(f"{reference}:{name}:{leg}", funding.symbol, leg, funding.mark, ONE, funding.at_ms)
        booking = Booking(deal.reference, name, leg)
        books.pay_funding(booking, deal, account, payment, funding.at_ms)
        books.settle_debt(booking, account, deal)
        bookings.append(booking)
    house = Booking(reference, HOUSE, "BOTH")
    deal = Deal(reference, funding.symbol, "BOTH", funding.mark, ONE, funding.at_ms)
    paid = external + sum(
        (entry.amount for b in bookings for entry in b.account_entries if entry.cause == "funding"), ZERO
    )
    if external:
        books.book_house(house, deal, EXTERNAL, external, "funding")
    if paid:
        books.book_house(house, deal, ROUNDING, -paid, "funding")
    if bookings or external:
        books.fundings.book(funding)
        house.fundings.append(funding)
    return [*bookings, house]
