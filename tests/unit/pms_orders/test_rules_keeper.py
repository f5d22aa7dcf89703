"""Trading rules that the venue changes while the service runs."""

from typing import Any

import msgspec
from aiohttp import web
from tests.unit.pms_orders.orders import place
from tests.unit.pms_orders.venue import venue

from pms_common.rate.window import Window
from pms_orders.app.rules import RulesKeeper, read_rules
from pms_orders.domain.filters import check_order
from pms_orders.domain.rate import Budget


class Listing:
    """What the venue lists; change the fields."""

    def __init__(self) -> None:
        self.ticks = {"BTCUSDT": "0.10"}
        self.taker = "0.0005"
        self.cap = 5_000
        self.orders_a_minute = 1_200
        self.down = False

    async def answer(self, request: web.Request) -> web.Response:
        found: Any = {
            "exchangeInfo": {
                "rateLimits": [
                    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": self.orders_a_minute},
                    {"rateLimitType": "ORDERS", "interval": "FORTNIGHT", "intervalNum": 1, "limit": 5},
                    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6_000},
                    {"rateLimitType": "REQUEST_WEIGHT", "interval": "SECOND", "intervalNum": 1, "limit": 50},
                ],
                "symbols": [self._symbol(name) for name in self.ticks],
            },
            "commissionRate": {"makerCommissionRate": "0.0002", "takerCommissionRate": self.taker},
            "accountConfig": {"dualSidePosition": False, "multiAssetsMargin": False},
            "leverageBracket": [{"symbol": name, "brackets": [self._tier()]} for name in self.ticks],
        }[request.path.rpartition("/")[2]]
        return web.Response(status=500 if self.down else 200, body=msgspec.json.encode(found))

    def _symbol(self, name: str) -> dict[str, Any]:
        price = {"filterType": "PRICE_FILTER", "minPrice": "0", "maxPrice": "1000000", "tickSize": self.ticks[name]}
        lot = {"filterType": "LOT_SIZE", "minQty": "0", "maxQty": "1000", "stepSize": "0.001"}
        assets = {"baseAsset": name[:-4], "quoteAsset": "USDT", "marginAsset": "USDT"}
        return {"symbol": name, "status": "TRADING", **assets, "filters": [price, lot]}

    def _tier(self) -> dict[str, Any]:
        return {"initialLeverage": 125, "notionalCap": self.cap, "maintMarginRatio": 0.004, "cum": 0.0}


async def test_changed_rules_hold_for_who_has_them_and_are_told() -> None:
    listing, told = Listing(), []
    budget = Budget((Window(10_000, 300), Window(60_000, 1_200)), Window(60_000, 2_400))
    async with venue(listing.answer) as rest:
        rules = await read_rules(rest, budget)
        specs, brackets = rules.specs, rules.brackets
        keeper = RulesKeeper(rules, rest, budget)
        keeper.tell = lambda: told.append(rules.taker_fee)
        await keeper.read()
        assert not told, "nothing has changed"
        listing.ticks = {"BTCUSDT": "0.01", "NEWUSDT": "0.5"}
        listing.orders_a_minute, listing.taker, listing.cap = 600, "0.0004", 9_000
        listing.down = True
        await keeper.read()
        assert not told and "NEWUSDT" not in specs
        ticks, listing.down, listing.ticks = listing.ticks, False, {}
        await keeper.read()
        assert not told and "BTCUSDT" in specs, "a venue that lists nothing is one that has not answered"
        listing.ticks = ticks
        await keeper.read()
    assert told == [rules.taker_fee] and str(rules.taker_fee) == "0.0004"
    check_order(specs["BTCUSDT"], place(price="100.01"), False, 0)
    check_order(specs["NEWUSDT"], place(symbol="NEWUSDT", price="100.5"), False, 0)
    assert brackets["BTCUSDT"][0].cap == 9_000
    assert [window.limit for window in budget.orders] == [300, 600] and budget.weight.limit == 6_000
