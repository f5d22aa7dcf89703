"""Logging of every process: structured, one line an event, to standard error; console or JSON.

Owns the processor chain and the masking of secrets. Never writes a registered secret, a signature or a listen key, in
whatever field, text or traceback it turns up. Used by `pms_common.service` and the `pms` command.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from pms_common.contracts.traceparent import ids

MASK = "***"
_SECRET_KEY = re.compile(r"secret|password|signature|listen_?key|api_?key|token", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"(?i)((?:signature|listenkey|api_?key|secret|password)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;)}]+|(://[^\s:/@]*:)[^\s@/]+@"
)
_values: set[str] = set()


def hide(secrets: Iterable[str]) -> None:
    """Never write these values from now on, whatever they are part of."""
    _values.update(secret for secret in secrets if secret)


def masked(text: str) -> str:
    """`text` without registered secrets, signatures, listen keys and passwords in URLs."""
    for value in _values:
        text = text.replace(value, MASK)
    return _SECRET_TEXT.sub(lambda found: f"{found[1]}{MASK}" if found[1] else f"{found[2]}{MASK}@", text)


def _mask_fields(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for key in event:
        if _SECRET_KEY.search(key):
            event[key] = MASK
    return event


def _trace_ids(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The field `traceparent` as the two ids by which logs and traces are joined; none where it is empty."""
    if context := event.pop("traceparent", ""):
        event["trace_id"], event["span_id"] = ids(context)
    return event


def _json(event: EventDict, **_given: Any) -> str:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # an integer beyond 64 bits, half a surrogate pair: no reason to lose a line
        return json.dumps(event, default=str)


class _MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def configure(service: str, level: str = "INFO", log_format: str = "console", stream: TextIO | None = None) -> None:
    """Set up logging of this process. Library logs (stdlib `logging`) go the same way. May be called again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _trace_ids,
        _mask_fields,
    ]
    stream = stream or sys.stderr
    render: list[Processor]
    if log_format == "json":
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    else:
        plain = structlog.dev.plain_traceback  # rich's boxes and local variables have no place in a log
        render = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        _MaskingFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for talkative in ("aiohttp.access", "asyncio", "alembic"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(service=service)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger: `log.info("order_sent", symbol=symbol)`. The event is a word, the rest are fields."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
