"""Bounds of every command field: kept to the digit, and those of the contract."""

from decimal import Decimal
from typing import Any

import pytest

from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.rules import Integer, Number, Report
from pms_common.contracts.shapes import FieldRule, Shape, shape_of

FIELDS = [
    pytest.param(command, field, id=f"{command}-{field.name}")
    for command, cls in COMMANDS.items()
    for field in shape_of(cls).fields
    if isinstance(field.rule, Integer | Number)
]


def errors_of(shape: Shape, body: dict[str, Any], name: str) -> list[Any]:
    report = Report()
    shape.read(body, "", report)
    return [e for e in report.errors if e.field == name]


@pytest.mark.parametrize(("command", "field"), FIELDS)
def test_bounds_are_kept_to_the_digit(command: str, field: FieldRule) -> None:
    rule = field.rule
    inside: list[Any] = []
    outside: list[Any] = []
    if isinstance(rule, Integer):
        inside, outside = [rule.ge, rule.le, str(rule.le), Decimal(rule.le)], [rule.ge - 1, rule.le + 1]
    elif isinstance(rule, Number):
        least = rule.gt if rule.gt is not None else rule.ge
        assert least is not None, "every number has a lower bound"
        edge_is_in = rule.gt is None
        tiny = Decimal("1e-12")
        inside = [least + tiny, rule.le, str(rule.le)] + [least] * edge_is_in
        outside = [least - tiny, rule.le + tiny] + [least] * (not edge_is_in)
    shape = shape_of(COMMANDS[command])
    for value in inside:
        assert not errors_of(shape, {field.name: value}, field.name), value
    for value in outside:
        assert errors_of(shape, {field.name: value}, field.name), value


RANGES: list[tuple[str, str, Any, Any]] = [
    ("trade", "leverage", 1, 125),
    ("chase", "stalkOffsetPct", 0, 10),
    ("chase", "maxDistancePct", 0, 50),
    ("scalper", "childCount", 1, 10),
    ("scalper", "longOffsetPct", 0, 10),
    ("scalper", "skew", -100, 100),
    ("scalper", "minFillSpreadPct", 0, 10),
    ("scalper", "fillDecayHalfLifeMs", 1_000, 3_600_000),
    ("scalper", "minRefillDelayMs", 0, 300_000),
    ("scalper", "maxLossPerCloseBps", 0, 10_000),
    ("scalper", "maxFillsPerMinute", 0, 100),
    ("twap", "lots", 2, 100),
    ("twap", "durationMinutes", 1, 720),
    ("twap_basket", "lots", 2, 100),
    ("trail_stop", "callbackPct", Decimal("0.0001"), 50),
    ("close", "fraction", Decimal("0.0001"), 1),
    ("account", "liquidationThreshold", Decimal("0.0001"), 1),
]


@pytest.mark.parametrize(("command", "name", "least", "most"), RANGES)
def test_the_contracts_ranges(command: str, name: str, least: Any, most: Any) -> None:
    shape = shape_of(COMMANDS[command])
    for value in (least, most):
        assert not errors_of(shape, {name: value}, name)
    for value in (least - 1, most + 1):
        assert errors_of(shape, {name: value}, name)
