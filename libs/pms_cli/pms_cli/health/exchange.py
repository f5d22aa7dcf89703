"""Does the exchange answer, do quotes come, do clocks agree; are symbols, keys and position mode what settings say?"""

import asyncio
import time
from typing import Any

import aiohttp
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from yarl import URL

from pms_cli.health.finding import Finding
from pms_common.clock import now_ms
from pms_common.settings import Settings, SettingsError
from pms_orders.adapters.binance.signing import Signer

MAX_OFFSET_MS = 500
"""Half of the recvWindow of one second with which orders are signed."""


FIRST_QUOTE_S = 5.0
WATCHED = "BTCUSDT"
"""A symbol whose best quote changes several times a second."""


async def examine_exchange(settings: Settings, simulator: str) -> list[Finding]:
    """Reachability and clock, symbols, then what needs keys."""
    url = simulator or settings.binance_rest_url
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with aiohttp.ClientSession(url, timeout=timeout) as session:
            findings = [await _clock(session), await _symbols(session, settings)]
            findings.append(await _market_data(settings, simulator))
            if settings.binance_api_key and settings.binance_api_secret:
                findings.append(await _position_mode(session, settings))
            else:
                findings.append(
                    Finding("warn", "keys", "not set", "set PMS_BINANCE_API_KEY and PMS_BINANCE_API_SECRET")
                )
            return findings
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return [Finding("wrong", "exchange", f"{url}: {error or type(error).__name__}", "is it reachable from here?")]


async def _clock(session: aiohttp.ClientSession) -> Finding:
    before = time.monotonic()
    async with session.get("/fapi/v1/time") as answer:
        server_ms = int((await answer.json())["serverTime"])
    half_ms = (time.monotonic() - before) * 500
    offset_ms = round(now_ms() - half_ms - server_ms)
    if abs(offset_ms) > MAX_OFFSET_MS:
        return Finding(
            "warn", "clock", f"{offset_ms:+d} ms against the exchange", "synchronise this machine's clock (NTP)"
        )
    return Finding("ok", "clock", f"{offset_ms:+d} ms against the exchange")


async def _symbols(session: aiohttp.ClientSession, settings: Settings) -> Finding:
    async with session.get("/fapi/v1/exchangeInfo") as answer:
        listed = {item["symbol"]: item["status"] for item in (await answer.json())["symbols"]}
    bad = [
        f"{name} ({listed.get(name, 'not listed')})" for name in settings.feed_symbols if listed.get(name) != "TRADING"
    ]
    if bad:
        return Finding("wrong", "symbols", ", ".join(bad), "correct PMS_FEED_SYMBOLS")
    return Finding("ok", "symbols", f"{len(listed)} listed, all of PMS_FEED_SYMBOLS trade")


async def _market_data(settings: Settings, simulator: str) -> Finding:
    """A wrong route is acknowledged there, and stays silent."""
    symbol = settings.feed_symbols[0] if settings.feed_symbols else WATCHED
    url = f"{simulator.replace('http', 'ws', 1) or settings.binance_ws_url}/public/ws/{symbol.lower()}@bookTicker"
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(FIRST_QUOTE_S), connect(url, proxy=None) as socket:
            await socket.recv()
    except (WebSocketException, TimeoutError, OSError) as error:
        why = f"no quote of {symbol} within {FIRST_QUOTE_S:g} s" if isinstance(error, TimeoutError) else str(error)
        return Finding(
            "warn", "market data", f"{url}: {why}", "correct PMS_BINANCE_WS_URL, or what keeps WebSockets from here"
        )
    return Finding("ok", "market data", f"first quote of {symbol} after {(time.monotonic() - began_s) * 1000:.0f} ms")


async def _position_mode(session: aiohttp.ClientSession, settings: Settings) -> Finding:
    try:
        status, body = await _signed(session, settings, "/fapi/v1/positionSide/dual")
    except SettingsError as error:
        return Finding("wrong", "keys", str(error), "correct PMS_BINANCE_API_SECRET")
    if status != 200:
        advice = "the key needs the permission for futures, and this machine's address where it is restricted"
        return Finding("wrong", "keys", f"refused: {body.get('code')} {body.get('msg')}", advice)
    mode = "hedge" if body["dualSidePosition"] else "oneway"
    if mode != settings.position_mode:
        advice = "set PMS_POSITION_MODE to it, or change it at the exchange while nothing is open"
        return Finding(
            "wrong", "position mode", f"the exchange has {mode}, the settings {settings.position_mode}", advice
        )
    return Finding("ok", "keys", f"accepted; position mode {mode}")


async def _signed(session: aiohttp.ClientSession, settings: Settings, path: str) -> tuple[int, dict[str, Any]]:
    assert settings.binance_api_key is not None and settings.binance_api_secret is not None
    signer = Signer(settings.binance_api_key.get_secret_value(), settings.binance_api_secret.get_secret_value())
    query = signer.signed(f"recvWindow=5000&timestamp={now_ms()}")
    headers = {"X-MBX-APIKEY": signer.api_key}
    async with session.get(URL(f"{path}?{query}", encoded=True), headers=headers) as answer:
        body: dict[str, Any] = await answer.json()
        return answer.status, body
