"""The operators' page and its files, which hold no data and so need no token.

Owns their routes. Used by `server` and by the guard.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
INDEX = "index.html"


def _read() -> dict[str, bytes]:
    folder = files("pms_gateway.page")
    return {file.name: file.read_bytes() for file in folder.iterdir() if _ending(file.name) in TYPES}


def _ending(name: str) -> str:
    return name[name.rfind(".") :]


FILES = _read()
PATHS = frozenset({"/", *(f"/page/{name}" for name in FILES if name != INDEX)})


def routes() -> list[web.RouteDef]:
    """The page at `/`, and what it is made of."""
    return [web.get(path, _file(path.rpartition("/")[2] or INDEX)) for path in PATHS]


def _file(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    body, content_type = FILES[name], TYPES[_ending(name)]

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return answer
