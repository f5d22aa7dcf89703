"""The recorded pre-trade checks of the earlier engine: which codes refuse an order, and the figures behind them."""

from decimal import Decimal

import pytest

from pms_risk.domain.account import Account
from pms_risk.domain.position import Position
from pms_risk.domain.rules import Rules
from pms_risk.domain.validator.registry import validate
from pms_risk.domain.validator.trial import Trial

from .legacy_values import Json, close_to, dec, signed


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
