"""Every Redis stream, key and channel name, made in one place from the namespace.

Owns the spelling of names. Never talks to Redis. Used by every service, the CLI and the tests.
A cell (one exchange account) has its own namespace; written with a hash tag (`{acct1}pms`) all its keys share a
Redis Cluster slot. Cells share a feed: ticks, watch and price carry the feed's namespace.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """Names under one namespace; `feed_namespace` defaults to the same."""

    namespace: str = "pms"
    feed_namespace: str = ""

    @property
    def feed(self) -> str:
        """Namespace of ticks, watch and price."""
        return self.feed_namespace or self.namespace

    def cmd(self, command: str) -> str:
        """Public commands of one type, JS → the owner of that type."""
        return f"{self.namespace}:cmd:{command}"

    def op(self, command: str) -> str:
        """Operators' commands (`account`, `trading_state`)."""
        return f"{self.namespace}:op:{command}"

    def requests(self, service: str) -> str:
        """Work for `service` from another service."""
        return f"{self.namespace}:bus:{service}:requests"

    def urgent(self, service: str) -> str:
        """Closes, liquidations, cancels and gates: read before `requests`."""
        return f"{self.namespace}:bus:{service}:urgent"

    def changes(self, service: str) -> str:
        """Cancels and amends of live orders."""
        return f"{self.namespace}:bus:{service}:changes"

    def updates(self, service: str) -> str:
        """What `service` tells all others."""
        return f"{self.namespace}:bus:{service}:updates"

    def queries(self, service: str) -> str:
        """Questions to `service`, answered on its updates stream."""
        return f"{self.namespace}:bus:{service}:queries"

    def marks(self, service: str) -> str:
        """Idempotency marks of the commands `service` owns, kept 24 h."""
        return f"{self.namespace}:bus:{service}:marks"

    @property
    def ticks(self) -> str:
        """L1 of several symbols an entry, newest only."""
        return f"{self.feed}:bus:ticks"

    @property
    def watch(self) -> str:
        """Leases on symbols."""
        return f"{self.feed}:bus:watch"

    @property
    def events(self) -> str:
        """The public event log."""
        return f"{self.namespace}:events"

    @property
    def dead(self) -> str:
        """What could not be handled."""
        return f"{self.namespace}:dead"

    @property
    def heartbeats(self) -> str:
        """Hash of what each process says of itself, by service, host and process id."""
        return f"{self.namespace}:heartbeats"

    @property
    def audit(self) -> str:
        """What operators have done through the gateway, kept a year."""
        return f"{self.namespace}:audit"

    def event_channel(self, event: str) -> str:
        """Pub/sub channel of one event type."""
        return f"{self.namespace}:events:{event}"

    def result(self, request_id: str) -> str:
        """Result of one request: a key (30 s) and a channel of the same name."""
        return f"{self.namespace}:result:{request_id}"

    def price(self, symbol: str) -> str:
        """Cached L1 of a symbol."""
        return f"{self.feed}:price:{symbol}"

    def risk(self, account_id: str) -> str:
        """Cached account snapshot."""
        return f"{self.namespace}:risk:{account_id}"

    def algos(self, account_id: str) -> str:
        """Hash of the account's running algos."""
        return f"{self.namespace}:algos:{account_id}"

    def lease(self, role: str) -> str:
        """Which process is the one writer of a role."""
        return f"{self.namespace}:lease:{role}"

    @property
    def feeds(self) -> str:
        """The feeds that share the symbols."""
        return f"{self.feed}:lease:feeds"

    def rate(self, address: str, what: str) -> str:
        """Counts and bans of an IP address at a venue: under the feed's namespace, which all cells share.

        The address is a hash tag, so that one script may touch all keys of it in a Redis Cluster.
        """
        return f"{self.feed}:rate:{{{address}}}:{what}"

    def own(self, service: str, what: str) -> str:
        """A key private to one service."""
        return f"{self.namespace}:own:{service}:{what}"
