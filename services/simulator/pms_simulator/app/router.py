"""Every exchange route by name. A new one: a handler and a line in its family's table."""

from pms_simulator.app.request import Route
from pms_simulator.app.routes import (
    account,
    amendments,
    countdown,
    funding,
    listen_keys,
    orders,
    public,
    session,
    settings,
)

FAMILIES = (public, funding, orders, amendments, countdown, account, settings, listen_keys)

WS_FAMILIES = (public, orders, account, listen_keys, session)

REST: dict[str, Route] = {route.name: route for family in FAMILIES for route in family.REST}
WS: dict[str, Route] = {route.name: route for family in WS_FAMILIES for route in family.WS}
