"""The venue's REST interface: what the account has and has had, for the reconciliation and the start-up.

Owns the forms and weights of these queries. Goes through `ExchangeClient.ask`, and so through the weight budget. Never
changes anything at the venue.
"""

from decimal import Decimal

import msgspec

from pms_common.contracts.bus.base import PositionSide, Side
from pms_common.contracts.bus.exchange import CashFlow, FundingRate, LeverageBracket
from pms_common.contracts.bus.orders import Fill
from pms_common.logging import get_logger
from pms_orders.adapters.binance import wire
from pms_orders.adapters.binance.exchange_client import WINDOW_MS, ExchangeClient
from pms_orders.domain.foreign import Execution

log = get_logger(__name__)

PAGE = 1_000
MAX_INCOME_PAGES = 4
MAX_TRADE_PAGES = 10
MAX_RATE_PAGES = 20
MAX_ORDER_PAGES = 10
INCOME_WEIGHT, TRADES_WEIGHT, ORDERS_WEIGHT = 30, 5, 5


class Trade(msgspec.Struct, rename="camel"):
    """A line of userTrades, with its side."""

    symbol: str
    id: int
    order_id: int
    side: Side
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    maker: bool
    time: int
    position_side: PositionSide = "BOTH"


class Income(msgspec.Struct, rename="camel"):
    """A line of income."""

    income_type: str
    income: Decimal
    asset: str
    time: int
    tran_id: int
    symbol: str = ""
    info: str = ""


class SettledRate(msgspec.Struct, rename="camel"):
    """A line of fundingRate; the mark is empty where the venue has not kept it."""

    symbol: str
    funding_rate: Decimal
    funding_time: int
    mark_price: str = ""


class AccountConfig(msgspec.Struct, rename="camel"):
    """What we read of accountConfig."""

    dual_side_position: bool
    multi_assets_margin: bool


class SymbolConfig(msgspec.Struct, rename="camel"):
    """A line of symbolConfig."""

    symbol: str
    margin_type: str
    leverage: int


class Tier(msgspec.Struct, rename="camel"):
    """A tier of leverageBracket. The venue's rates are JSON numbers: their text is exact, a float is not."""

    initial_leverage: int
    notional_cap: Decimal
    maint_margin_ratio: Decimal
    cum: Decimal


class SymbolTiers(msgspec.Struct):
    """A line of leverageBracket."""

    symbol: str
    brackets: list[Tier]


_trades = msgspec.json.Decoder(list[Trade])
_income = msgspec.json.Decoder(list[Income])
_funding_rates = msgspec.json.Decoder(list[SettledRate])
_account_config = msgspec.json.Decoder(AccountConfig)
_symbol_configs = msgspec.json.Decoder(list[SymbolConfig])
_tiers = msgspec.json.Decoder(list[SymbolTiers])


