"""The venue's decisions: place, amend, cancel, market moves.

Owns the order in which things happen and in which events leave. Pure: the time is given, events and public trades
are collected in ``events``, ``tape`` and ``touched`` for the caller to take. Used by the app's handlers only.
"""

from decimal import Decimal

from pms_simulator.domain import events as build
from pms_simulator.domain.account import ASSET, Account
from pms_simulator.domain.admission import admit
from pms_simulator.domain.amendment import Amendment, check_amendment, is_cancelled_by
from pms_simulator.domain.closers import fit_closers
from pms_simulator.domain.errors import refuse
from pms_simulator.domain.events import Event
from pms_simulator.domain.filters import market_bound
from pms_simulator.domain.forced import liquidate_if_due
from pms_simulator.domain.history import History
from pms_simulator.domain.market.moves import Levels, Move, Print, Quote
from pms_simulator.domain.matching import Execution, Prevented, TakerExpired, match, quote_through, sweep
from pms_simulator.domain.orders import BUY, SELL, Order, Status, Trade
from pms_simulator.domain.positions import Holding, Leg
from pms_simulator.domain.state import Market, TapePrint


class Engine:
    """All markets and accounts of the simulated venue."""

    def __init__(self, markets: dict[str, Market], accounts: dict[str, Account]) -> None:
        self.markets = markets
        self.accounts = accounts
        self.events: list[tuple[Account, Event]] = []
        self.tape: list[TapePrint] = []
        self.touched: set[Market] = set()
        self.history: History | None = None

    def market(self, symbol: str) -> Market:
        """The listed market; -1121."""
        market = self.markets.get(symbol)
        if market is None:
            raise refuse(-1121)
        return market

    def note(self, account: Account, order: Order) -> None:
        """Tell whoever keeps the past that ``order`` changes."""
        if self.history is not None:
            self.history.touch(account, order)

    def holding(self, account: Account, market: Market) -> Holding:
        """What ``account`` has on ``market``."""
        return account.holding(market.spec, market.brackets, market.mark)

    def place(self, account: Account, order: Order, now_ms: int, *, only_test: bool = False) -> Order:
        """Enter a new order: checks, id, match, rest. Raises the venue's refusal without a trace."""
        market = self.markets[order.spec.symbol]
        held = self.holding(account, market)
        admit(account, held, market, order)
        if only_test:
            return order
        order.order_id = market.next_order_id()
        account.remember(order)
        held.add_order(order)
        self._work(account, held, market, order, "NEW", now_ms)
        return order

    def cancel(self, account: Account, order: Order, now_ms: int, status: Status = "CANCELED") -> Order:
        """Take an open order out of the book."""
        self._withdraw(account, order, status, now_ms, "0")
        return order

    def expire(self, account: Account, order: Order, now_ms: int, reason: str) -> None:
        """The venue ends an open order; ``reason`` is its expiry reason code."""
        self._withdraw(account, order, "EXPIRED", now_ms, reason)

    def _withdraw(self, account: Account, order: Order, status: Status, now_ms: int, reason: str) -> None:
        market = self.markets[order.spec.symbol]
        market.book.remove(order)
        self.touched.add(market)
        self._end(account, order, status, now_ms, reason)

    def amend(self, account: Account, order: Order, wanted: Amendment, now_ms: int) -> Order:
        """Change price and quantity; priority is lost, self-trade prevention is reset, some changes cancel."""
        market = self.markets[order.spec.symbol]
        held = self.holding(account, market)
        check_amendment(account, held, market, order, wanted)
        order.modify_id = wanted.modify_id
        if is_cancelled_by(market, order, wanted):
            return self.cancel(account, order, now_ms)
        market.book.remove(order)
        held.count(order, -order.remaining)
        account.note_amendment(order, wanted.price, wanted.quantity, wanted.modify_id, now_ms)
        order.resize(wanted.quantity)
        order.price = wanted.price
        order.stp = "NONE"
        order.amendments += 1
        order.update_ms = now_ms
        held.count(order, order.remaining)
        self._work(account, held, market, order, "AMENDMENT", now_ms)
        return order

    def apply(self, market: Market, move: Move, now_ms: int) -> None:
        """Let the background market move; accounts' orders in its way are filled."""
        book = market.book
        if isinstance(move, Quote):
            book.clear_background(BUY, move.bid)
            book.clear_background(SELL, move.ask)
            self._quote(market, BUY, move.bid, move.bid_qty, now_ms)
            self._quote(market, SELL, move.ask, move.ask_qty, now_ms)
        elif isinstance(move, Levels):
            if move.replace:
                book.clear_background(BUY)
                book.clear_background(SELL)
            for side, levels in ((BUY, move.bids), (SELL, move.asks)):
                for price, quantity in levels:
                    self._quote(market, side, price, quantity, now_ms)
        else:
            self._print(market, move, now_ms)
        self.touched.add(market)
        if market.update_mark():
            self._revalue(market, now_ms)

    def expire_due(self, now_ms: int) -> None:
        """End good-till-date orders whose time has come."""
        for account in self.accounts.values():
            for order in account.open_orders():
                if order.tif == "GTD" and order.good_till_ms <= now_ms:
                    self.cancel(account, order, now_ms, "EXPIRED")

    def _quote(self, market: Market, side: int, price: int, quantity: int, now_ms: int) -> None:
        if not quantity:
            market.book.set_background(side, price, 0)
            return
        for execution in quote_through(market.book, side, price, quantity, now_ms):
            self._against_background(market, execution, side, now_ms)

    def _print(self, market: Market, move: Print, now_ms: int) -> None:
        executions = sweep(market.book, move.side, move.price, move.quantity, now_ms)
        for execution in executions:
            self._against_background(market, execution, move.side, now_ms)
        left = move.quantity - sum(execution.quantity for execution in executions)
        if move.on_tape and left and move.price is not None:
            self._tape(market, move.price, left, move.side, now_ms)

    def _against_background(self, market: Market, execution: Execution, taker_side: int, now_ms: int) -> None:
        trade_id = self._tape(market, execution.price, execution.quantity, taker_side, now_ms)
        if execution.maker is not None:
            self._fill_maker(market, execution.maker, execution, trade_id, now_ms)

    def _tape(self, market: Market, price: int, quantity: int, taker_side: int, now_ms: int) -> int:
        trade_id = market.next_trade_id()
        market.last = price
        self.tape.append(TapePrint(market, price, quantity, taker_side == SELL, trade_id, now_ms))
        return trade_id

    def _work(self, account: Account, held: Holding, market: Market, order: Order, first: str, now_ms: int) -> None:
        """Match an order that just entered (or was amended), rest or end the remainder, emit in venue order."""
        book = market.book
        before = book.update_id
        self.note(account, order)
        opening = build.order_update(held, order, first, now_ms) if account.watched else None
        limit = order.price or market_bound(market.spec, order.side, market.mark)
        trades: list[Event] = []
        lites: list[Event] = []
        makers: list[tuple[Order, Execution, int]] = []
        prevented: list[Order] = []
        taker_expired = False
        for step in match(book, order, limit, now_ms):
            if isinstance(step, Execution):
                trade_id = self._tape(market, step.price, step.quantity, order.side, now_ms)
                trade = self._book(account, held, order, step, trade_id, maker=False, now_ms=now_ms)
                if account.watched:
                    lites.append(build.trade_lite(order, trade, now_ms))
                    trades.append(build.order_update(held, order, "TRADE", now_ms, trade))
                if step.maker is not None:
                    makers.append((step.maker, step, trade_id))
            elif isinstance(step, Prevented):
                prevented.append(step.maker)
            elif isinstance(step, TakerExpired):
                taker_expired = True
        if opening is not None:
            self.events.extend((account, event) for event in (*lites, opening))
            if trades:
                self._position_event(account, held, order, now_ms)
                self.events.extend((account, event) for event in trades)
        for maker, execution, trade_id in makers:
            self._fill_maker(market, maker, execution, trade_id, now_ms)
        for maker in prevented:
            self._end(self.accounts[maker.account], maker, "EXPIRED_IN_MATCH", now_ms, "1")
        self._settle_remainder(account, market, order, now_ms, taker_expired=taker_expired)
        if order.executed and held.closers:
            fit_closers(self, account, held, now_ms)
        account.refresh(held)
        if book.update_id != before:
            self.touched.add(market)

    def _settle_remainder(
        self, account: Account, market: Market, order: Order, now_ms: int, *, taker_expired: bool
    ) -> None:
        if not order.remaining:
            account.finish(order)
        elif taker_expired:
            self._end(account, order, "EXPIRED_IN_MATCH", now_ms, "3" if order.tif == "IOC" else "1")
        elif order.order_type == "MARKET":
            self._end(account, order, "EXPIRED", now_ms, "9")
        elif order.tif == "IOC":
            self._end(account, order, "EXPIRED", now_ms, "2")
        else:
            market.book.add(order)

    def _fill_maker(self, market: Market, order: Order, step: Execution, trade_id: int, now_ms: int) -> None:
        account = self.accounts[order.account]
        held = account.holdings[market.spec.symbol]
        trade = self._book(account, held, order, step, trade_id, maker=True, now_ms=now_ms)
        self.note(account, order)
        if not order.remaining:
            account.finish(order)
        if account.watched:
            self.events.append((account, build.trade_lite(order, trade, now_ms)))
            self._position_event(account, held, order, now_ms)
            self.events.append((account, build.order_update(held, order, "TRADE", now_ms, trade)))
        self.after_position_change(account, held, now_ms)

    def after_position_change(self, account: Account, held: Holding, now_ms: int) -> None:
        """Bring closing orders and margin in line with the position."""
        if held.closers:
            fit_closers(self, account, held, now_ms)
        account.refresh(held)

    def _book(
        self, account: Account, held: Holding, order: Order, step: Execution, trade_id: int, *, maker: bool, now_ms: int
    ) -> Trade:
        held.count(order, -step.quantity)
        if not order.remaining:
            held.drop_order(order)
        return account.book_trade(held, order, step.price, step.quantity, maker, trade_id, now_ms)

    def _position_event(self, account: Account, held: Holding, order: Order, now_ms: int) -> None:
        changed: list[tuple[Holding, Leg]] = [(held, held.leg(order.position_side))]
        self.events.append((account, build.account_update(account, changed, "ORDER", now_ms)))

    def _end(self, account: Account, order: Order, status: Status, now_ms: int, reason: str = "0") -> None:
        """Close an order that is out of the book with something left."""
        held = account.holdings[order.spec.symbol]
        self.note(account, order)
        held.drop_order(order)
        order.end(status, now_ms, reason)
        account.finish(order)
        account.refresh(held)
        if account.watched:
            execution = "CANCELED" if status == "CANCELED" else "EXPIRED"
            self.events.append((account, build.order_update(held, order, execution, now_ms)))

    def _revalue(self, market: Market, now_ms: int) -> None:
        symbol = market.spec.symbol
        for account in self.accounts.values():
            held = account.holdings.get(symbol)
            if held is not None:
                held.mark = market.mark
                if held.has_position:
                    account.refresh(held)
                    if account.free < 0:  # maintenance is never above initial margin
                        liquidate_if_due(self, account, now_ms)

    def deposit(
        self,
        account: Account,
        amount: Decimal,
        now_ms: int,
        asset: str = ASSET,
        kind: str = "TRANSFER",
        symbol: str = "",
    ) -> None:
        """Move cash into (or out of) a wallet, with its event; `kind` is its income type."""
        account.cash(symbol, kind, amount, now_ms, asset=asset)
        if account.watched:
            reason = "ADJUSTMENT" if kind != "TRANSFER" else "DEPOSIT" if amount > 0 else "WITHDRAW"
            event = build.account_update(account, [], reason, now_ms, f"{amount:.8f}", asset)
            self.events.append((account, event))
