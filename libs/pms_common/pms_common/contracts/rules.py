"""What the value of one command field may be, and how it is read: one rule a kind of value.

Each rule turns a raw value (JSON, or a flat field's text) into its typed form, or reports why not under the
field's name. Rules sit in the `Annotated` types of the command classes, so class, check and documentation agree.
Used by the command classes and by `shapes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow, Subnormal
from typing import Annotated, Any

from pms_common.contracts import traceparent
from pms_common.contracts.base import PositionSide, Side
from pms_common.contracts.errors import ErrorCode, FieldError
from pms_common.contracts.symbols import InvalidSymbol, native_symbol

MAX_TEXT_CHARS = 128
MAX_NUMBER_CHARS = 48

# 28 digits are what Python's default context computes with: a number is taken as it is or refused, never rounded.
_EXACT = Context(prec=28, Emax=40, Emin=-40, traps=[Inexact, InvalidOperation, Overflow, Subnormal])
_to_decimal = _EXACT.create_decimal
_is_number = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?").fullmatch
MOST = Decimal(10) ** 15
_NUMERIC = (Decimal, int)
_FLAGS: dict[object, bool] = {"true": True, "false": False, "1": True, "0": False}


class Report:
    """Violations and warnings gathered while one payload is read."""

    __slots__ = ("errors", "warnings")

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self.warnings: list[str] = []

    def refuse(self, path: str, why: str, code: ErrorCode = ErrorCode.VALIDATION_FAILED) -> Any:
        """Record that the field at `path` is refused; `why` continues the sentence that its name begins.

        Returns None, which stands for a refused value.
        """
        self.errors.append(FieldError(code=code.name, message=f"{path} {why}", field=path))


class Rule:
    """Reads one value: the typed value, or None after reporting why it is refused."""

    def read(self, value: object, path: str, report: Report) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Alias:
    """A further name under which the field is accepted."""

    name: str


@dataclass(frozen=True)
class Missing:
    """The code to report when the field is absent."""

    code: ErrorCode


@dataclass(frozen=True)
class Number(Rule):
    """A finite decimal within bounds; numbers as strings are understood. Exact, at most 28 digits."""

    gt: Decimal | int | None = None
    ge: Decimal | int | None = None
    le: Decimal | int = MOST

    def read(self, value: object, path: str, report: Report) -> Any:
        number = self._exact(value)
        if number is None:
            return report.refuse(path, "must be a finite number of at most 28 digits")
        if self.gt is not None and number <= self.gt:
            return report.refuse(path, f"must be greater than {self.gt}")
        if self.ge is not None and number < self.ge:
            return report.refuse(path, f"must be at least {self.ge}")
        if number > self.le:
            return report.refuse(path, f"must be at most {self.le}")
        return number

    @staticmethod
    def _exact(value: object) -> Decimal | None:
        if isinstance(value, str):
            if len(value) > MAX_NUMBER_CHARS or not _is_number(value):
                return None
        elif not isinstance(value, _NUMERIC) or value is True or value is False:
            return None
        try:
            return _to_decimal(value)
        except DecimalException:
            return None


@dataclass(frozen=True)
class Integer(Rule):
    """A whole number within bounds; as a string, or as a number with a zero fraction, it is understood too."""

    ge: int
    le: int

    def read(self, value: object, path: str, report: Report) -> Any:
        whole = value if type(value) is int else self._whole(value)
        if whole is None:
            return report.refuse(path, "must be a whole number")
        if not self.ge <= whole <= self.le:
            return report.refuse(path, f"must be {self.ge} to {self.le}")
        return whole

    @staticmethod
    def _whole(value: object) -> int | None:
        if type(value) is str and len(value) <= MAX_NUMBER_CHARS and _is_number(value):
            value = Decimal(value)
        if type(value) is not Decimal or not -1 <= value.adjusted() < 19:  # 2**63 has 19 digits
            return None
        return int(value) if value == value.to_integral_value() else None


@dataclass(frozen=True)
class Text(Rule):
    """Printable text of 1 to 128 characters."""

    def read(self, value: object, path: str, report: Report) -> Any:
        if type(value) is not str:
            return report.refuse(path, "must be a string")
        if not 0 < len(value) <= MAX_TEXT_CHARS or not value.isprintable():
            return report.refuse(path, f"must be 1 to {MAX_TEXT_CHARS} printable characters")
        return value


@dataclass(frozen=True)
class Flag(Rule):
    """true or false; in flat fields also 1 and 0."""

    def read(self, value: object, path: str, report: Report) -> Any:
        if type(value) is bool:
            return value
        flag = _FLAGS.get(value.lower()) if type(value) is str else None
        return report.refuse(path, "must be true or false") if flag is None else flag


@dataclass(frozen=True)
class OneOf(Rule):
    """One word of a list, in any case; `also` translates further words."""

    words: tuple[str, ...]
    also: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        meant = {form: word for word in self.words for form in (word, word.lower(), word.upper())}
        further = {form: word for said, word in self.also for form in (said, said.lower())}
        object.__setattr__(self, "_meant", further | meant)

    def read(self, value: object, path: str, report: Report) -> Any:
        meant: Mapping[str, str] = self._meant  # type: ignore[attr-defined]
        word = meant.get(value) if type(value) is str else None
        return report.refuse(path, f"must be one of {', '.join(self.words)}") if word is None else word


@dataclass(frozen=True)
class SymbolName(Rule):
    """A symbol in any form that `symbols` understands; read as the exchange's own."""

    def read(self, value: object, path: str, report: Report) -> Any:
        if type(value) is str and len(value) <= MAX_TEXT_CHARS:
            try:
                return native_symbol(value)
            except InvalidSymbol:
                pass
        return report.refuse(path, "must be a symbol such as BTCUSDT")


@dataclass(frozen=True)
class TraceContext(Rule):
    """A W3C traceparent. One that is not valid refuses nothing: it is ignored, and named in the warnings."""

    def read(self, value: object, path: str, report: Report) -> Any:
        context = traceparent.read(value)
        if not context:
            report.warnings.append(f"{path} is no W3C trace context and was ignored")
        return context or None


_BUY_SELL = OneOf(("BUY", "SELL"), also=(("LONG", "BUY"), ("SHORT", "SELL")))
_LONG_SHORT = OneOf(("LONG", "SHORT"), also=(("BUY", "LONG"), ("SELL", "SHORT")))

Symbol = Annotated[str, SymbolName()]
OrderSide = Annotated[Side, _BUY_SELL]
LegSide = Annotated[PositionSide, _LONG_SHORT]
Quantity = Annotated[Decimal, Number(gt=0)]
"""Base coin."""
Price = Annotated[Decimal, Number(gt=0)]
Usdt = Annotated[Decimal, Number(gt=0)]
Leverage = Annotated[int, Integer(1, 125)]
Id = Annotated[str, Text()]
Traceparent = Annotated[str, TraceContext()]
Bool = Annotated[bool, Flag()]
TimeMs = Annotated[int, Integer(10**12, 10**14 - 1)]
"""Epoch milliseconds, 2001 to 5138: seconds and microseconds are refused."""
