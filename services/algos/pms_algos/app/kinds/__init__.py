"""The table of algos: one file a kind, with how it begins and what readers are shown of it."""

from pms_algos.app.kinds import chase, scalper, trail_stop, twap, twap_basket
from pms_algos.app.kinds.base import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (chase.KIND, twap.KIND, twap_basket.KIND, trail_stop.KIND, scalper.KIND)
}
"""Name, which is also the type of its start command → kind."""

__all__ = ["KINDS", "Kind"]
