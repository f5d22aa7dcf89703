"""A service leads or stands by: the lease in the life of a service's process.

Owns the part `lease` of its readiness, its reading and writing (none without the lease) and its end (a process whose
lease somebody took ends with exit code 1; started again it stands by). Ending is chosen over standing by on the spot
because what such a process remembers is older than what its successor does: only the journal and the exchange can tell
it what is true.
"""

from functools import partial

from pms_common.bus import Bus
from pms_common.bus.reader import BLOCK_MS
from pms_common.lease.lease import Lease, LeaseLost
from pms_common.service import Lifecycle


async def lead(life: Lifecycle, bus: Bus, role: str, *, fence_s: float = 0.0) -> Lease:
    """Stand by until the lease of `role` is ours, then keep it. Call it before the epoch is taken.

    It is released after everything that is registered with `life.on_stop` later has been closed.
    """
    lease = Lease(bus.redis, bus.names.lease(role), role, fence_s)
    await lease.acquire(partial(life.ready, "lease", False))
    bus.read_while(lambda: lease.held_for(BLOCK_MS / 1000))
    bus.write_while(lease.owned)
    lease.on_renewed = bus.resume
    lease.tell(partial(life.ready, "lease"))
    life.on_stop(partial(_give_back, lease, bus))
    life.spawn(_keep(lease, bus), "lease")
    return lease


async def _keep(lease: Lease, bus: Bus) -> None:
    try:
        await lease.run()
    except LeaseLost as lost:
        bus.outbox.forbid(str(lost))
        raise


async def _give_back(lease: Lease, bus: Bus) -> None:
    """What was decided under the lease is told under it."""
    try:
        if bus.outbox.may_write:
            await bus.outbox.flush()
    finally:
        await lease.release()
