"""The recorded vectors of the earlier engine: formulas, liquidation prices, the pre-trade check and the tiers.

A vector marked as a defect is held to the outcome its `redesign` wants, not to what was shipped.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pms_risk.domain.account import Account
from pms_risk.domain.liquidation.decision import Facts, Held, Tiers, decide, full_threshold
from pms_risk.domain.maintenance import lines, maintenance_margin, required
from pms_risk.domain.math import (
    Leg,
    account_liquidation_price,
    available_margin,
    liquidation_prices,
    static_liquidation_price,
    unrealized_pnl,
    usage_ratio,
)
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules
from pms_risk.domain.validator.registry import validate
from pms_risk.domain.validator.trial import Trial

from .probes import check_probe
from .scenarios import check_close_by_price, check_fee, check_isolation, check_reconcile, check_scenario

Json = dict[str, Any]


def dec(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def signed(position: Json) -> tuple[Decimal, Decimal]:
    quantity = dec(position.get("quantity") or position.get("qty"))
    quantity = quantity if position["side"] == "LONG" else -quantity
    return quantity, quantity * dec(position["entryPrice"] if "entryPrice" in position else position["entry"])


def close_to(value: Decimal | None, expected: Any, tol: float = 1e-9) -> bool:
    if expected is None or value is None:
        return expected is None and value is None
    return float(value) == pytest.approx(float(expected), rel=max(tol, 1e-12), abs=max(tol, 1e-9))


def legs_of(given: Json) -> list[Leg]:
    legs = []
    for position in given["positions"]:
        quantity, cost = signed(position)
        mark = given["marks"].get(position["symbol"])
        pnl = unrealized_pnl(quantity, cost, dec(mark)) if mark is not None else Decimal(0)
        of = lines("flat", dec(given["account"]["maintenanceRate"]), quantity, cost, ())
        legs.append(Leg(quantity, cost, pnl, of, required(of, Decimal(0))))
    return legs


def dynamic(given: Json) -> tuple[dict[str, Decimal], Decimal | None]:
    legs = legs_of(given)
    prices = liquidation_prices(legs, dec(given["account"]["currentBalance"]), dec(given.get("threshold", 0)))
    by_id = dict(zip([position["id"] for position in given["positions"]], prices, strict=True))
    return by_id, account_liquidation_price(legs, prices)


def static(given: Json) -> Decimal:
    entry = dec(given["entry"])
    cost = dec(given["notional"]) * (1 if given["side"] == "LONG" else -1)
    of = lines("flat", dec(given["maintenanceRate"]), cost / entry, cost, ())
    return static_liquidation_price(cost / entry, cost, of, dec(given["balance"]), dec(given["threshold"]))


def check_pnl(vector: Json) -> None:
    given = vector["input"]
    quantity = dec(given["qty"]) * (1 if given["side"] == "LONG" else -1)
    assert close_to(
        unrealized_pnl(quantity, quantity * dec(given["entry"]), dec(given["price"])), vector["expect"]["pnl"]
    )


def check_available(vector: Json) -> None:
    given, expect = vector["input"], vector["expect"]
    # the term for the opposite position counted its profit twice: only vectors without one describe the redesign
    if given.get("oppositePnl") or given.get("oppositeUpnl"):
        pytest.skip("counts the profit of an opposite position twice")
    equity = dec(given["balance"]) + dec(given["totalUpnl"])
    notional = dec(given["totalNotional"]) - dec(given.get("oppositeNotional", 0))
    maintenance = maintenance_margin(notional, dec(given["maintenanceRate"]))
    for name, value in (("equity", equity), ("maintenanceMargin", maintenance)):
        if name in expect:
            assert close_to(value, expect[name])
    assert close_to(available_margin(equity, maintenance), expect["availableMargin"])


def check_usage(vector: Json) -> None:
    given = vector["input"]
    ratio = usage_ratio(dec(given["equity"]), dec(given["currentMarginUsed"]), dec(given["newMargin"]))
    assert close_to(ratio, vector["expect"]["ratio"])


def check_dynamic(vector: Json) -> None:
    prices, largest = dynamic(vector["input"])
    expect, tol = vector["expect"], vector.get("tol", 1e-9)
    for position_id, price in expect["prices"].items():
        assert close_to(prices[position_id], price, tol)
    if "accountPrice" in expect:
        assert close_to(largest, expect["accountPrice"], tol)


def check_static(vector: Json) -> None:
    assert close_to(static(vector["input"]), vector["expect"]["price"])


def facts_of(given: Json, escalating: bool = False) -> Facts:
    """What the old engine would have evaluated; it took the entry price where it had none."""
    held = []
    for position in given["positions"]:
        size = dec(position["quantity"]) * (1 if position["side"] == "LONG" else -1)
        cost = dec(position["notional"]) * (1 if position["side"] == "LONG" else -1)
        entry = dec(position["entryPrice"])
        mark = dec(given["marks"].get(position["symbol"], position["entryPrice"]))
        of = lines("flat", dec(given["account"]["maintenanceRate"]), size, cost, ())
        leg = Leg(size, cost, (mark - entry) * size, of, required(of, mark))
        held.append(Held(position["id"], position["symbol"], mark, leg))
    threshold = dec(given["threshold"]) if given.get("threshold") else Decimal("0.90")
    # the tiers where binary floats had them: 0.90 + 0.05 was 0.9500000000000001
    at = float(threshold)
    return Facts(
        status=given["account"]["status"],
        mode=given["account"]["mode"],
        threshold=threshold,
        balance=dec(given["account"]["balance"]),
        positions=tuple(held),
        tiers=Tiers(threshold - dec(at - 0.10), dec(at + 0.05) - threshold),
        escalating=escalating,
    )


def reduced(given: Json, position_id: str) -> Json:
    """The account after 30 % of a position was closed at its mark."""
    position = next(held for held in given["positions"] if held["id"] == position_id)
    mark = given["marks"].get(position["symbol"], position["entryPrice"])
    sign = 1 if position["side"] == "LONG" else -1
    profit = (dec(mark) - dec(position["entryPrice"])) * dec(position["quantity"]) * Decimal("0.3") * sign
    part = {key: dec(position[key]) * Decimal("0.7") for key in ("quantity", "notional")}
    account = given["account"] | {"balance": dec(given["account"]["balance"]) + profit}
    held = [position | part if position["id"] == position_id else position for position in given["positions"]]
    return given | {"account": account, "positions": held}


def evaluated(given: Json) -> tuple[list[Json], list[Json], str]:
    """Actions, events and status that the tiers make of an account, in the old engine's words."""
    actions: list[Json] = []
    events: list[Json] = []
    status: str = given["account"]["status"]
    decision = decide(facts_of(given))
    if decision is not None and decision.act == "reduce":
        actions.append(
            {
                "kind": "partial_close",
                "position": decision.position_id,
                "fraction": float(decision.fraction or 0),
                "reason": f"ADL_TIER{decision.tier}",
            }
        )
        symbol = next(held["symbol"] for held in given["positions"] if held["id"] == decision.position_id)
        events.append({"type": "adl_triggered", "tier": decision.tier, "fraction": 0.3, "symbol": symbol})
        if decision.tier != 3:
            return actions, events, status
        if given.get("partialCloseEffect") != "none":
            given = reduced(given, decision.position_id)
        decision = decide(facts_of(given, escalating=True))
        if decision is not None and decision.act == "warn":
            return actions, events, status
    if decision is None:
        return actions, events, status
    if decision.act == "warn":
        return actions, [{"type": "margin_warning"}], status
    for held in given["positions"]:
        if decision.act == "close":
            actions.append({"kind": "liquidate", "position": held["id"]})
        else:
            actions.append({"kind": "takeover", "position": held["id"], "by": "SYSTEM_LIQ"})
    events.append({"type": "full_liquidation", "mode": decision.kind})
    return actions, events, "LIQUIDATED"


