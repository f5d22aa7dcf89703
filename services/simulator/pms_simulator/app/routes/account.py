"""What an account has: balance, account, positions (v2 and v3), configuration, fees, brackets, income."""

from decimal import Decimal
from typing import Any

from pms_simulator.app.request import Request, Route
from pms_simulator.app.routes.orders import page, window
from pms_simulator.app.venue import Venue
from pms_simulator.domain.account import ASSET, Account
from pms_simulator.domain.brackets import Bracket
from pms_simulator.domain.events import break_even, price8
from pms_simulator.domain.intake import optional_integer, text
from pms_simulator.domain.liquidation import liquidation_price
from pms_simulator.domain.orders import PositionSide
from pms_simulator.domain.positions import ZERO, Holding, Leg
from pms_simulator.domain.state import Market

View = dict[str, Any]


def money(value: Decimal) -> str:
    """Eight decimals."""
    return f"{value:.8f}"


def _sides(account: Account) -> tuple[PositionSide, ...]:
    return ("LONG", "SHORT") if account.dual_side else ("BOTH",)


def _maintenance(account: Account) -> Decimal:
    return sum((held.maintenance_margin(leg) for held in account.holdings.values() for leg in held.legs.values()), ZERO)


def _position_margin(account: Account) -> Decimal:
    return sum((held.position_margin(leg) for held in account.holdings.values() for leg in held.legs.values()), ZERO)


def assets_v3(account: Account) -> list[View]:
    """``assets``; only USDT bears positions."""
    return [
        _asset(account),
        *[_idle(account, asset, held) for asset, held in account.balances().items() if asset != ASSET],
    ]


def _idle(account: Account, asset: str, held: Decimal) -> View:
    zero = money(ZERO)
    return {
        "asset": asset,
        "walletBalance": money(held),
        "unrealizedProfit": zero,
        "marginBalance": money(held),
        "maintMargin": zero,
        "initialMargin": zero,
        "positionInitialMargin": zero,
        "openOrderInitialMargin": zero,
        "crossWalletBalance": money(held),
        "crossUnPnl": zero,
        "availableBalance": money(held),
        "maxWithdrawAmount": money(held),
        "updateTime": account.update_ms,
    }


def _asset(account: Account) -> View:
    positions = _position_margin(account)
    return {
        "asset": ASSET,
        "walletBalance": money(account.wallet),
        "unrealizedProfit": money(account.unrealized),
        "marginBalance": money(account.wallet + account.unrealized),
        "maintMargin": money(_maintenance(account)),
        "initialMargin": money(account.initial_margin),
        "positionInitialMargin": money(positions),
        "openOrderInitialMargin": money(account.initial_margin - positions),
        "crossWalletBalance": money(account.wallet),
        "crossUnPnl": money(account.unrealized),
        "availableBalance": money(account.available),
        "maxWithdrawAmount": money(min(account.available, account.wallet)),
        "updateTime": account.update_ms,
    }


def _totals(account: Account) -> View:
    asset = _asset(account)
    return {
        "totalInitialMargin": asset["initialMargin"],
        "totalMaintMargin": asset["maintMargin"],
        "totalWalletBalance": asset["walletBalance"],
        "totalUnrealizedProfit": asset["unrealizedProfit"],
        "totalMarginBalance": asset["marginBalance"],
        "totalPositionInitialMargin": asset["positionInitialMargin"],
        "totalOpenOrderInitialMargin": asset["openOrderInitialMargin"],
        "totalCrossWalletBalance": asset["crossWalletBalance"],
        "totalCrossUnPnl": asset["crossUnPnl"],
        "availableBalance": asset["availableBalance"],
        "maxWithdrawAmount": asset["maxWithdrawAmount"],
    }


def _shown(held: Holding, leg: Leg) -> bool:
    return bool(leg.quantity) or any(order.position_side == leg.side for order in held.orders.values())


def _account_position(held: Holding, leg: Leg) -> View:
    spec = held.spec
    margin = held.position_margin(leg)
    return {
        "symbol": spec.symbol,
        "positionSide": leg.side,
        "positionAmt": spec.qty_text(leg.quantity),
        "unrealizedProfit": money(leg.unrealized(spec, held.mark)),
        "isolatedMargin": "0",
        "notional": money(spec.money(leg.quantity * held.mark)),
        "isolatedWallet": "0",
        "initialMargin": money(held.initial_margin),
        "maintMargin": money(held.maintenance_margin(leg)),
        "positionInitialMargin": money(margin),
        "openOrderInitialMargin": money(held.initial_margin - margin),
        "updateTime": leg.update_ms,
    }


