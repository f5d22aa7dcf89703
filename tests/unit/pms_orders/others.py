"""What others do on the account, as the feed and the lists of the exchange tell it."""

from typing import Any

import msgspec
from tests.unit.pms_orders.orders import NOW
from tests.unit.pms_orders.test_reconciling import Rig

from pms_orders.adapters.binance import wire
from pms_orders.app.readiness import Readiness
from pms_orders.app.session import Session


def told(rig: Rig, kind: type[Any]) -> list[Any]:
    return [update for update in rig.told.facts if isinstance(update, kind)]


def income(symbol: str, kind: str = "COMMISSION", number: int = 1) -> dict[str, Any]:
    given = {"symbol": symbol, "incomeType": kind, "income": "-0.1", "asset": "USDT", "info": kind}
    return {**given, "time": NOW, "tranId": number, "tradeId": "1"}


def feed(name: str, execution: str, status: str, trade_id: int = 0, number: int = 99) -> bytes:
    quantity = "1" if trade_id else "0"
    order = {"s": "BTCUSDT", "S": "SELL", "c": name, "x": execution, "X": status, "i": number, "q": "2", "p": "100"}
    more = {"ap": "0", "z": quantity, "l": quantity, "L": "100", "T": NOW, "t": trade_id, "ps": "BOTH", "n": "0.1"}
    return msgspec.json.encode({"e": "ORDER_TRADE_UPDATE", "E": NOW, "T": NOW, "o": {**order, **more, "N": "USDT"}})


def hears(rig: Rig) -> Session:
    published: Any = rig.told
    return Session(
        rig.manager, rig.reconciler, rig.facts, rig.foreign, rig.fundings, Readiness(published, published.part)
    )


def hear(session: Session, *payloads: bytes) -> None:
    events = [wire.decode_event(payload) for payload in payloads]
    session.hear([event for event in events if event is not None])