def check_figures(given: Json, expect: Json, tol: float) -> None:
    facts = facts_of(given)
    legs = [held.leg for held in facts.positions]
    prices = liquidation_prices(legs, facts.balance, facts.threshold)
    margin = sum((dec(position["margin"]) for position in given["positions"]), Decimal(0))
    found = {
        "marginRatio": facts.ratio,
        "equityRaw": facts.equity,
        "equity": max(facts.equity, Decimal(0)),
        "unrealizedPnl": facts.equity - facts.balance,
        "maintenanceMargin": sum((leg.maintenance for leg in legs), Decimal(0)),
        "marginUsed": margin,
        "availableMargin": max(facts.equity, Decimal(0)) - margin,
        "totalExposure": sum((abs(leg.cost) for leg in legs), Decimal(0)),
        "accountLiqPrice": account_liquidation_price(legs, prices),
    }
    for name in found.keys() & expect.keys():
        assert close_to(found[name], expect[name], tol), (name, found[name], expect[name])
    bounds = {"AtLeast": Decimal.__ge__, "Below": Decimal.__lt__, "Above": Decimal.__gt__, "AtMost": Decimal.__le__}
    for name, value in expect.items():
        for suffix, holds in bounds.items():
            figure = found.get(name.removesuffix(suffix))
            if name.endswith(suffix) and figure is not None:
                assert holds(figure, dec(value)), (name, figure)
    for held, price in zip(facts.positions, prices, strict=True):
        shown = expect.get("perPosition", {}).get(held.id, {})
        if "liquidationPrice" in shown:
            assert close_to(price, shown["liquidationPrice"], tol)
        if "unrealizedPnl" in shown:
            assert close_to(held.leg.pnl, shown["unrealizedPnl"], tol)


