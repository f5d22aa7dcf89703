"""The page of all results: which command is answered with what, and each class."""

from pms_cli.reference import markdown
from pms_cli.reference.markdown import table
from pms_cli.reference.structs import Cls, section, with_parts
from pms_cli.reference.types import link
from pms_common.contracts.results import RESULT_TTL_S, Failure
from pms_common.contracts.results_algos import RESULTS
from pms_common.names import Names

_INTRO = f"""The answer to a command lies under `{Names().result("{requestId}")}` for {RESULT_TTL_S} s and is published
on the channel of that name. A refusal or failure is always a {link(Failure)}; a success is the class named here. Fields
are always there, null where a value is not known, except those that "may be absent". Numbers are JSON numbers, a time
is UTC epoch milliseconds."""


def page() -> str:
    """The page."""
    overview = table(("command", "success"), [(f"`{type_}`", link(cls)) for type_, cls in RESULTS.items()])
    classes: list[Cls] = list(dict.fromkeys((Failure, *RESULTS.values())))
    parts = with_parts(classes, set(classes))
    return markdown.page("Results", _INTRO, overview, *map(section, classes), *map(section, parts))