def account_v3(venue: Venue, request: Request) -> Any:
    """Totals, assets, and positions with an amount or open orders."""
    account = request.account
    rows = [
        _account_position(held, held.leg(side))
        for held in account.holdings.values()
        for side in _sides(account)
        if _shown(held, held.leg(side))
    ]
    return {**_totals(account), "assets": assets_v3(account), "positions": rows}


def account_v2(venue: Venue, request: Request) -> Any:
    """As v3, with the account's configuration and every symbol's row."""
    account = request.account
    rows = []
    for market in venue.engine.markets.values():
        held = venue.engine.holding(account, market)
        for side in _sides(account):
            leg = held.leg(side)
            row = _account_position(held, leg)
            del row["isolatedMargin"]
            row.update(
                leverage=str(held.leverage),
                isolated=held.margin_type == "ISOLATED",
                entryPrice=price8(leg.entry_price(held.spec)),
                breakEvenPrice=price8(break_even(account, leg, leg.entry_price(held.spec))),
                maxNotional=str(held.max_notional),
                bidNotional=money(held.spec.money(held.bids)),
                askNotional=money(held.spec.money(held.asks)),
            )
            rows.append(row)
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "feeBurn": account.fee_burn,
        "tradeGroupId": -1,
        "updateTime": 0,
        "multiAssetsMargin": account.multi_assets,
        **_totals(account),
        "assets": [{**asset, "marginAvailable": True} for asset in assets_v3(account)],
        "positions": rows,
    }


def balance(venue: Venue, request: Request) -> Any:
    """Balance v2 and v3."""
    account = request.account
    return [
        {
            "accountAlias": account.name,
            "asset": asset["asset"],
            "balance": asset["walletBalance"],
            "crossWalletBalance": asset["crossWalletBalance"],
            "crossUnPnl": asset["crossUnPnl"],
            "availableBalance": asset["availableBalance"],
            "maxWithdrawAmount": asset["maxWithdrawAmount"],
            "marginAvailable": True,
            "updateTime": asset["updateTime"],
        }
        for asset in assets_v3(account)
    ]


def _chosen(venue: Venue, request: Request) -> list[Market]:
    symbol = request.params.get("symbol")
    return [venue.engine.market(symbol)] if symbol else list(venue.engine.markets.values())


def _risk_row(account: Account, held: Holding, leg: Leg) -> View:
    spec = held.spec
    entry = leg.entry_price(spec)
    return {
        "symbol": spec.symbol,
        "positionSide": leg.side,
        "positionAmt": spec.qty_text(leg.quantity),
        "entryPrice": price8(entry) if leg.quantity else "0.0",
        "breakEvenPrice": price8(break_even(account, leg, entry)) if leg.quantity else "0.0",
        "markPrice": f"{spec.price(held.mark):.8f}",
        "unRealizedProfit": money(leg.unrealized(spec, held.mark)),
        "liquidationPrice": price8(liquidation_price(account, held, leg)),
        "isolatedMargin": "0.00000000",
        "notional": price8(spec.money(leg.quantity * held.mark)),
        "isolatedWallet": "0",
        "updateTime": leg.update_ms,
    }


def positions_v3(venue: Venue, request: Request) -> Any:
    """Only symbols with a position or open orders; neither leverage nor margin type."""
    account = request.account
    rows = []
    for market in _chosen(venue, request):
        held = account.holdings.get(market.spec.symbol)
        if held is None:
            continue
        for side in _sides(account):
            leg = held.leg(side)
            if not _shown(held, leg):
                continue
            margin = held.position_margin(leg)
            row = _risk_row(account, held, leg)
            row.update(
                marginAsset=held.spec.margin_asset,
                initialMargin=money(held.initial_margin),
                maintMargin=money(held.maintenance_margin(leg)),
                positionInitialMargin=money(margin),
                openOrderInitialMargin=money(held.initial_margin - margin),
                adl=0,
                bidNotional=price8(held.spec.money(held.bids)),
                askNotional=price8(held.spec.money(held.asks)),
            )
            rows.append(row)
    return rows


def positions_v2(venue: Venue, request: Request) -> Any:
    """Every symbol, with leverage and margin type."""
    account = request.account
    rows = []
    for market in _chosen(venue, request):
        held = venue.engine.holding(account, market)
        for side in _sides(account):
            row = _risk_row(account, held, held.leg(side))
            row.update(
                leverage=str(held.leverage),
                maxNotionalValue=str(held.max_notional),
                marginType="cross" if held.margin_type == "CROSSED" else "isolated",
                isAutoAddMargin="false",
                isolated=held.margin_type == "ISOLATED",
                adlQuantile=0,
            )
            rows.append(row)
    return rows