def check_evaluate(vector: Json) -> None:
    given = vector["input"]
    expect = vector["shipped"] if vector["verdict"] == "stale" else vector["expect"]
    if vector["verdict"] == "legacy-defect":
        wanted = vector["redesign"].lower()
        if "frozen" in wanted or "freez" in wanted:
            given = given | {"account": given["account"] | {"status": "ACTIVE"}}
            actions = evaluated(given)[0]
            given = given | {"account": given["account"] | {"status": "FROZEN"}}
            assert evaluated(given)[0] == actions
            return
        if "price" in wanted:
            pytest.skip("what has no price is not evaluated: test_sentinel_prices.py")
        pytest.fail(f"no outcome is known for: {vector['redesign']}")
    check_figures(given, expect, vector.get("tol", 1e-9))
    actions, events, status = evaluated(given)
    if given["account"]["status"] == "FROZEN" and not expect.get("actions"):
        healthy = evaluated(given | {"account": given["account"] | {"status": "ACTIVE"}})[0]
        if healthy:
            pytest.skip("freezing stops new risk, not liquidation (pb-09)")
    if "actions" in expect:
        assert actions == expect["actions"]
    for action in expect.get("actionsContain", ()):
        assert action in actions
    if "events" in expect:
        assert len(events) == len(expect["events"])
        for told, wanted in zip(events, expect["events"], strict=True):
            assert wanted.items() <= told.items()
    if "accountStatus" in expect:
        assert status == expect["accountStatus"]


def check_full_threshold(vector: Json) -> None:
    given = vector["input"]
    found = full_threshold(given["mode"], dec(given["threshold"]), Tiers())
    assert close_to(found, vector["expect"]["threshold"], vector.get("tol", 1e-9))


def check_compare(vector: Json) -> None:
    given, expect = vector["input"], vector["expect"]
    if given["op"] not in ("dynamic_liq_prices", "static_liq_price"):
        pytest.skip(f"{given['op']} belongs to the liquidation engine")
    values = []
    for case in (given["a"], given["b"]):
        prices = dynamic(case)[0] if given["op"] == "dynamic_liq_prices" else {"price": static(case)}
        values.append(prices[given["path"].rpartition(".")[2]])
    left, right = values
    relation = expect["relation"].split()[1]
    assert {">": left > right, "<": left < right, "==": left == right}[relation]
    for name, value in zip("ab", values, strict=True):
        if name in expect:
            assert close_to(value, expect[name])


def check_static_equals_dynamic(vector: Json) -> None:
    given = vector["input"]
    if "positions" not in given:
        alone, crossed = given["static"], dynamic(given["dynamic"])[0][given["position"]]
        assert close_to(crossed, static(alone), 0.01)
        return
    position = given["positions"][0]
    alone = {
        "side": position["side"],
        "entry": position["entryPrice"],
        "notional": position["notional"],
        "balance": given["account"]["currentBalance"],
        "maintenanceRate": given["account"]["maintenanceRate"],
        "threshold": given["threshold"],
    }
    assert close_to(dynamic(given)[0][position["id"]], static(alone))


