"""All public messages by the name of their schema: commands as `TradeCommand`, all else by their class."""

from typing import get_args

import msgspec

from pms_common.contracts.algos import AlgoItem
from pms_common.contracts.caches import PriceCache, RiskSnapshot
from pms_common.contracts.commands import COMMANDS, Command
from pms_common.contracts.events import EVENTS, Sequenced
from pms_common.contracts.results import Failure
from pms_common.contracts.results_algos import RESULTS
from pms_common.contracts.schema.commands import command_schema, entries_of, entry_schema
from pms_common.contracts.schema.messages import Schema, messages

ALGO_ITEMS: tuple[type[msgspec.Struct], ...] = get_args(AlgoItem)
WRITTEN: tuple[type[msgspec.Struct], ...] = (
    Failure,
    *dict.fromkeys(RESULTS.values()),
    Sequenced,
    *EVENTS.values(),
    PriceCache,
    RiskSnapshot,
    *ALGO_ITEMS,
)
"""Everything that JS is sent, or finds."""


def command_name(type_: str) -> str:
    """Name of a command's schema: `close_all` → `CloseAllCommand`."""
    return "".join(part.capitalize() for part in type_.split("_")) + "Command"


def contract(ref: str, *more: type[msgspec.Struct]) -> dict[str, Schema]:
    """Schemas of all messages, and of what else is wanted, by name; `ref` is what a name is referred to with."""
    written = messages((*WRITTEN, *more), ref)
    for event in EVENTS.values():
        written[event.__name__] = _sequenced(written[event.__name__], written[Sequenced.__name__])
    return _commands(ref) | written


def _commands(ref: str) -> dict[str, Schema]:
    classes: list[type[Command]] = list(COMMANDS.values())
    entries = {entry.__name__: entry_schema(entry, ref) for cls in classes for entry in entries_of(cls)}
    return {command_name(cls.TYPE): command_schema(cls, ref) for cls in classes} | entries


def _sequenced(event: Schema, numbers: Schema) -> Schema:
    """An event as it is published: the gateway's fields in it, too."""
    return event | {
        "properties": numbers["properties"] | event["properties"],
        "required": [*numbers["required"], *event["required"]],
    }
