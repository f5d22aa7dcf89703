"""The page of all events: what the gateway adds to each, and each class."""

from pms_cli.reference import markdown
from pms_cli.reference.markdown import code, table
from pms_cli.reference.structs import Cls, section, with_parts
from pms_cli.reference.types import link
from pms_common.contracts.caches import PriceCache, RiskSnapshot
from pms_common.contracts.events import EVENTS, Event, Sequenced
from pms_common.contracts.schema import explained
from pms_common.names import Names

_NAMES = Names()
_INTRO = f"""An event is an entry of the stream `{_NAMES.events}` (fields `type` and `data`) and is published on
`{_NAMES.event_channel("{type}")}`. It carries `type`, the fields of {link(Sequenced)}, and those of its class. Fields
are always there, null where a value is not known, except those that "may be absent". Numbers are JSON numbers, a time
is UTC epoch milliseconds. The values of the caches are at the end."""


def page() -> str:
    """The page."""
    overview = table(("event", "happened"), [(f"[{t}](#{t})", explained(cls)) for t, cls in EVENTS.items()])
    titles = {cls: type_ for type_, cls in EVENTS.items()}
    bases: tuple[Cls, ...] = (Sequenced, Event)
    caches: tuple[Cls, ...] = (PriceCache, RiskSnapshot)
    parts = with_parts((*EVENTS.values(), *caches), {*bases, *titles, *caches})
    return markdown.page(
        "Events",
        _INTRO,
        overview,
        *map(section, bases),
        *(section(cls, type_) for type_, cls in EVENTS.items()),
        *map(section, parts),
        f"## Caches\n\n{code(_NAMES.price('{symbol}'))} is a {link(PriceCache)}, "
        f"{code(_NAMES.risk('{subAccountId}'))} a {link(RiskSnapshot)}.",
        *map(section, caches),
    )
