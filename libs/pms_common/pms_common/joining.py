"""A service's process joins the others: its bus, kept for as long as it lives, and its heartbeat.

Used by the `main.py` of every service that has a bus.
"""

from pms_common.bus import Bus
from pms_common.heartbeat import Heart
from pms_common.names import Names
from pms_common.service import Lifecycle


async def join(life: Lifecycle, names: Names) -> Bus:
    """The process's bus, under the service's name. Raises `UrlError` for a Redis URL that cannot be used."""
    bus = await Bus.connect(life.settings.redis_url, life.name, names, life.ready)
    life.on_stop(bus.close)
    life.spawn(bus.run(), "bus")
    life.spawn(Heart(life, bus).run(), "heartbeat")
    return bus
