"""The page of all settings: name, values, default, and what each means.

The values and defaults are the class's; the meanings are written here, one for each field.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pms_cli.reference import markdown
from pms_cli.reference.markdown import code, table
from pms_common.settings import Settings, env_name

_INTRO = """Read from the environment, then from `.env` in the working directory, then the defaults here. An unknown
`PMS_*` name is refused, naming the nearest known one. Lists are separated by commas."""

MEANINGS = {
    "namespace": "first part of every stream and key name; one for each exchange account",
    "feed_namespace": "the namespace of ticks, leases and prices, shared by exchange accounts; default: the same",
    "feed_symbols": "symbols that are always watched; default with the simulator: BTCUSDT,ETHUSDT",
    "require_account": "`subAccountId` is required also where an object tells the account",
    "db_symbols": "how symbols are written in the tables shared with the JS application",
    "dead_man_s": "the exchange cancels own orders that the order service has not watched for so long; 0: off",
    "history_days": "how long ended orders and their history are kept; 0: for ever",
    "redis_url": "Redis or Valkey; without it `pms up` runs one of its own",
    "database_url": "PostgreSQL; without it `pms up` runs one of its own",
    "redis_url_file": "a file that holds `PMS_REDIS_URL`",
    "database_url_file": "a file that holds `PMS_DATABASE_URL`",
    "binance_env": "the exchange: the simulated one, its test network, or the real one",
    "binance_api_key": "the exchange's key; read by orders only",
    "binance_api_secret": "its secret; read by orders only",
    "binance_api_key_file": "a file that holds the key",
    "binance_api_secret_file": "a file that holds the secret",
    "binance_rest_url": "instead of the environment's own address",
    "binance_ws_url": "instead of the environment's own address",
    "binance_wsapi_url": "instead of the environment's own address",
    "rate_address": "name of the outgoing IP address: processes with the same one share the exchange's weight and bans",
    "position_mode": "must be the exchange account's own",
    "exchange_leverage": "of every symbol at the exchange, capped by its brackets; unset: not checked, taken for 20",
    "l1_source": "where best bid and ask come from: the depth stream, the ticker, or whichever is newer",
    "liquidation_warning": "in mode ADL_30 a warning is told from the liquidation threshold less this margin ratio",
    "liquidation_escalation": "from the threshold and this margin ratio on, one reduction is followed by a full close",
    "liquidation_fraction": "share of the largest position that a reduction closes",
    "liquidation_hold_ms": "a margin ratio must ask for a liquidation in two price updates so far apart",
    "liquidation_cooldown_s": "between two reductions of an account that stays just over its threshold",
    "liquidation_max_spread_pct": "nobody is liquidated on the mid of a wider market, in percent of it",
    "liquidation_max_mark_gap_pct": "nor on one farther from the exchange's mark price, in percent of that, or without"
    " one; 0: no matter; set it for the feed, too, which reads the mark prices then",
    "gateway_host": "the address the gateway listens on; beyond this machine only with a token file",
    "gateway_port": "0: a free one, told in the ready file",
    "token": "what `pms accounts` and the other views show the gateway, where it wants a token",
    "token_file": "a file that holds it",
    "gateway_token_file": "lines of `<name> <read, trade or operator> <sha256:hex or token>`; read again on a change",
    "metrics_host": "the address the other services' probes listen on",
    "feed_metrics_port": "/health, /ready and /metrics of feed",
    "orders_metrics_port": "the same of orders",
    "algos_metrics_port": "the same of algos",
    "risk_metrics_port": "the same of risk",
    "log_level": "the least level that is logged",
    "log_format": "for people or for collectors",
    "otlp_endpoint": "an OpenTelemetry collector that takes OTLP/HTTP, e.g. http://collector:4318; unset: no spans",
    "trace_ratio": "the share of commands without a `traceparent` that begin a trace of their own",
    "sim_host": "the address the simulated exchange listens on",
    "sim_port": "0: a free one, told in the ready file",
    "sim_market": "default: replay with `PMS_SIM_REPLAY`, else synthetic",
    "sim_seed": "the same seed makes the same synthetic market",
    "sim_tick_interval_ms": "between two moves of the synthetic market",
    "sim_volatility": "relative standard deviation of one move",
    "sim_replay": "recordings to replay",
    "sim_speed": "of the replay; 2 is twice as fast",
    "sim_symbols": "the symbols the simulated exchange trades; default: all it lists",
    "sim_exchange_info": "a recorded exchangeInfo to list symbols from",
    "sim_balance": "USDT of a new exchange account",
    "sim_keys_file": "JSON list of {key, secret, account} that it accepts beside its own key",
    "sim_max_open_orders": "by symbol; default: as exchangeInfo says",
    "sim_history": "ended orders, trades and income records kept for queries, by account",
    "sim_request_log": "requests kept for `/sim/requests`",
    "sim_listen_key_seconds": "how long a listen key lives unless it is prolonged",
    "sim_connection_seconds": "how long a WebSocket lives; the exchange closes it after a day",
    "sim_limit_weight_per_minute": "request weight allowed",
    "sim_limit_orders_per_minute": "orders allowed",
    "sim_limit_orders_per_ten_seconds": "orders allowed",
}
_KINDS: dict[Any, str] = {
    str: "text",
    SecretStr: "secret",
    Path: "path",
    bool: "true, false",
    int: "integer",
    float: "number",
    Decimal: "number",
}


def page() -> str:
    """The page."""
    rows = [
        (code(env_name(name)), _values(field.annotation), _default(field), MEANINGS[name])
        for name, field in Settings.model_fields.items()
    ]
    return markdown.page("Settings", _INTRO, table(("setting", "value", "default", ""), rows))


def _values(hint: Any) -> str:
    inner = get_args(hint)
    match get_origin(hint):
        case None:
            return _KINDS[hint]
        case origin if origin is Literal:
            return ", ".join(inner)
        case origin if origin is tuple:
            return "list"
        case _:  # annotated, or optional
            return _values(inner[0])


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined or value is None or value in ("", ()):
        return ""
    return code(str(value).lower() if isinstance(value, bool) else value)
