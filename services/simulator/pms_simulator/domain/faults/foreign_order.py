"""An order on the account by somebody else: a person at the venue's web page, another program.

``symbol``, ``side``, ``quantity`` and, for one that rests, ``price``; further order parameters as the venue takes them
(``type``, ``timeInForce``, ``reduceOnly``, ``positionSide``). ``clientOrderId`` defaults to one of the web page's
kind; ``count`` enters several.
"""

from typing import Any, ClassVar

from pms_simulator.domain.faults.base import Action, Stage
from pms_simulator.domain.faults.fields import Fields, wrong
from pms_simulator.domain.intake import read_order

MOST = 1000
TERMS = ("type", "timeInForce", "price", "positionSide", "reduceOnly", "selfTradePreventionMode", "goodTillDate")


class ForeignOrder(Action):
    """Entered past the signed API."""

    kind: ClassVar[str] = "foreign_order"

    def __init__(self, fields: Fields) -> None:
        self._account = fields.text("account")
        self._client_id = fields.text("clientOrderId")
        self._count = fields.whole("count") or 1
        if self._count > MOST or (self._client_id is not None and self._count > 1):
            raise wrong("count", f"at most {MOST}, and 1 with a clientOrderId")
        self._params = {name: fields.needed(name) for name in ("symbol", "side", "quantity")}
        for name in TERMS:
            value = fields.take(name)
            if value is not None:
                self._params[name] = str(value).lower() if isinstance(value, bool) else str(value)
        self._params.setdefault("type", "LIMIT" if "price" in self._params else "MARKET")
        if self._params["type"] == "LIMIT":
            self._params.setdefault("timeInForce", "GTC")

    def act(self, stage: Stage) -> dict[str, Any]:
        """The ids of the orders."""
        engine, account = stage.engine, stage.account(self._account)
        spec = engine.market(self._params["symbol"]).spec
        ids = []
        for _ in range(self._count):
            client_id = self._client_id or f"web_{stage.client_id()[-18:]}"
            order = read_order(self._params, account, spec, client_id, stage.now_ms)
            engine.place(account, order, stage.now_ms)
            ids.append({"orderId": order.order_id, "clientOrderId": client_id, "status": order.status})
        return {"orders": ids}
