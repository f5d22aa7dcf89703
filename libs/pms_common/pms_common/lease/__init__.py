"""Leases: which process is the one writer of a role, and until when it may believe that.

Owns the record `pms:lease:{role}` in Redis and the belief of its holder. Never touches the epoch: whoever has taken a
lease raises it (`pms_common.db.take_epoch`), which fences the predecessor's journal. Used by the `main.py` of every
service that is a single writer (`lead`); a second process of the role stands by until the lease is its own.

    belief      pure: how long a confirmed holder may believe
    contest     pure: when somebody else's lease is over, and when its last request cannot be accepted any more
    record      the record in Redis, changed by scripts
    process     is the process that holds it still alive, where that can be known
    lease       asking, renewing, releasing, for as long as the process lives
    lead        all of it for a service: standby, readiness, the end of a process that lost its lease
"""

from pms_common.lease.lead import lead
from pms_common.lease.lease import Lease, LeaseLost

__all__ = ["Lease", "LeaseLost", "lead"]
