"""What autoclose, adl and settlement share: a position that the venue closes by itself.

Owns reading ``symbol``, ``positionSide``, ``quantity`` (all of it where absent), ``price`` (the mark where absent) and
``status`` (what ``X`` says; NEW_ADL and NEW_INSURANCE are the older words for it).
"""

from typing import Any, ClassVar

from pms_simulator.domain.errors import VenueError
from pms_simulator.domain.faults.base import Action, Stage
from pms_simulator.domain.faults.fields import Fields
from pms_simulator.domain.forced import Closing, close_by_venue
from pms_simulator.domain.intake import units
from pms_simulator.domain.orders import Forced

LEGS = frozenset({"BOTH", "LONG", "SHORT"})


class ForcedClose(Action):
    """The venue closes."""

    why: ClassVar[Forced]

    def __init__(self, fields: Fields) -> None:
        self._account = fields.text("account")
        self._symbol = fields.needed("symbol")
        self._leg = fields.choice("positionSide", LEGS, "")
        self._sizes = {name: value for name in ("quantity", "price") if (value := fields.text(name)) is not None}
        self._status = fields.choice("status", {"FILLED", "NEW_ADL", "NEW_INSURANCE"}, "")

    def act(self, stage: Stage) -> dict[str, Any]:
        """The venue's orders."""
        engine, account = stage.engine, stage.account(self._account)
        market = engine.market(self._symbol)
        held, spec = engine.holding(account, market), market.spec
        legs = [leg for leg in held.legs.values() if leg.quantity and self._leg in {"", leg.side}]
        if not legs:
            raise VenueError(-1100, f"Illegal value for 'symbol'; no position on {self._symbol} to close.")
        quantity = units(self._sizes, "quantity", spec.qty_places) if "quantity" in self._sizes else None
        price = units(self._sizes, "price", spec.price_places) if "price" in self._sizes else market.mark
        orders = [
            close_by_venue(engine, account, held, leg, Closing(self.why, price, quantity, self._status), stage.now_ms)
            for leg in legs
        ]
        return {"orders": [{"orderId": order.order_id, "clientOrderId": order.client_id} for order in orders]}
