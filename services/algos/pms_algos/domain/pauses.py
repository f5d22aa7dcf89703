"""Who holds an algo back: its user, the state of its account, risk on a symbol or on all. It runs while nobody does.

Owns the form in which holders are kept: their names with spaces between, None where there are none. So what earlier
versions kept, one name, is still read. Used by every plan.
"""

USER = "user"
FROZEN = "frozen"
_EARLIER = "risk"
"""What earlier versions called everybody but the user; whoever of these lets go first lets go for it."""


def risk(symbol: str) -> str:
    """Risk, while it is at work on a symbol; empty: on all."""
    return f"risk:{symbol}"


def holds(paused: str | None, by: str) -> bool:
    """Whether it is one of the holders."""
    return paused is not None and by in paused.split()


def held_back(paused: str | None, by: str) -> str:
    """The holders with one more."""
    return " ".join(sorted({*(paused or "").split(), by}))


def let_go(paused: str | None, by: str) -> str | None:
    """The holders without one."""
    gone = {by} if by == USER else {by, _EARLIER}
    return " ".join(sorted({*(paused or "").split()} - gone)) or None