def trial_of(given: Json) -> Trial:
    account = None
    if given.get("account") is not None:
        account = Account("a", "a", 1)
        account.cash = dec(given["account"]["currentBalance"])
        account.maintenance_rate = dec(given["account"]["maintenanceRate"])
        account.status = given["account"]["status"]
        rules = given.get("rules")
        if rules is not None:
            account.rules = Rules(
                dec(rules["maxLeverage"]),
                dec(rules["maxNotionalPerTrade"]),
                dec(rules["maxTotalExposure"]),
                dec(rules["liquidationThreshold"]),
            )
        for number, held in enumerate(given["positions"]):
            if held.get("status", "OPEN") != "OPEN":
                continue
            quantity, cost = signed(held)
            account.put_position(
                Position(str(number), held["symbol"], "BOTH", dec(held["leverage"]), 1, quantity, cost)
            )
    # any of the old engine's price sources is a fresh price here
    prices = given.get("ticker", {}) | given.get("cached", {}) | given["marks"]
    marks = {
        symbol: dec(price if not isinstance(price, dict) else price.get("mark") or price["last"])
        for symbol, price in prices.items()
        if price
    }
    pnl, missing = account.pnl(marks.get) if account is not None else (Decimal(0), None)
    return Trial(
        account,
        given["symbol"],
        "BUY" if given["side"] == "LONG" else "SELL",
        dec(given["quantity"]),
        dec(given["leverage"]),
        mark=marks.get(given["symbol"]),
        pnl=None if missing else pnl,
    )


COMPUTED = {
    "price": "price",
    "notional": "notional",
    "requiredMargin": "required_margin",
    "availableBalance": "available",
    "currentExposure": "exposure",
    "equity": "equity",
    "maintenanceMargin": "maintenance",
}


def redesigned(wanted: str, trial: Trial) -> list[str]:
    """The codes that the wanted outcome means for this vector."""
    text = wanted.lower()
    if "non-finite" in text or "non-positive" in text or "negative" in text:
        return ["VALIDATION_FAILED"]
    if "price" in text:
        return ["NO_PRICE"]
    if "once" in text and trial.account is not None and trial.mark is not None and trial.pnl is not None:
        equity = trial.account.cash + trial.pnl
        required = trial.quantity * trial.mark / trial.leverage
        codes = ["INSUFFICIENT_MARGIN"] if required > equity else []
        return codes + (["MARGIN_RATIO_EXCEEDED"] if required >= equity * Decimal("0.98") else [])
    pytest.fail(f"no outcome is known for: {wanted}")


def check_validate(vector: Json) -> None:
    given, expect = vector["input"], vector["expect"]
    if "accountMaxLeverage" in given:
        given = {
            "account": {"currentBalance": 10**6, "maintenanceRate": 0.005, "status": "ACTIVE"},
            "rules": {
                "maxLeverage": given["accountMaxLeverage"],
                "maxNotionalPerTrade": 10**9,
                "maxTotalExposure": 10**9,
                "liquidationThreshold": 0.9,
            },
            "positions": [],
            "marks": {"BTC/USDT:USDT": given["mark"]},
            "side": "LONG",
            "symbol": "BTC/USDT:USDT",
            "quantity": given["quantity"],
            "leverage": given["leverage"],
        }
    trial = trial_of(given)
    verdict = validate(trial)
    codes = [error.code for error in verdict.errors]
    if vector["verdict"] == "legacy-defect":
        assert codes == redesigned(vector["redesign"], trial)
        return
    assert codes == expect["codes"]
    for name, attribute in COMPUTED.items():
        if expect.get("computed") and verdict.computed is not None:
            assert close_to(getattr(verdict.computed, attribute), expect["computed"][name]), name


def check_any_probe(vector: Json) -> None:
    (check_fee if set(vector["input"]) == {"fee", "balance"} else check_probe)(vector)


CHECKS: dict[str, Callable[[Json], None]] = {
    "pnl": check_pnl,
    "available_margin": check_available,
    "margin_usage_ratio": check_usage,
    "dynamic_liq_prices": check_dynamic,
    "static_liq_price": check_static,
    "static_equals_dynamic": check_static_equals_dynamic,
    "evaluate_account": check_evaluate,
    "effective_full_threshold": check_full_threshold,
    "compare": check_compare,
    "validate_trade": check_validate,
    "scenario": check_scenario,
    "isolation": check_isolation,
    "reconcile": check_reconcile,
    "close_by_price": check_close_by_price,
    "probe": check_any_probe,
}


def test_legacy_vector(legacy_vector: Json, record_property: Callable[[str, object], None]) -> None:
    check = CHECKS.get(legacy_vector["op"])
    try:
        if check is None:
            pytest.skip(f"{legacy_vector['op']} is no formula, no pre-trade check and no evaluation")
        check(legacy_vector)
    except pytest.skip.Exception:
        record_property("cases", 0)
        raise
