"""What the /sim/ routes do: the whole truth as data, and hands on market and clock.

Owns the meaning of the control requests; the adapter owns their HTTP.
"""

from decimal import Decimal
from typing import Any

from pms_simulator.app import views
from pms_simulator.app.market_driver import MarketDriver
from pms_simulator.app.venue import Venue
from pms_simulator.domain.account import ASSET, BNB, Account
from pms_simulator.domain.errors import illegal, mandatory
from pms_simulator.domain.faults.fields import Fields, wrong
from pms_simulator.domain.funding import settle_funding
from pms_simulator.domain.intake import SIDES, side_of, text, units
from pms_simulator.domain.market.moves import Print, Quote
from pms_simulator.domain.orders import SIDE_NAME
from pms_simulator.domain.state import Market
from pms_simulator.domain.units import short
from pms_simulator.settings import KeyPair

Body = dict[str, Any]
DEFAULT_QTY_STEPS = 10_000


def state(venue: Venue, sockets: dict[str, int], only: str | None = None) -> Any:
    """Orders, trades, positions per leg, wallet, listen keys, counters; of all accounts or of one."""
    now_ms = venue.now_ms()
    chosen = [account for account in venue.engine.accounts.values() if only in {None, account.name}]
    return {
        "time": now_ms,
        "offsetMs": venue.offset_ms,
        "accounts": {account.name: _account(venue, account, now_ms) for account in chosen},
        "markets": {symbol: _market(market) for symbol, market in venue.engine.markets.items()},
        "listenKeys": [
            {"account": listen.account.name, "listenKey": listen.key, "expiresAt": listen.expires_ms}
            for listen in venue.users.keys.values()
            if only in {None, listen.account.name}
        ],
        "sockets": sockets,
        "counters": counters(venue),
    }


def _account(venue: Venue, account: Account, now_ms: int) -> Body:
    counts = venue.limits.counts(account.name)
    return {
        "wallet": short(account.wallet),
        "bnb": short(account.bnb),
        "unrealized": short(account.unrealized),
        "initialMargin": f"{account.initial_margin:.8f}",
        "available": f"{account.available:.8f}",
        "dualSidePosition": account.dual_side,
        "positions": [
            {
                "symbol": symbol,
                "positionSide": leg.side,
                "positionAmt": held.spec.qty_text(leg.quantity),
                "entryPrice": short(leg.entry_price(held.spec)),
                "cost": short(leg.cost),
                "realized": short(leg.realized),
                "leverage": held.leverage,
            }
            for symbol, held in account.holdings.items()
            for leg in held.legs.values()
        ],
        "orders": [{**views.queried(order), "endedBy": order.ended_by} for order in account.orders()],
        "openOrders": [views.queried(order) for order in account.open_orders()],
        "trades": [views.trade(item) for item in account.trades],
        "orderCount10s": counts.ten_seconds.used(now_ms),
        "orderCount1m": counts.minute.used(now_ms),
    }


def _market(market: Market) -> Body:
    spec = market.spec
    bid, bid_qty, ask, ask_qty = market.book.quote()
    return {
        "bid": spec.price_text(bid),
        "bidQty": spec.qty_text(bid_qty),
        "ask": spec.price_text(ask),
        "askQty": spec.qty_text(ask_qty),
        "mark": spec.price_text(market.mark),
        "last": spec.price_text(market.last),
        "updateId": market.book.changed_id,
    }


def requests(venue: Venue, only: str | None = None) -> Any:
    """Every request received (of one account's keys), oldest first, as far as the log goes back."""
    return [
        {
            "timeNs": item.time_ns,
            "transport": item.transport,
            "name": item.name,
            "account": item.account,
            "params": {name: value for name, value in item.params.items() if name != "signature"},
        }
        for item in venue.requests
        if only in {None, item.account}
    ]


def frames(venue: Venue) -> Any:
    """When fills and best quotes were written to their sockets, oldest first, as far as the log goes back."""
    return [
        {"kind": sent.kind, "symbol": sent.symbol, "id": sent.id, "timeNs": sent.time_ns}
        for sent in venue.frames.frames
    ]


def counters(venue: Venue) -> Any:
    """How many requests were received, and how many are in the log."""
    return {"requests": venue.received, "kept": len(venue.requests)}


def clear_limits(venue: Venue) -> Any:
    """Begin the rate limits' counts anew."""
    venue.limits.clear()
    return {}


def move_market(venue: Venue, driver: MarketDriver, body: Body) -> Any:
    """Set the quote, or tell the market how to go on.

    ``bid`` and ``ask`` (with optional ``bidQty``, ``askQty``) set the best background quote and pause the symbol's
    own movement. ``drift`` (fraction of the price a second, for ``seconds`` or for good) and ``volatility`` (of one
    tick) let it walk from where it is; a replayed symbol leaves its recording. ``paused`` true or false stops or
    resumes the movement.
    """
    params = _params(body)
    market = venue.engine.market(text(params, "symbol"))
    if "bid" in params or "ask" in params:
        _set_quote(venue, driver, market, params)
    if "drift" in params or "volatility" in params:
        _set_walk(venue, driver, market, body)
    if "paused" in body:
        change = driver.paused.add if body["paused"] is True else driver.paused.discard
        change(market.spec.symbol)
        if body["paused"] is not True and market.spec.symbol in driver.walks:
            driver.walks[market.spec.symbol].recenter(market.mark)
    return _market(market)


