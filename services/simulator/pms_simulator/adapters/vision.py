"""Binance Vision downloads: a zip holding one CSV of best quotes or aggregated trades, read row by row.

Owns the two layouts, with or without a header line. Rows become frames as the streams carry them, so that
``domain.market.replay`` reads one form only. Symbol and kind come from the file names (BTCUSDT-aggTrades-2024-08-08).
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from zipfile import BadZipFile, ZipFile

Kind = Literal["bookTicker", "aggTrades"]
ZIP_MAGIC = b"PK\x03\x04"
DAY_MS = 86_400_000
MICROSECONDS_FROM = 10**14  # larger stamps are microseconds: milliseconds reach this in the year 5138
COLUMNS: dict[Kind, tuple[str, ...]] = {
    "bookTicker": ("update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty", "transaction_time"),
    "aggTrades": ("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time",
                  "is_buyer_maker"),
}  # fmt: skip
STAMP: dict[Kind, str] = {"bookTicker": "transaction_time", "aggTrades": "transact_time"}


@dataclass(frozen=True, slots=True)
class VisionFile:
    """One download: the file, the CSV in it, and what its name says."""

    path: str
    member: str
    symbol: str
    kind: Kind


def open_vision(path: str) -> VisionFile | None:
    """The download at ``path``, None where it is no zip; ValueError for a zip with something else in it."""
    with Path(path).open("rb") as file:
        if file.read(4) != ZIP_MAGIC:
            return None
    try:
        with ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".csv")]
    except BadZipFile as error:
        raise ValueError(f"{path} is no readable zip: {error}") from None
    if len(members) != 1:
        raise ValueError(f"{path} holds {len(members)} CSV files instead of one")
    for name in (Path(members[0]).name, Path(path).name):
        symbol, _, rest = name.partition("-")
        for kind in get_args(Kind):
            if rest.startswith(kind):
                return VisionFile(path, members[0], symbol, kind)
    raise ValueError(f"{path}: neither SYMBOL-bookTicker-DATE nor SYMBOL-aggTrades-DATE")


def read_vision(file: VisionFile, *, quoteless: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """(nanoseconds since the day began in UTC, frame): files of one day go together.

    ``quoteless``: no file tells this symbol's quotes, so its trades have to.
    """
    day_ms: int | None = None
    with ZipFile(file.path) as archive, archive.open(file.member) as raw:
        rows = csv.reader(io.TextIOWrapper(raw, "utf-8", newline=""))
        columns: tuple[str, ...] = COLUMNS[file.kind]
        for row in rows:
            if row and not row[0].isdigit():
                columns = tuple(row)
                continue
            fields = dict(zip(columns, row, strict=False))
            stamp = int(fields[STAMP[file.kind]])
            stamp_ns = stamp * (1_000 if stamp > MICROSECONDS_FROM else 1_000_000)
            if day_ms is None:
                day_ms = stamp_ns // 1_000_000 // DAY_MS * DAY_MS
            frame = _quote(file.symbol, fields) if file.kind == "bookTicker" else _trade(file.symbol, fields)
            if quoteless:
                frame["quoteless"] = True
            yield stamp_ns - day_ms * 1_000_000, frame


def _quote(symbol: str, fields: dict[str, str]) -> dict[str, Any]:
    return {
        "e": "bookTicker",
        "u": int(fields["update_id"]),
        "s": symbol,
        "b": fields["best_bid_price"],
        "B": fields["best_bid_qty"],
        "a": fields["best_ask_price"],
        "A": fields["best_ask_qty"],
    }


def _trade(symbol: str, fields: dict[str, str]) -> dict[str, Any]:
    maker = fields["is_buyer_maker"].lower() == "true"
    return {"e": "aggTrade", "s": symbol, "p": fields["price"], "q": fields["quantity"], "m": maker}