def symbol_config(venue: Venue, request: Request) -> Any:
    """Leverage and margin type by symbol."""
    rows = []
    for market in _chosen(venue, request):
        held = venue.engine.holding(request.account, market)
        rows.append(
            {
                "symbol": market.spec.symbol,
                "marginType": held.margin_type,
                "isAutoAddMargin": False,
                "leverage": held.leverage,
                "maxNotionalValue": str(held.max_notional),
            }
        )
    return rows


def account_config(venue: Venue, request: Request) -> Any:
    """Account-wide configuration."""
    account = request.account
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": account.dual_side,
        "updateTime": 0,
        "multiAssetsMargin": account.multi_assets,
        "tradeGroupId": -1,
    }


def commission_rate(venue: Venue, request: Request) -> Any:
    """The account's fees on a symbol."""
    fees = request.account.fees
    return {
        "symbol": venue.engine.market(text(request.params, "symbol")).spec.symbol,
        "makerCommissionRate": f"{fees.maker:.6f}",
        "takerCommissionRate": f"{fees.taker:.6f}",
        "rpiCommissionRate": f"{fees.maker:.6f}",
    }


def _bracket(item: Bracket) -> View:
    return {
        "bracket": item.number,
        "initialLeverage": item.leverage,
        "notionalCap": item.cap,
        "notionalFloor": item.floor,
        "maintMarginRatio": float(item.rate),
        "cum": float(item.cum),
    }


def leverage_bracket(venue: Venue, request: Request) -> Any:
    """Tiers of all symbols, or of one."""
    rows = [
        {"symbol": market.spec.symbol, "brackets": [_bracket(item) for item in market.brackets]}
        for market in _chosen(venue, request)
    ]
    return rows[0] if request.params.get("symbol") else rows


def income(venue: Venue, request: Request) -> Any:
    """Cash flows, oldest first."""
    params = request.params
    symbol, kind = params.get("symbol"), params.get("incomeType")
    start, end = optional_integer(params, "startTime"), optional_integer(params, "endTime")
    if start is not None:
        start, end = window(params)
    found = [
        item
        for item in request.account.income
        if (not symbol or item.symbol == symbol)
        and (not kind or item.kind == kind)
        and (start is None or item.time_ms >= start)
        and (end is None or item.time_ms <= end)
    ]
    limit = page(params, 100, 1000)
    chosen = found[:limit] if start is not None else found[-limit:]
    return [
        {
            "symbol": item.symbol,
            "incomeType": item.kind,
            "income": money(item.amount),
            "asset": item.asset,
            "info": item.kind,
            "time": item.time_ms,
            "tranId": item.tran_id,
            "tradeId": str(item.trade_id) if item.trade_id else "",
        }
        for item in chosen
    ]


REST = (
    Route("GET /fapi/v2/account", account_v2, weight=5, operation="account"),
    Route("GET /fapi/v3/account", account_v3, weight=5, operation="account"),
    Route("GET /fapi/v2/balance", balance, weight=5, operation="balance"),
    Route("GET /fapi/v3/balance", balance, weight=5, operation="balance"),
    Route("GET /fapi/v2/positionRisk", positions_v2, weight=5, operation="positions"),
    Route("GET /fapi/v3/positionRisk", positions_v3, weight=5, operation="positions"),
    Route("GET /fapi/v1/symbolConfig", symbol_config, weight=5, operation="symbolConfig"),
    Route("GET /fapi/v1/accountConfig", account_config, weight=5, operation="accountConfig"),
    Route("GET /fapi/v1/commissionRate", commission_rate, weight=20, operation="commissionRate"),
    Route("GET /fapi/v1/leverageBracket", leverage_bracket, operation="leverageBracket"),
    Route("GET /fapi/v1/income", income, weight=30, operation="income"),
)
WS = (
    Route("account.status", account_v2, weight=5, operation="account"),
    Route("v2/account.status", account_v3, weight=5, operation="account"),
    Route("account.balance", balance, weight=5, operation="balance"),
    Route("v2/account.balance", balance, weight=5, operation="balance"),
    Route("account.position", positions_v2, weight=5, operation="positions"),
    Route("v2/account.position", positions_v3, weight=5, operation="positions"),
)
