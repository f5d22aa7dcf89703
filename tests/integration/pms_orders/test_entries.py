"""When the entry of a request is acknowledged: after its effect is kept, and not never."""

from tests.integration.pms_orders.rig import Rig
from tests.unit.pms_orders.orders import report

from pms_orders.domain.table import Kind


async def test_an_amendment_of_an_ended_order_is_acknowledged(rig: Rig) -> None:
    await rig.accepted()
    rig.manager.report([report(Kind.CANCELLED)])
    await rig.amend("PMS_a_LMT_1", "101")
    await rig.drained()
