"""Does the gateway answer, and is it closed to whom it has to be?"""

import stat
from pathlib import Path

import aiohttp

from pms_cli.health.finding import Finding
from pms_common.settings import Settings
from pms_gateway.door.server import is_loopback
from pms_gateway.door.tokens import HASH_IT, TokenFileError, load_tokens


async def examine_door(settings: Settings, url: str) -> list[Finding]:
    """The gateway itself, and its tokens."""
    return [*examine_tokens(settings), *(await _answers(url) if url else [])]


def examine_tokens(settings: Settings) -> list[Finding]:
    """The token file, where there is one, and whether there has to be."""
    path = settings.gateway_token_file
    if path is None:
        if is_loopback(settings.gateway_host):
            return []
        advice = "set PMS_GATEWAY_TOKEN_FILE: the gateway does not start without"
        return [Finding("wrong", "gateway tokens", f"none, and it listens on {settings.gateway_host}", advice)]
    try:
        plain = load_tokens(path).plain
    except TokenFileError as error:
        return [Finding("wrong", "gateway tokens", str(error), "correct PMS_GATEWAY_TOKEN_FILE")]
    if plain:
        return [Finding("warn", "gateway tokens", f"{path} has {', '.join(plain)} in plain text", HASH_IT)]
    if _open_to_all(path):
        return [Finding("warn", "gateway tokens", f"every user of this machine may read {path}", f"chmod 600 {path}")]
    return [Finding("ok", "gateway tokens", str(path))]


def _open_to_all(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IROTH)


async def _answers(url: str) -> list[Finding]:
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url}/health"):
            return [Finding("ok", "gateway", url)]
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        advice = "start it: pms run gateway, or correct PMS_GATEWAY_HOST and PMS_GATEWAY_PORT"
        return [Finding("wrong", "gateway", f"{url}: {error or type(error).__name__}", advice)]
