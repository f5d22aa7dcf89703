"""How the rule of a command's field reads: its kind, its bounds, its words."""

from decimal import Decimal
from functools import singledispatch

from pms_cli.reference.markdown import code
from pms_cli.reference.types import link
from pms_common.contracts.commands.admin import SymbolOrAll
from pms_common.contracts.rules import (
    MAX_TEXT_CHARS,
    Flag,
    Integer,
    Number,
    OneOf,
    Rule,
    SymbolName,
    Text,
    TraceContext,
)
from pms_common.contracts.shapes import Items, ListOf

_TIME_FROM = 10**12
"""A whole number from here on is a time."""
_MOST = Decimal(10) ** 15
"""The bound of a number that has no other."""


@singledispatch
def rule_text(rule: Rule) -> str:
    """What the value may be."""
    raise TypeError(f"{type(rule).__name__} has no words yet")


@rule_text.register
def _number(rule: Number) -> str:
    bounds = ((">", rule.gt), ("≥", rule.ge), ("≤", rule.le if rule.le != _MOST else None))
    return " ".join(("number", ", ".join(f"{sign} {bound}" for sign, bound in bounds if bound is not None))).strip()


@rule_text.register
def _integer(rule: Integer) -> str:
    return "time" if rule.ge >= _TIME_FROM else f"integer {rule.ge}…{rule.le}"


@rule_text.register
def _text(_: Text) -> str:
    return f"string of 1…{MAX_TEXT_CHARS} characters"


@rule_text.register
def _trace_context(_: TraceContext) -> str:
    return "W3C trace context"


@rule_text.register
def _flag(_: Flag) -> str:
    return "boolean"


@rule_text.register
def _one_of(rule: OneOf) -> str:
    also = ", ".join(f"{code(said)} is {code(word)}" for said, word in rule.also)
    return " ".join(map(code, rule.words)) + (f" ({also})" if also else "")


@rule_text.register
def _symbol(_: SymbolName) -> str:
    return "symbol"


@rule_text.register
def _symbol_or_all(_: SymbolOrAll) -> str:
    return "symbol or `*`"


@rule_text.register
def _items(rule: Items) -> str:
    return f"list of {rule.least}…{rule.most} {link(rule.of)}"


@rule_text.register
def _list_of(rule: ListOf) -> str:
    return f"list of 1…{rule.most}: {rule_text(rule.of)}"
