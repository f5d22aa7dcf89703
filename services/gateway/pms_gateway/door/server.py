"""The HTTP server: routes, guard, page, and the refusal to listen to the world without tokens.

Owns the listening socket. Used by `main`.
"""

import ipaddress
from collections.abc import Sequence

from aiohttp import web

from pms_common.contracts.parse import MAX_PAYLOAD_BYTES
from pms_common.logging import get_logger
from pms_common.service import Lifecycle
from pms_common.settings import SettingsError
from pms_gateway.door import openapi, page
from pms_gateway.door.access import add_headers, guard
from pms_gateway.door.caching import spare
from pms_gateway.door.tokens import TokenFile

log = get_logger(__name__)

CLOSE_WITHIN_S = 5.0
"""For requests that are being answered when the service stops."""


class OpenToTheWorld(SettingsError):
    """The gateway would listen beyond this machine without tokens."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def serve(life: Lifecycle, tokens: TokenFile, routes: Sequence[web.RouteDef]) -> web.AppRunner:
    """Listen until its clean-up. Raises OpenToTheWorld."""
    host, port = life.settings.gateway_host, life.settings.gateway_port
    if not tokens().required and not is_loopback(host):
        raise OpenToTheWorld(
            f"PMS_GATEWAY_HOST={host} can be reached from other machines: set PMS_GATEWAY_TOKEN_FILE, "
            "a file of lines `<name> <read|trade|operator> <token>`"
        )
    app = web.Application(middlewares=[guard(tokens), spare], client_max_size=MAX_PAYLOAD_BYTES)
    app.on_response_prepare.append(add_headers)
    app.add_routes([*page.routes(), *life.probe_routes(), *openapi.routes(), *routes])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_WITHIN_S)
    await runner.setup()
    life.on_stop(runner.cleanup)
    await web.TCPSite(runner, host, port, reuse_address=True).start()
    life.probe_url = f"http://{host}:{runner.addresses[0][1]}"
    log.info("listening", url=life.probe_url, tokens=tokens().required)
    return runner