class Queries:
    """Asks what only the reconciliation and the start-up want to know."""

    def __init__(self, rest: ExchangeClient) -> None:
        self._rest = rest

    async def flows_since(self, since_ms: int, now_ms: int) -> tuple[list[CashFlow], int | None]:
        """The account's cash flows since then, fees and profits included; of very many the first ones, and until when
        these reach, None where they are all. The venue lists a week at a time."""
        found: dict[tuple[str, int, str, str], CashFlow] = {}
        for _ in range(MAX_INCOME_PAGES):
            asked: dict[str, str | int] = {"startTime": since_ms, "limit": PAGE}
            page = await self._rest.ask("GET", "/fapi/v1/income", INCOME_WEIGHT, _income, asked)
            found.update({(item.income_type, item.tran_id, item.asset, item.symbol): _flow(item) for item in page})
            if len(page) == PAGE:
                since_ms = max(page[-1].time, since_ms + 1)  # more of one instant than a page cannot be had
            elif (since_ms := since_ms + WINDOW_MS) > now_ms:
                return list(found.values()), None
        log.warning("income_cut", pages=MAX_INCOME_PAGES)
        return list(found.values()), since_ms

    async def funding_rates(self, since_ms: int) -> tuple[list[FundingRate], list[tuple[str, int]]]:
        """The fundings settled since then on all symbols, oldest first; of very many the first ones. Beside them symbol
        and time of those whose mark the venue does not tell (yet): what they pay cannot be known.

        The venue counts these requests apart (500 in 5 minutes) and gives them no weight.
        """
        found: dict[tuple[str, int], FundingRate] = {}
        unmarked: list[tuple[str, int]] = []
        for _ in range(MAX_RATE_PAGES):
            asked: dict[str, str | int] = {"startTime": since_ms, "limit": PAGE}
            page = await self._rest.ask("GET", "/fapi/v1/fundingRate", 0, _funding_rates, asked, signed=False)
            for item in page:
                key = item.symbol, item.funding_time
                if not item.mark_price:
                    unmarked.append(key)
                    continue
                mark = Decimal(item.mark_price)
                found[key] = FundingRate(symbol=key[0], rate=item.funding_rate, mark=mark, time_ms=key[1])
            if len(page) < PAGE or page[-1].funding_time == since_ms:
                break
            since_ms = page[-1].funding_time
        return list(found.values()), unmarked

    async def executions_since(self, symbol: str, since_ms: int, now_ms: int) -> list[Execution]:
        """All executions on a symbol since then, whosoever they are."""
        asked: dict[str, str | int] = {"symbol": symbol, "limit": PAGE}
        found: dict[tuple[int, int], Trade] = {}
        while True:
            page = await self._page({**asked, "startTime": since_ms})  # of one window
            found.update({(trade.id, trade.order_id): trade for trade in page})
            since_ms += WINDOW_MS
            if len(page) == PAGE or since_ms > now_ms:
                break
        for _ in range(MAX_TRADE_PAGES):
            if len(page) < PAGE:
                return list(map(_execution, found.values()))
            # The last one again: the sides of a self-match share their id, and the page may have ended between them.
            page = await self._page({**asked, "fromId": max(trade.id for trade in page)})
            found.update({(trade.id, trade.order_id): trade for trade in page})
        log.warning("trades_cut", symbol=symbol, pages=MAX_TRADE_PAGES)
        return list(map(_execution, found.values()))

    async def _page(self, asked: dict[str, str | int]) -> list[Trade]:
        return await self._rest.ask("GET", "/fapi/v1/userTrades", TRADES_WEIGHT, _trades, asked)

    async def order_numbered(self, symbol: str, number: int) -> wire.QueriedOrder:
        """An order by exchange order id. Raises `VenueRefused` with -2013 where the venue does not find it."""
        asked: dict[str, str | int] = {"symbol": symbol, "orderId": number}
        return await self._rest.ask("GET", "/fapi/v1/order", 1, wire.queried_order, asked)

    async def orders_numbered(self, symbol: str, first: int, last: int) -> list[wire.QueriedOrder]:
        """The orders of a symbol with these exchange order ids and those between; at most of the last 7 days."""
        found: list[wire.QueriedOrder] = []
        for _ in range(MAX_ORDER_PAGES):
            asked: dict[str, str | int] = {"symbol": symbol, "orderId": first, "limit": PAGE}
            page = await self._rest.ask("GET", "/fapi/v1/allOrders", ORDERS_WEIGHT, wire.queried_orders, asked)
            found += page
            if len(page) < PAGE or (first := max(order.order_id for order in page) + 1) > last:
                break
        return found

    async def account_config(self) -> AccountConfig:
        """Position mode and margin mode of the account."""
        return await self._rest.ask("GET", "/fapi/v1/accountConfig", 5, _account_config)

    async def symbol_configs(self) -> list[SymbolConfig]:
        """Margin type and leverage of every symbol."""
        return await self._rest.ask("GET", "/fapi/v1/symbolConfig", 5, _symbol_configs)

    async def brackets(self) -> dict[str, tuple[LeverageBracket, ...]]:
        """The margin tiers of every symbol."""
        rows = await self._rest.ask("GET", "/fapi/v1/leverageBracket", 1, _tiers)
        return {row.symbol: tuple([_bracket(tier) for tier in row.brackets]) for row in rows}


def _flow(item: Income) -> CashFlow:
    return CashFlow(
        flow_id=item.tran_id,
        kind=item.income_type,
        amount=item.income,
        asset=item.asset,
        symbol=item.symbol,
        info=item.info,
        time_ms=item.time,
    )


def _execution(trade: Trade) -> Execution:
    fill = Fill(
        trade_id=trade.id,
        price=trade.price,
        quantity=trade.qty,
        commission=trade.commission,
        commission_asset=trade.commission_asset,
        realized_pnl=trade.realized_pnl,
        maker=trade.maker,
        trade_ms=trade.time,
    )
    return Execution(trade.symbol, trade.order_id, trade.side, trade.position_side, fill)


def _bracket(tier: Tier) -> LeverageBracket:
    return LeverageBracket(
        cap=tier.notional_cap, rate=tier.maint_margin_ratio, cum=tier.cum, leverage=tier.initial_leverage
    )
