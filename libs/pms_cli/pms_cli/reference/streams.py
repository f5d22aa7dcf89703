"""The page of names in Redis: streams with their readers, and every other key and channel."""

import inspect
from collections.abc import Iterator

from pms_cli.reference import markdown
from pms_cli.reference.markdown import code, table
from pms_common.contracts.schema import doc
from pms_common.names import Names
from pms_common.topology import Kind, topology

_INTRO = """Names under the default namespace `pms` (`PMS_NAMESPACE`); ticks, watch and price are under
`PMS_FEED_NAMESPACE`. A consumer group and its one consumer bear the name of the service that reads."""
_KINDS = {
    Kind.WORK: "work: kept until every group has acknowledged it",
    Kind.UPDATES: "updates: everybody's news, with a hard cap",
}


def page() -> str:
    """The page."""
    names = Names()
    streams = table(
        ("stream", "kind", "read by"),
        [(code(s.name), s.kind.value, ", ".join(s.groups)) for s in topology(names)],
    )
    kinds = "\n".join(f"- {text}" for text in _KINDS.values())
    all_names = table(("name", ""), sorted(_names(names)))
    return markdown.page(
        "Streams and keys", _INTRO, "## Streams with readers", kinds, streams, "## All names", all_names
    )


def _names(names: Names) -> Iterator[tuple[str, str]]:
    """Each name that `Names` makes, its parameters in braces."""
    for attribute, member in vars(Names).items():
        if isinstance(member, property) and attribute != "feed":
            yield code(getattr(names, attribute)), doc(member.fget)
        elif inspect.isfunction(member) and not attribute.startswith("_"):
            parameters = list(inspect.signature(member).parameters)[1:]
            yield code(member(names, *(f"{{{name}}}" for name in parameters))), doc(member)
