"""The page of all commands: their envelope, and a section each with stream, owner, defaults and fields."""

from collections.abc import Iterable

import msgspec

from pms_cli.reference import markdown
from pms_cli.reference.markdown import code, table
from pms_cli.reference.rules import rule_text
from pms_common.contracts.commands import COMMANDS, Command
from pms_common.contracts.commands.base import Envelope
from pms_common.contracts.schema import explained
from pms_common.contracts.shapes import FieldRule, Items, shape_of
from pms_common.names import Names

_INTRO = """Every command that is understood, with the fields it may carry beside the envelope. What a command does
for its sender, and which of these are carried out today, is told in [the contract](../contract.md).

A symbol is `BTCUSDT`; `BTC/USDT:USDT` and `BTC/USDT` are understood too. A time is UTC epoch milliseconds. Numbers may
be strings. In flat fields a list is its JSON text, `true` and `false` may be `1` and `0`."""
_ACCOUNT = {
    "required": "`subAccountId` is required",
    "by_object": "`subAccountId` may be left out; given, it must own what the command names",
    "free": "`subAccountId` as the command itself says",
}
_COLUMNS = ("field", "value", "default", "also as")


def page() -> str:
    """The page."""
    commands = COMMANDS.values()
    overview = table(
        ("command", "stream", "read by", "life", "`waitFor`"),
        [(f"[{c.TYPE}](#{c.TYPE})", code(_stream(c)), c.OWNER, _life(c), code(c.WAIT_FOR)) for c in commands],
    )
    envelope = f"## Envelope\n\nFields of every command.\n\n{_fields(Envelope, optional=('request_id',))}"
    entries = {f.rule.of: None for c in commands for f in shape_of(c).fields if isinstance(f.rule, Items)}
    return markdown.page("Commands", _INTRO, overview, envelope, *map(_section, commands), *map(_entry, entries))


def _section(cls: type[Command]) -> str:
    facts = f"Stream {code(_stream(cls))}, read by {cls.OWNER}; life {_life(cls)}; {_ACCOUNT[cls.ACCOUNT]}."
    fields = _fields(cls, without=Envelope.__struct_fields__)
    return "\n\n".join((f"## {cls.TYPE}", explained(cls), facts, fields))


def _entry(cls: type[msgspec.Struct]) -> str:
    return "\n\n".join((f"## {cls.__name__}", explained(cls), _fields(cls)))


def _fields(cls: type[msgspec.Struct], without: Iterable[str] = (), optional: Iterable[str] = ()) -> str:
    defaults = {field.name: field.default for field in msgspec.structs.fields(cls)}
    skipped, loose = set(without), set(optional)
    rows = [
        _row(field, field.required and field.attribute not in loose, defaults[field.attribute])
        for field in shape_of(cls).fields
        if field.attribute not in skipped
    ]
    return table(_COLUMNS, rows)


def _row(field: FieldRule, required: bool, default: object) -> tuple[str, str, str, str]:
    absent = default is None or default is msgspec.NODEFAULT
    shown = "required" if required else "" if absent else code(_json(default))
    return code(field.name), rule_text(field.rule), shown, " ".join(map(code, field.aliases))


def _json(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _stream(cls: type[Command]) -> str:
    names = Names()
    return names.op(cls.TYPE) if cls.STREAM == "op" else names.cmd(cls.TYPE)


def _life(cls: type[Command]) -> str:
    return "no end" if cls.LIFE_MS is None else f"{cls.LIFE_MS // 1000} s"
