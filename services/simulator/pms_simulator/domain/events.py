"""User-stream events, field by field as the venue sends them (recorded 2024-2026).

Owns the shape of ORDER_TRADE_UPDATE, TRADE_LITE, ACCOUNT_UPDATE and ACCOUNT_CONFIG_UPDATE. Never decides when
one is due nor in which order they leave: ``engine`` does.
"""

from decimal import Decimal
from typing import Any

from pms_simulator.domain.account import ASSET, Account
from pms_simulator.domain.orders import SIDE_NAME, Order, Trade
from pms_simulator.domain.positions import Holding, Leg
from pms_simulator.domain.units import short, short_text

Event = dict[str, Any]


def order_update(held: Holding, order: Order, execution: str, now_ms: int, trade: Trade | None = None) -> Event:
    """ORDER_TRADE_UPDATE; ``execution`` is NEW, TRADE, CANCELED, EXPIRED or AMENDMENT."""
    spec = order.spec
    body: Event = {
        "s": spec.symbol,
        "c": order.client_id,
        "S": SIDE_NAME[order.side],
        "o": order.order_type,
        "f": order.tif,
        "q": spec.qty_text(order.quantity),
        "p": spec.price_text(order.price) if order.price else "0",
        "ap": average_price(order),
        "sp": "0",
        "x": execution,
        "X": order.status,
        "i": order.order_id,
        "l": spec.qty_text(trade.quantity) if trade else "0",
        "z": spec.qty_text(order.executed) if order.executed else "0",
        "L": spec.price_text(trade.price) if trade else "0",
        "n": trade.commission if trade else "0",
        "N": trade.commission_asset if trade else ASSET,
        "T": now_ms,
        "t": trade.trade_id if trade else 0,
        "b": short_text(held.bids, spec.money_places),
        "a": short_text(held.asks, spec.money_places),
        "m": trade.maker if trade else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.order_type,
        "ps": order.position_side,
        "cp": False,
        "rp": trade.realized if trade else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": order.stp,
        "pm": order.price_match,
        "gtd": order.good_till_ms,
        "er": order.expiry_reason,
    }
    if execution == "AMENDMENT" and order.modify_id is not None:
        body["M"] = order.modify_id
    return {"e": "ORDER_TRADE_UPDATE", "T": now_ms, "E": now_ms, "o": body}


def average_price(order: Order) -> str:
    """Average fill price of an order as text, "0" without fills."""
    if not order.executed:
        return "0"
    return short((order.spec.money(order.quote) / order.spec.qty(order.executed)).quantize(Decimal("1e-8")))


def trade_lite(order: Order, trade: Trade, now_ms: int) -> Event:
    """TRADE_LITE: the early, thin notice of a fill."""
    spec = order.spec
    return {
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": now_ms,
        "s": spec.symbol,
        "q": spec.qty_text(order.quantity),
        "p": spec.price_text(order.price),
        "m": trade.maker,
        "c": order.client_id,
        "S": SIDE_NAME[order.side],
        "L": spec.price_text(trade.price),
        "l": spec.qty_text(trade.quantity),
        "t": trade.trade_id,
        "i": trade.order_id,
    }


def account_update(
    account: Account,
    changed: list[tuple[Holding, Leg]],
    reason: str,
    now_ms: int,
    balance_change: str = "0",
    moved: str = ASSET,
) -> Event:
    """ACCOUNT_UPDATE with the wallets and the legs that changed; `balance_change` is that of the asset `moved`."""
    wallets = {asset: f"{amount:.8f}" for asset, amount in account.balances().items()}
    return {
        "e": "ACCOUNT_UPDATE",
        "T": now_ms,
        "E": now_ms,
        "a": {
            "B": [
                {"a": asset, "wb": wallet, "cw": wallet, "bc": balance_change if asset == moved else "0"}
                for asset, wallet in wallets.items()
            ],
            "P": [_position(account, held, leg) for held, leg in changed],
            "m": reason,
        },
    }


def _position(account: Account, held: Holding, leg: Leg) -> Event:
    spec = held.spec
    entry = leg.entry_price(spec)
    return {
        "s": spec.symbol,
        "pa": spec.qty_text(leg.quantity) if leg.quantity else "0",
        "ep": price8(entry),
        "cr": short(leg.realized),
        "up": short(leg.unrealized(spec, held.mark)),
        "mt": "cross" if held.margin_type == "CROSSED" else "isolated",
        "iw": "0",
        "ps": leg.side,
        "ma": spec.margin_asset,
        "bep": price8(break_even(account, leg, entry)),
    }


def break_even(account: Account, leg: Leg, entry: Decimal) -> Decimal:
    """Entry price with the taker fee of the opening on top (below, for a short)."""
    return entry * (1 + account.fees.taker) if leg.quantity > 0 else entry * (1 - account.fees.taker)


def price8(price: Decimal) -> str:
    """A derived price, to eight decimals, without padding."""
    return short(price.quantize(Decimal("1e-8"))) if price else "0"


def config_update(symbol: str, leverage: int, now_ms: int) -> Event:
    """ACCOUNT_CONFIG_UPDATE after a change of leverage."""
    ac = {"s": symbol, "l": leverage}
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "T": now_ms, "ac": ac}


def multi_assets_update(enabled: bool, now_ms: int) -> Event:
    """ACCOUNT_CONFIG_UPDATE after a change of the multi-assets mode."""
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "T": now_ms, "ai": {"j": enabled}}