def _set_quote(venue: Venue, driver: MarketDriver, market: Market, params: dict[str, str]) -> None:
    spec = market.spec
    default = str(spec.qty((spec.lot.step or 1) * DEFAULT_QTY_STEPS))
    sized = {"bidQty": default, "askQty": default, **params}
    quote = Quote(
        units(sized, "bid", spec.price_places),
        units(sized, "bidQty", spec.qty_places),
        units(sized, "ask", spec.price_places),
        units(sized, "askQty", spec.qty_places),
    )
    if not 0 < quote.bid < quote.ask:
        raise illegal("bid")
    driver.paused.add(spec.symbol)
    now_ms = venue.now_ms()
    venue.engine.apply(market, quote, now_ms)
    venue.flush(now_ms)


def _set_walk(venue: Venue, driver: MarketDriver, market: Market, body: Body) -> None:
    walk = driver.walks.get(market.spec.symbol)
    if walk is None:
        if not market.mark:
            raise mandatory("bid")
        walk = driver.start_walk(market, market.mark)
    driver.paused.discard(market.spec.symbol)
    walk.recenter(market.mark)
    walk.volatility = _fraction(body, "volatility", walk.volatility)
    if walk.volatility < 0:
        raise illegal("volatility")
    walk.drift = _fraction(body, "drift", 0.0)
    seconds = _fraction(body, "seconds", 0.0)
    walk.drift_until_ms = venue.now_ms() + int(seconds * 1000) if seconds else None


def _fraction(body: Body, name: str, default: float) -> float:
    try:
        value = float(body.get(name, default))
    except (TypeError, ValueError):
        raise illegal(name) from None
    if not -10 < value < 100_000:
        raise illegal(name)
    return value


def trade(venue: Venue, body: Body) -> Any:
    """A background taker of ``side`` trades ``quantity``, at most up to ``price`` where one is given."""
    params = _params(body)
    market = venue.engine.market(text(params, "symbol"))
    spec, side = market.spec, side_of(params)
    price = units(params, "price", spec.price_places) if "price" in params else None
    now_ms = venue.now_ms()
    before = market.trade_id
    venue.engine.apply(market, Print(side, units(params, "quantity", spec.qty_places), price), now_ms)
    venue.flush(now_ms)
    return {"symbol": spec.symbol, "side": SIDE_NAME[SIDES[params["side"]]], "trades": market.trade_id - before}


def set_clock(venue: Venue, body: Body) -> Any:
    """Shift the venue's clock against the machine's."""
    offset = body.get("offsetMs")
    if not isinstance(offset, int) or isinstance(offset, bool):
        raise mandatory("offsetMs")
    venue.offset_ms = offset
    return {"offsetMs": offset, "serverTime": venue.now_ms()}


def deposit(venue: Venue, body: Body) -> Any:
    """Move cash into an account's wallet (or out, when negative).

    ``asset`` is USDT or BNB; ``kind`` is the income type where it is no transfer, with its ``symbol``.
    """
    params = _params(body)
    account = venue.account(params.get("account"))
    amount = _amount(text(params, "amount"), "amount")
    asset = params.get("asset", ASSET)
    if asset not in {ASSET, BNB}:
        raise illegal("asset")
    now_ms = venue.now_ms()
    kind, symbol = params.get("kind", "TRANSFER"), params.get("symbol", "")
    venue.engine.deposit(account, amount, now_ms, asset, kind, symbol)
    venue.flush(now_ms)
    return {"account": account.name, "wallet": short(account.balances().get(asset, Decimal(0)))}


def fund(venue: Venue, body: Body) -> Any:
    """Settle funding on a symbol at ``rate`` (a fraction, negative: shorts pay)."""
    params = _params(body)
    market = venue.engine.market(text(params, "symbol"))
    rate = _amount(text(params, "rate"), "rate")
    if not -1 < rate < 1:
        raise illegal("rate")
    now_ms = venue.now_ms()
    paid = settle_funding(venue.engine, market, rate, now_ms)
    venue.flush(now_ms)
    return {
        "symbol": market.spec.symbol,
        "rate": short(rate),
        "paid": {name: short(sum_) for name, sum_ in paid.items()},
    }


def accounts(venue: Venue) -> Any:
    """Which key opens which account."""
    return [
        {"apiKey": key.name, "account": key.account.name, "keyType": key.verifier.kind} for key in venue.keys.values()
    ]


def add_account(venue: Venue, body: Body) -> Any:
    """Let an API key in, with an account of its own unless ``account`` names another.

    ``apiSecret`` is an HMAC secret, or an RSA or Ed25519 key in PEM (``publicKey`` is the same field). Its request
    weight is counted for the account and not for the client's address, unless ``ownWeight`` is false.
    """
    fields = Fields(body)
    key = fields.needed("apiKey")
    secret = fields.text("apiSecret") or fields.needed("publicKey")
    balance = fields.take("balance")
    pair = KeyPair(
        key,
        secret,
        fields.text("account") or key,
        None if balance is None else _amount(balance, "balance"),
        fields.flag("ownWeight", True),
    )
    fields.finish("accounts")
    if key in venue.keys:
        raise wrong("apiKey", "one that is not in use")
    try:
        account = venue.add_key(pair)
    except ValueError as error:
        raise wrong("apiSecret", f"an HMAC secret or a PEM key ({error})") from None
    return {"apiKey": key, "account": account.name, "wallet": short(account.wallet)}


def _amount(value: Any, name: str) -> Decimal:
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        raise illegal(name) from None
    if not amount.is_finite():
        raise illegal(name)
    return amount


def _params(body: Body) -> dict[str, str]:
    return {name: str(value) for name, value in body.items()}
