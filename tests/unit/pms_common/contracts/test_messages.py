"""Results, events and caches: every class on the wire, the contract's field names, and the gateway's splice."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from pms_common.contracts.account import AccountSnapshot, RiskSnapshot
from pms_common.contracts.algos import ChaseItem, ScalperItem, TrailStopItem, TwapBasketItem, TwapItem
from pms_common.contracts.base import encode
from pms_common.contracts.caches import PriceCache
from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.events import EVENTS, Sequenced, decode_event, splice
from pms_common.contracts.results_algos import RESULTS, started

ITEMS: tuple[type[msgspec.Struct], ...] = (ChaseItem, ScalperItem, TwapItem, TwapBasketItem, TrailStopItem)
MESSAGES = [*EVENTS.values(), *dict.fromkeys(RESULTS.values()), *ITEMS, RiskSnapshot, PriceCache]


def example(kind: inspect.Type, full: bool) -> Any:
    """A value of a type: with every optional field given, or with none."""
    match kind:
        case inspect.StructType():
            given = [f for f in kind.fields if full or f.required]
            return {f.encode_name: example(f.type, full) for f in given}
        case inspect.UnionType():
            choices = sorted(kind.types, key=lambda t: isinstance(t, inspect.NoneType))
            return example(choices[0 if full else -1], full)
        case inspect.VarTupleType() | inspect.ListType():
            return [example(kind.item_type, full)]
        case inspect.LiteralType():
            return kind.values[0]
    plain = {
        inspect.DecimalType: Decimal("0.10"),
        inspect.FloatType: 0.5,
        inspect.IntType: 7,
        inspect.BoolType: True,
        inspect.StrType: "text",
        inspect.NoneType: None,
    }
    return plain[type(kind)]


def instance(cls: type[msgspec.Struct], full: bool) -> Any:
    wire = example(inspect.type_info(cls), full)
    tag = cls.__struct_config__.tag
    return msgspec.convert(wire | ({"type": tag} if tag else {}), cls)


def wire_names(cls: type[msgspec.Struct]) -> set[str]:
    tagged = {"type"} if cls.__struct_config__.tag else set()
    return {f.encode_name for f in msgspec.structs.fields(cls)} | tagged


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
def test_a_message_survives_the_wire(cls: type[msgspec.Struct], full: bool) -> None:
    message = instance(cls, full)
    raw = encode(message)
    assert msgspec.json.decode(raw, type=cls) == message
    body = json.loads(raw, parse_float=Decimal)
    required = {f.encode_name for f in msgspec.structs.fields(cls) if f.required}
    assert required <= body.keys() <= wire_names(cls)
    assert all(name in required for name, value in body.items() if value is None)
    assert b'"0.10"' not in raw


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_names_are_camel_case(cls: type[msgspec.Struct]) -> None:
    for name in wire_names(cls):
        assert name[0].islower()
        assert "_" not in name
        assert not name.endswith("AtMs")


def test_every_command_has_a_success_and_it_says_so() -> None:
    assert RESULTS.keys() == COMMANDS.keys()
    for cls in RESULTS.values():
        assert {"success", "requestId", "warnings"} <= wire_names(cls)
        body = json.loads(encode(instance(cls, full=False)))
        assert body["success"] is True
        assert "warnings" not in body


ORDER = """clientOrderId orderId exchangeOrderId symbol side orderType quantity price state filledQty avgFillPrice
lastFillPrice lastFillQty fee feeAsset reduceOnly origin parentId suppressToast"""
CHASE = "chaseId symbol side quantity repriceCount parentScalperId account clientOrderId"
TWAP = "twapId symbol side filledLots totalLots filledSize totalSize filledQty totalQty account"
CONTRACT: dict[str, str] = {
    "order_placed": ORDER + " notional scaleIndex scaleTotal twapLot twapTotal twapId twapBasketId",
    "order_active": ORDER,
    "order_partial": ORDER + " account",
    "order_filled": ORDER + " account",
    "order_cancelled": ORDER + " reason account",
    "order_failed": ORDER + " error errorCode",
    "position_updated": "positionId symbol side entryPrice quantity notional leverage margin liquidationPrice account",
    "position_closed": "positionId symbol side realizedPnl newBalance reason closePrice account",
    "position_reduced": "positionId symbol side closedQty remainingQty realizedPnl newBalance reason account",
    "chase_progress": CHASE + " stalkOffsetPct stalkMode maxDistancePct currentOrderPrice initialPrice bid ask",
    "chase_filled": CHASE + " fillPrice",
    "chase_cancelled": CHASE + " reason",
    "scalper_progress": "scalperId symbol startSide status fillCount longSlots shortSlots startedAt account",
    "scalper_filled": "scalperId symbol side layerIdx fillPrice fillQty account",
    "scalper_cancelled": "scalperId symbol reason account",
    "twap_progress": TWAP + " lastLotSuccess lastLotType skipped skippedTicks currentPrice priceLimit",
    "twap_completed": TWAP + " errors",
    "twap_cancelled": TWAP + " errors",
    "twap_basket_progress": "twapBasketId basketName filledLots totalLots legs account",
    "twap_basket_completed": "twapBasketId basketName filledLots totalLots legs account",
    "twap_basket_cancelled": "twapBasketId basketName filledLots totalLots legs account",
    "trail_stop_progress": "trailStopId positionId symbol side callbackPct extremePrice triggerPrice currentPrice "
    "activated activationPrice account",
    "trail_stop_triggered": "trailStopId positionId symbol side extremePrice triggerPrice triggeredPrice closeSuccess",
    "trail_stop_cancelled": "trailStopId positionId symbol side account",
    "liquidation": "mode tier fraction marginRatio positions account",
    "adl_triggered": "mode tier fraction marginRatio positions account symbol",
    "full_liquidation": "mode tier fraction marginRatio positions account",
    "margin_warning": "marginRatio message",
    "account_updated": "account",
    "trading_state": "state symbol",
    "reconciliation_drift": "symbol",
}


def test_every_event_has_the_contracts_fields() -> None:
    assert EVENTS.keys() == CONTRACT.keys()
    for kind, names in CONTRACT.items():
        missing = {"type", "subAccountId", "timestamp", *names.split()} - wire_names(EVENTS[kind])
        assert not missing, kind


def test_account_snapshots_have_the_contracts_fields() -> None:
    assert wire_names(AccountSnapshot) == {"balance", "equity", "marginUsed", "availableMargin", "positions"}
    assert wire_names(AccountSnapshot) < wire_names(RiskSnapshot)
    assert {"status", "timestamp", "marginRatio", "maintenanceMargin", "totalExposure", "unrealizedPnl", "openOrders",
            "accountLiqPrice", "liquidationMode"} < wire_names(RiskSnapshot)  # fmt: skip
    assert wire_names(PriceCache) == {"bid", "ask", "mid", "mark", "ts"}


@pytest.mark.parametrize("kind", EVENTS)
@settings(max_examples=30, deadline=None)
@given(seq=st.integers(0, 2**53), ms=st.integers(0, 2**44), n=st.integers(0, 2**40), epoch=st.integers(0, 2**31))
def test_splice_adds_the_gateways_fields_and_changes_nothing(kind: str, seq: int, ms: int, n: int, epoch: int) -> None:
    event = instance(EVENTS[kind], full=True)
    raw = splice(encode(event), seq, f"{ms}-{n}", epoch)
    assert decode_event(raw) == event
    gateways = Sequenced(seq=seq, event_id=f"{ms}-{n}", epoch=epoch)
    assert msgspec.json.decode(raw, type=Sequenced) == gateways
    assert json.loads(raw) == json.loads(encode(event)) | json.loads(encode(gateways))


@pytest.mark.parametrize("item", ITEMS)
def test_a_start_shows_the_item_of_the_active_list(item: type[msgspec.Struct]) -> None:
    shown = instance(item, full=True)
    body = json.loads(encode(started(shown, "r-1", ["unknown field x"])))
    assert body.pop("success") is True
    assert body.pop("requestId") == "r-1"
    assert body.pop("warnings") == ["unknown field x"]
    assert body == json.loads(encode(shown))


# --- recorded payloads: every field that the browser reads is still there ----------------------------------------

# Not taken over: the bot's flag, what the caller adds itself, and the rows of tables in results of orders.
DROPPED = {"babysitterExcluded", "serverLatencyMs", "position", "trade", "order"}


def recorded(data_directory: Path) -> Any:
    return json.loads((data_directory / "legacy-payloads.json").read_text(encoding="utf-8"))


@pytest.mark.data
def test_recorded_events_have_no_field_that_is_missing(data_directory: Path) -> None:
    seen = set()
    for name, payload in recorded(data_directory)["events"].items():
        kind = max((k for k in EVENTS if name.startswith(k)), key=len, default=None)
        if kind is None or "head" not in payload:
            continue
        seen.add(kind)
        assert payload["head"].keys() - DROPPED <= wire_names(EVENTS[kind]), name
    assert len(seen) >= 20


@pytest.mark.data
def test_recorded_results_have_no_field_that_is_missing(data_directory: Path) -> None:
    seen = 0
    for name, example_of in recorded(data_directory)["commands"].items():
        for form, body in example_of["success"].items():
            command = (example_of["queue"] or "").rpartition(":")[2]
            if not form.startswith("head") or command not in RESULTS:
                continue
            seen += 1
            assert body.keys() - DROPPED <= wire_names(RESULTS[command]), (name, form)
    assert seen >= 20


@pytest.mark.data
def test_recorded_active_lists_have_no_field_that_is_missing(data_directory: Path) -> None:
    lists = recorded(data_directory)["active_lists"]
    for kind, item in zip(("chase-limit", "scalper", "twap", "twap-basket", "trail-stop"), ITEMS, strict=True):
        for shown in lists[f"GET /api/trade/{kind}/active/:sub"]:
            assert shown.keys() <= wire_names(item), kind
