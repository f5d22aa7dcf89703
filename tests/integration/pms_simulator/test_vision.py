"""Binance Vision zips as recordings: quotes, trades, both together."""

import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pms_simulator.adapters.capture import read_captures

DAY = 1_723_075_200_000
QUOTES = [(1, "60000.0", "3.5", "60000.1", "2", DAY + 40), (2, "60001.0", "3", "60001.1", "1.25", DAY + 900)]
TRADES = [(7, "60000.1", "0.5", 1, 2, DAY + 200, "false"), (8, "59990", "0.25", 3, 3, DAY + 950, "true")]
HEADS = {
    "bookTicker": "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
    "aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
}


def pack(folder: Path, kind: str, rows: list[Any], *, header: bool = True) -> str:
    name = f"BTCUSDT-{kind}-2024-08-08"
    lines = [HEADS[kind]] * header + [",".join(str(value) for value in row) for row in rows]
    with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.csv", "\n".join(lines) + "\n")
    return str(folder / f"{name}.zip")


@pytest.mark.parametrize("header", [True, False])
def test_files_of_one_day_are_merged_by_time(tmp_path: Path, header: bool) -> None:
    quotes = pack(tmp_path, "bookTicker", [(*row, row[-1]) for row in QUOTES], header=header)
    trades = pack(tmp_path, "aggTrades", TRADES, header=header)
    frames = list(read_captures((trades, quotes)))
    assert [(ns // 1_000_000, frame["e"]) for ns, frame in frames] == [
        (40, "bookTicker"), (200, "aggTrade"), (900, "bookTicker"), (950, "aggTrade"),
    ]  # fmt: skip
    assert not any("quoteless" in frame for _, frame in frames)


def test_other_zips_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "BTCUSDT-klines-2024.zip", "w") as archive:
        archive.writestr("BTCUSDT-klines-2024.csv", "1,2\n")
    with pytest.raises(ValueError, match="bookTicker"):
        read_captures((str(tmp_path / "BTCUSDT-klines-2024.zip"),))


async def test_a_download_makes_a_market(tmp_path: Path, start_client: Callable[..., Awaitable[Any]]) -> None:
    """The first ten seconds are played at once; nothing more comes for an hour."""
    rest = [
        (3, "60001.5", "4", "60001.6", "1.5", DAY + 11_000),
        (4, "60002.0", "4", "60002.1", "1.5", DAY + 12_000),  # the replay goes on with this
        (5, "60003.0", "4", "60003.1", "1", DAY + 3_600_000),
    ]
    files = (
        pack(tmp_path, "bookTicker", [(*row, row[-1]) for row in [*QUOTES, *rest]]),
        pack(tmp_path, "aggTrades", TRADES),
    )
    client = await start_client(market="replay", replay=files)
    market = (await client.control("GET", "state"))["markets"]["BTCUSDT"]
    assert [market[name] for name in ("bid", "bidQty", "ask", "askQty")] == ["60002.00", "4.000", "60002.10", "1.500"]
    assert market["last"] == "60001.00"  # the last trade met the quote of its time


async def test_trades_alone_make_a_market(tmp_path: Path, start_client: Callable[..., Awaitable[Any]]) -> None:
    times = (11_000, 12_000, 3_600_000)
    later = [(9 + n, f"6000{4 + n}.0", "1", 4 + n, 4 + n, DAY + ms, "false") for n, ms in enumerate(times)]
    client = await start_client(market="replay", replay=(pack(tmp_path, "aggTrades", [*TRADES, *later]),))
    market = (await client.control("GET", "state"))["markets"]["BTCUSDT"]
    assert [market[name] for name in ("bid", "ask", "askQty")] == ["60004.90", "60005.00", "9.000"]
    assert market["last"] == "60005.00"
