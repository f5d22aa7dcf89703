"""Stream entry ids: `"milliseconds-sequence"`, compared as numbers. Pure; used by all of the bus."""

ZERO = "0-0"

IdKey = tuple[int, int]


def id_key(entry_id: str) -> IdKey:
    """What ids are ordered by."""
    ms, _, seq = entry_id.partition("-")
    return int(ms), int(seq or 0)


def id_ms(entry_id: str) -> int:
    """The time in an id, by the clock of Redis, in epoch milliseconds."""
    return int(entry_id.partition("-")[0])
