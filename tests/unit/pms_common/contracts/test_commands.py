"""Every public command, through both forms: round trips, and each field violated on its own."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms_common.contracts.base import encode
from pms_common.contracts.commands import COMMANDS, Command
from pms_common.contracts.commands.admin import SymbolOrAll
from pms_common.contracts.errors import CommandError, ErrorCode
from pms_common.contracts.parse import Parsed, parse_command
from pms_common.contracts.rules import Flag, Integer, Number, OneOf, Rule, SymbolName, Text, TraceContext
from pms_common.contracts.shapes import FieldRule, Items, ListOf, shape_of
from pms_common.contracts.traceparent import EXAMPLE

ENTRY = "1771683000000-7"

ORDER = {"subAccountId": "acc-1", "symbol": "BTCUSDT", "side": "BUY", "leverage": 10}
LEVELS = [{"price": 60000, "quantity": 0.001}, {"price": 60100.5, "quantity": 0.002}]
LEG = {"symbol": "ETHUSDT", "side": "SELL", "leverage": 5}
SCHEDULE = {"lots": 10, "durationMinutes": 30}
SCALPER = {k: v for k, v in ORDER.items() if k != "side"} | {"startSide": "LONG"}

EXAMPLES: dict[str, dict[str, Any]] = {
    "trade": ORDER | {"quantity": 0.001},
    "validate": ORDER | {"quantity": 0.001},
    "limit": ORDER | {"quantity": 0.001, "price": 60000},
    "scale": ORDER | {"orders": LEVELS},
    "basket": {"subAccountId": "acc-1", "legs": [LEG | {"quantity": 0.1}]},
    "close": {"positionId": "p-1"},
    "close_all": {"subAccountId": "acc-1"},
    "limit_close": {"positionId": "p-1", "price": 60000},
    "cancel": {"clientOrderId": "PMS_1"},
    "amend": {"clientOrderId": "PMS_1", "price": 60000},
    "cancel_all": {"subAccountId": "acc-1"},
    "chase": ORDER | {"quantity": 0.001},
    "scalper": SCALPER | {"longSizeUsd": 300},
    "twap": ORDER | SCHEDULE | {"totalSize": 600},
    "twap_basket": {"subAccountId": "acc-1", "legs": [LEG | {"sizeUsdt": 300}]} | SCHEDULE,
    "trail_stop": {"positionId": "p-1", "callbackPct": 1},
    **{
        f"{algo}_{verb}": {key: "algo-1"}
        for algo, key in {
            "chase": "chaseId",
            "scalper": "scalperId",
            "twap": "twapId",
            "twap_basket": "twapBasketId",
            "trail_stop": "trailStopId",
        }.items()
        for verb in ("cancel", "pause", "resume")
    },
    "account": {"action": "deposit", "subAccountId": "acc-1", "amount": 100},
    "trading_state": {"state": "halted"},
}

# Fields that may stand together with the example's; the others are tried alone.
ALONE = {
    "amount", "allowUnfunded", "balance", "name", "positionId", "maxLeverage", "maxNotionalPerTrade", "maxOpenOrders",
    "maxTotalExposure", "liquidationThreshold", "allowedSymbols", "liquidationMode", "maintenanceMode",
    "maintenanceRate", "fraction", "stalkOffsetTicks", "baseOffsetPct", "timeInForce", "postOnly", "exchangeOrderId",
    "maxDailyLoss", "maxOrdersPerMinute", "marginMode",
}  # fmt: skip

NOT_A_NUMBER: list[Any] = ["abc", "", "NaN", "Infinity", "-Infinity", "0x10", "1_000", "١", True, [], {}, "1" * 60]
BAD: dict[type[Rule], list[Any]] = {
    Number: [*NOT_A_NUMBER, -1, "-0.5", 1e300, "1e300", int("9" * 17), Decimal("0." + "1" * 40)],
    Integer: [*NOT_A_NUMBER, 1.5, "1.5", -(10**6), 10**15, "1e999"],
    Text: ["", 5, True, [], {}, "a" * 129, "tab\there", "nul\0"],
    Flag: ["yes", 2, 0, 1, [], {}, ""],
    OneOf: ["other", "", 1, True, [], {}],
    SymbolName: ["", "BTC USDT", "BTC/USDT:BTC", "/", "BTC/", ":", 1, True, [], {}, "A" * 41, "BTC:USDT", "{x}"],
    Items: [[], {}, "", "x", 5, True, "[1", [1], [None], [[]], [{}] * 101],
    ListOf: [[], {}, 5, True, [1], [""], ["BTC USDT"], ""],
}


def rule_kind(rule: Rule) -> type[Rule]:
    return SymbolName if isinstance(rule, SymbolOrAll) else type(rule)


def parse(command: str, body: Mapping[str, Any], **options: bool) -> Parsed:
    payload = encode(body)
    return parse_command(command, payload, ENTRY, **options)


def flat(body: Mapping[str, Any]) -> dict[str, str]:
    """As redis-cli and client libraries write fields: text, with lists as JSON."""
    return {
        name: value if isinstance(value, str) else encode(value).decode()
        for name, value in body.items()
        if value is not None
    }


def refusal(command: str, body: Mapping[str, Any], **options: bool) -> CommandError:
    with pytest.raises(CommandError) as caught:
        parse(command, body, **options)
    assert caught.value.code.category.name == "VALIDATION"
    return caught.value


def test_there_is_an_example_of_every_command() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_parses_alike_in_both_forms(command: str) -> None:
    body = EXAMPLES[command] | {"requestId": "r-1"}
    parsed = parse(command, body)
    assert type(parsed.command) is COMMANDS[command]
    assert parsed.request_id == "r-1"
    assert parsed.warnings == ()
    assert parse_command(command, flat(body), ENTRY) == parsed


FIELDS = [
    pytest.param(command, field, id=f"{command}-{field.name}")
    for command, cls in COMMANDS.items()
    for field in shape_of(cls).fields
    if field.name != "traceparent"  # which refuses nothing: test_traceparent
]


@pytest.mark.parametrize(("command", "field"), FIELDS)
def test_a_violated_field_is_named(command: str, field: FieldRule) -> None:
    for bad in BAD[rule_kind(field.rule)]:
        body = {"requestId": "r-1"} | EXAMPLES[command] | {field.name: bad}
        error = refusal(command, body)
        named = [e for e in error.errors if (e.field or "").startswith(field.name) and field.name in e.message]
        assert named, f"{field.name}={bad!r} gave {error}"
        assert field.name in error.message
        assert error.request_id == ("r-1" if field.name != "requestId" else f"{command}-{ENTRY}")


@pytest.mark.parametrize("levels", [1, 2, 30, 31])
def test_a_scale_has_2_to_30_levels(levels: int) -> None:
    body = EXAMPLES["scale"] | {"orders": [{"price": 100 + i, "quantity": 1} for i in range(levels)]}
    if 2 <= levels <= 30:
        assert parse("scale", body).command
    else:
        assert refusal("scale", body).errors[0].field == "orders"


@pytest.mark.parametrize(("command", "name"), [(c, n) for c, body in EXAMPLES.items() for n in body])
def test_every_field_of_the_minimal_example_is_needed(command: str, name: str) -> None:
    for absent in ({}, {name: None}):
        body = {k: v for k, v in EXAMPLES[command].items() if k != name} | absent
        error = refusal(command, body)
        assert name in error.message
        assert name in [e.field for e in error.errors]


def test_all_violations_are_told_at_once() -> None:
    error = refusal("limit", {"symbol": "", "side": "UP", "quantity": 0, "price": "x", "leverage": 126})
    assert {e.field for e in error.errors} == {
        "symbol", "side", "quantity", "price", "leverage", "subAccountId",
    }  # fmt: skip
    assert error.code is ErrorCode.VALIDATION_FAILED


@pytest.mark.parametrize(
    ("command", "path", "bad"),
    [
        ("scale", "orders[1].price", {"orders": [LEVELS[0], {"price": 0, "quantity": 1}]}),
        ("scale", "orders[1].price", {"orders": [LEVELS[0], LEVELS[0]]}),
        ("scale", "orders[0].quantity", {"orders": [{"price": 1}, LEVELS[0]]}),
        ("scale", "orders", {"orders": LEVELS[:1]}),
        ("basket", "legs[1].side", {"legs": [LEG | {"quantity": 1}, LEG | {"quantity": 1, "side": "x"}]}),
        ("twap_basket", "legs[0].sizeUsdt", {"legs": [LEG]}),
        ("account", "allowedSymbols[1]", {"action": "set_rules", "allowedSymbols": ["BTCUSDT", "?"]}),
    ],
)
def test_an_entry_of_a_list_is_named_by_its_place(command: str, path: str, bad: dict[str, Any]) -> None:
    error = refusal(command, EXAMPLES[command] | bad)
    assert path in [e.field for e in error.errors]
    scale = "SCALE_INVALID_RANGE" if path == "orders" else "SCALE_INVALID_ORDER"
    assert error.code.name == (scale if command == "scale" else "VALIDATION_FAILED")


@pytest.mark.parametrize(
    ("command", "body", "field"),
    [
        ("limit", {"timeInForce": "IOC", "postOnly": True}, "postOnly"),
        ("limit", {"timeInForce": "GTD"}, "goodTillDate"),
        ("close", {"quantity": 1, "fraction": 0.5}, "fraction"),
        ("chase", {"stalkOffsetPct": 0.1, "stalkOffsetTicks": 2}, "stalkOffsetTicks"),
        ("scalper", {"baseOffsetPct": 0.3, "longOffsetPct": 0.2}, "baseOffsetPct"),
        ("scalper", {"quantity": 1}, "quantity"),
        ("scalper", {"longSizeUsd": 0, "shortSizeUsd": 0}, "longSizeUsd"),
        ("twap", {"quantity": 1}, "quantity"),
        ("account", {"action": "freeze"}, "amount"),
        ("account", {"action": "takeover", "amount": None}, "positionId"),
        ("account", {"action": "assign", "amount": None, "symbol": "BTCUSDT"}, "exchangeOrderId"),
        ("account", {"action": "create", "amount": None}, "name"),
        ("account", {"action": "set_rules", "amount": None}, "action"),
        ("account", {"action": "set_mode", "amount": None, "maxLeverage": 5}, "maxLeverage"),
    ],
)
def test_rules_between_fields(command: str, body: dict[str, Any], field: str) -> None:
    assert field in [e.field for e in refusal(command, EXAMPLES[command] | body).errors]


def test_a_field_that_two_other_actions_know_is_refused_once() -> None:
    refused = refusal("account", {"action": "create", "name": "Main", "allowUnfunded": True})
    assert [error.field for error in refused.errors] == ["allowUnfunded"]


ACCOUNT = {"action": "set_rules", "subAccountId": "acc-1"}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("limit", EXAMPLES["limit"] | {"postOnly": True, "timeInForce": "GTX"}),
    ("limit", EXAMPLES["limit"] | {"timeInForce": "GTD", "goodTillDate": 1771689999000}),
    ("close", EXAMPLES["close"] | {"quantity": 0.5}),
    ("close", EXAMPLES["close"] | {"fraction": 0.3}),
    ("amend", {"clientOrderId": "PMS_1", "price": 60000, "quantity": 0.5}),
    ("chase", EXAMPLES["chase"] | {"stalkOffsetTicks": 3, "postOnly": True}),
    ("scalper", SCALPER | {"quantity": 0.01}),
    ("twap", ORDER | SCHEDULE | {"quantity": 0.01}),
    ("account", {"action": "create", "name": "Main", "balance": 1000}),
    ("account", ACCOUNT | {"action": "withdraw", "amount": 5.5, "allowUnfunded": True}),
    ("account", ACCOUNT | {"action": "freeze"}),
    ("account", ACCOUNT | {"allowedSymbols": ["*"], "maxOpenOrders": 20}),
    ("account", ACCOUNT | {"maxLeverage": 20, "maxNotionalPerTrade": 200, "maxTotalExposure": 500}),
    ("account", ACCOUNT | {"liquidationThreshold": 0.9, "allowedSymbols": ["BTCUSDT", "ETHUSDT"]}),
    ("account", ACCOUNT | {"action": "set_mode", "liquidationMode": "TAKEOVER", "maintenanceRate": 0.005}),
    ("account", ACCOUNT | {"action": "set_mode", "maintenanceMode": "brackets"}),
    ("account", {"action": "takeover", "positionId": "p-1"}),
    ("account", ACCOUNT | {"action": "assign", "symbol": "BTCUSDT", "exchangeOrderId": 8389765}),
    ("trading_state", {"state": "reducing", "symbol": "BTCUSDT", "subAccountId": "acc-1", "cancel": True}),
]


@pytest.mark.parametrize(("command", "body"), VARIANTS)
def test_fields_that_exclude_others_round_trip_too(command: str, body: dict[str, Any]) -> None:
    parsed = parse(command, body | {"requestId": "r-1"})
    assert parse_command(command, flat(body | {"requestId": "r-1"}), ENTRY) == parsed
    assert parse_command(command, encode(parsed.command), ENTRY).command == parsed.command
    assert json.loads(encode(parsed.command)) == body | {"requestId": "r-1"}


# --- properties --------------------------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=128)
symbols = st.sampled_from(["BTCUSDT", "1000PEPEUSDT", "BTCUSDT_260327", "币安人生USDT"])


def decimals(rule: Number) -> st.SearchStrategy[Decimal]:
    least = rule.gt if rule.gt is not None else rule.ge
    assert least is not None
    return st.decimals(least, rule.le, places=8, allow_nan=False).filter(lambda n: n != rule.gt)


VALUES: dict[type[Rule], Callable[[Any], st.SearchStrategy[Any]]] = {
    Number: decimals,
    Integer: lambda rule: st.integers(rule.ge, rule.le),
    OneOf: lambda rule: st.sampled_from(rule.words),
    Flag: lambda _: st.booleans(),
    SymbolName: lambda _: symbols,
    Text: lambda _: words,
    TraceContext: lambda _: st.just(EXAMPLE),
    Items: lambda rule: st.lists(objects(rule.of), min_size=rule.least, max_size=rule.least + 2),
    ListOf: lambda rule: st.lists(values(rule.of), min_size=1, max_size=3),
}


def values(rule: Rule) -> st.SearchStrategy[Any]:
    """Values in the form in which the parser hands them on."""
    return VALUES[rule_kind(rule)](rule)


def objects(cls: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({f.name: values(f.rule) for f in shape_of(cls).fields})


@st.composite
def bodies(draw: st.DrawFn, command: str) -> dict[str, Any]:
    """A valid body: each required field, and any of the optional ones that may stand beside each other."""
    body = dict(EXAMPLES[command])
    for field in shape_of(COMMANDS[command]).fields:
        optional = field.name not in body and field.name not in ALONE and field.name != "quantity"
        optional = optional and (command, field.name) != ("account", "symbol")  # of `assign` alone
        if (field.name in body and field.name not in ALONE | {"action"}) or (optional and draw(st.booleans())):
            body[field.name] = draw(values(field.rule))
    if command == "scale":
        body["orders"] = [level | {"price": 100 + i} for i, level in enumerate(body["orders"])]
    if command == "scalper":
        body["shortSizeUsd"] = Decimal(5)
    return body


@pytest.mark.parametrize("command", COMMANDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_encode_and_parse_round_trip_in_both_forms(command: str, data: st.DataObject) -> None:
    body = data.draw(bodies(command)) | {"requestId": "r-1"}
    parsed = parse(command, body)
    assert parsed.warnings == ()
    for name, value in body.items():
        field = next(f for f in shape_of(COMMANDS[command]).fields if f.name == name)
        if not isinstance(field.rule, Items | ListOf):
            assert getattr(parsed.command, field.attribute) == value
    again = parse_command(command, encode(parsed.command), ENTRY)
    assert again.command == parsed.command
    assert parse_command(command, flat(body), ENTRY).command == parsed.command
    wire = json.loads(encode(parsed.command), parse_float=Decimal)
    assert None not in wire.values()
    assert wire.keys() <= {f.name for f in shape_of(COMMANDS[command]).fields}


@pytest.mark.parametrize("command", COMMANDS)
@settings(max_examples=25, deadline=None)
@given(extra=st.dictionaries(words, st.none() | st.integers() | st.text() | st.lists(st.integers()), max_size=5))
def test_unknown_fields_are_named_and_change_nothing(command: str, extra: dict[str, Any]) -> None:
    shape = shape_of(COMMANDS[command])
    known = {name for f in shape.fields for name in (f.name, *f.aliases)}
    extra = {name: value for name, value in extra.items() if name not in known}
    parsed = parse(command, extra | EXAMPLES[command] | {"requestId": "r-1"})
    assert sorted(parsed.warnings) == sorted(f"unknown field {name}" for name in extra)
    plain = parse(command, EXAMPLES[command] | {"requestId": "r-1"})
    assert (parsed.command, parsed.body_hash) == (plain.command, plain.body_hash)


ALIASES = [
    (command, field, alias)
    for command, cls in COMMANDS.items()
    for field in shape_of(cls).fields
    for alias in field.aliases
]


@pytest.mark.parametrize(("command", "field", "alias"), ALIASES)
def test_an_alias_is_the_same_field(command: str, field: FieldRule, alias: str) -> None:
    body = {f.name: 1 for f in [field] if f.name not in EXAMPLES[command]} | EXAMPLES[command]
    value = body.pop(field.name)
    named = parse(command, body | {field.name: value})
    assert parse(command, body | {alias: value}) == named
    assert parse(command, body | {alias: value, field.name: value}) == named
    other = {"levels": [LEVELS[0], {"price": 1, "quantity": 1}], "items": [LEG | {"quantity": 9}]}.get(alias)
    different = other or ("SHORT" if isinstance(field.rule, OneOf) else "2")
    error = refusal(command, body | {field.name: value, alias: different})
    assert error.errors[0].field == alias


def test_the_aliases_of_the_contract_are_all_there() -> None:
    assert {(c, f.name, a) for c, f, a in ALIASES} == {
        ("scale", "orders", "levels"),
        ("basket", "legs", "items"),
        ("cancel", "clientOrderId", "orderId"),
        ("amend", "clientOrderId", "orderId"),
        ("chase", "stalkOffsetPct", "stalkOffset"),
        ("chase", "maxDistancePct", "maxDistance"),
        ("scalper", "startSide", "side"),
        ("scalper", "childCount", "layers"),
        ("twap", "durationMinutes", "duration"),
        ("twap_basket", "durationMinutes", "duration"),
    }


def test_the_scalpers_base_offset_stands_for_both_legs() -> None:
    command: Command = parse("scalper", EXAMPLES["scalper"] | {"baseOffsetPct": "0.3"}).command
    both = parse("scalper", EXAMPLES["scalper"] | {"longOffsetPct": 0.3, "shortOffsetPct": 0.3})
    assert encode(command)[50:] == encode(both.command)[50:]
