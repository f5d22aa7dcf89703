"""The margin of the exchange account: what it needs, what is refused, and who is reduced before the venue acts."""

import asyncio

import pytest

from pms_common.contracts.bus.common import PublicEvent
from pms_common.contracts.errors import CommandError
from pms_risk.app.approvals import Ask
from pms_risk.app.pool import PoolWatch
from pms_risk.domain.account import Account
from pms_risk.domain.liquidation.decision import Tiers
from pms_risk.domain.pool import Measured, Measuring

from .desk import WIDE, Desk
from .floor import Floor
from .test_maintenance import TIERS
from .world import D, Exchange, account, live, spec


def standing_of(desk: Desk) -> Measured:
    """Measured with a house that has what it gave to the accounts, and 1 000 more."""
    missing = D(1_000) - desk.state.books.house.total("USDT")
    desk.state.books.house.book(
        "capital", missing, key=str(missing), cause="opening_wallet", reference="exchange", at_ms=1
    )
    return asyncio.run(watch(desk).measure())


def watch(desk: Desk) -> PoolWatch:
    return PoolWatch(desk.state, desk.liquidator, desk.events, Tiers())


def hold(desk: Desk, owner: Account, quantity: str) -> None:
    side = "BUY" if D(quantity) > 0 else "SELL"
    desk.state.books.book(*Exchange().execute(owner.id, "BTCUSDT", side, abs(D(quantity)), D(100)))


def test_the_larger_side_counts_and_what_orders_may_open() -> None:
    """One-way: the accounts of the other side may close first, and leave the whole of one side."""
    desk = Desk(10_000)
    other = account(desk.state.books, "b", 10_000)
    hold(desk, desk.account, "30")
    hold(desk, other, "-50")
    desk.account.put_order(live("o", "BUY", 10, 90))
    desk.price(100)
    desk.state.set_leverage = 10
    standing = standing_of(desk)
    assert standing.needed == (50 * 100 + 10 * 90) / D(10)
    assert standing.worst == ("BTCUSDT", D(-20))
    assert standing.ratio == D("0.005") * 20 * 100 / standing.equity
    desk.state.mode = "hedge"
    assert standing_of(desk).needed == (80 * 100 + 10 * 90) / D(10)


def test_the_exchanges_tiers_make_its_maintenance_and_cap_its_leverage() -> None:
    desk = Desk(100_000)
    hold(desk, desk.account, "600")
    desk.price(100)
    desk.state.brackets["BTCUSDT"] = TIERS
    assert standing_of(desk).ratio == (D(60_000) * D("0.005") - 50) / standing_of(desk).equity
    desk.state.set_leverage = 200
    assert desk.state.exchange_leverage("BTCUSDT") == 125
    desk.state.set_leverage = None
    assert desk.state.exchange_leverage("BTCUSDT") == 20


def test_a_symbol_without_a_price_is_left_out() -> None:
    desk = Desk()
    hold(desk, desk.account, "1")
    measuring = Measuring(lambda _: None)
    measuring.add(desk.account)
    assert measuring.measured("oneway", lambda _: 20, {}).needed == 0


def ask(desk: Desk, quantity: str, side: str = "BUY") -> Ask:
    return Ask(
        account=desk.account,
        spec=spec(),
        side=side,  # type: ignore[arg-type]
        quantity=D(quantity),
        leverage=D(100),
        order_type="LIMIT",
        price=D(100),
        time_in_force="GTC",
        request_id=f"{side}{quantity}",
    )


def test_new_risk_stops_where_the_pool_has_no_margin_left_and_closing_does_not() -> None:
    desk = Desk(10_000)
    desk.account.set_rules(WIDE)
    desk.price(100)
    desk.state.pool.room = D(100)  # 20 times: 2 000 of notional
    desk.approvals.approve(ask(desk, "15"))
    with pytest.raises(CommandError) as refused:
        desk.approvals.approve(ask(desk, "6"))
    assert refused.value.code.name == "EXCHANGE_MARGIN_INSUFFICIENT"
    desk.approvals.approve(ask(desk, "5"))
    hold(desk, desk.account, "3")
    desk.approvals.approve(ask(desk, "3", "SELL"))


def pooled(ratio: str) -> Measured:
    return Measured(D(0), D(1_000), D(ratio), ("BTCUSDT", D(1)))


def test_it_warns_then_only_reduces_and_tells_so() -> None:
    desk = Desk()
    desk.price(100)
    pool = watch(desk)
    states = []
    for ratio in ("0.1", "0.5", "0.65", "0.5", "0.1"):
        pool.take(pooled(ratio))
        states.append((desk.state.pool.state, desk.state.trading_state("a", "BTCUSDT")))
    assert states == [
        ("calm", "active"),
        ("warning", "active"),
        ("reducing", "reducing"),
        ("warning", "active"),
        ("calm", "active"),
    ]
    assert [event.type for event in desk.told(PublicEvent)] == ["trading_state", "trading_state"]


async def test_before_the_venue_acts_the_account_nearest_its_own_limit_is_reduced() -> None:
    floor = Floor("50")
    richer = account(floor.state.books, "b", 10_000)
    short = account(floor.state.books, "c", 400)
    floor.open(richer, "BTCUSDT", "50")
    floor.open(short, "BTCUSDT", "-50")
    await floor.at(95.0)
    pool = watch(floor)
    for _ in range(3):
        pool.take(pooled("0.85"))
    (placed,) = floor.sent()
    assert (placed.account_id, placed.side, placed.quantity) == ("a", "SELL", D(15))
    floor.executed(placed, price=95)
    (told,) = floor.payloads("adl_triggered")
    assert (told["mode"], told["tier"]) == ("POOL_GUARD", None)
    floor.now_ms += 6_000
    await floor.at(95.0)
    pool.take(pooled("0.85"))
    assert len(floor.sent()) == 2
