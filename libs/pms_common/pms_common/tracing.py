"""Traces: each step of a traced command's way as a span, exported over OTLP/HTTP where `PMS_OTLP_ENDPOINT` says where.

A step's id is derived from the step before it and from what it is, as all ids here are. So what follows can be told
before the step has ended, and who does a step again after a crash makes the same id. A span is recorded when its step
is over.

Owns the ids, what is recorded, and the sampling of commands that come without a trace. Never blocks, delays or fails
what it watches; `otlp`, and OpenTelemetry with it, is imported only where it is switched on. Without it a trace context
goes on as it came. Used by the services at each step, and by `service`, which starts and ends it.
"""

from __future__ import annotations

from hashlib import blake2b
from logging import DEBUG, getLogger
from typing import TYPE_CHECKING

from pms_common.contracts.traceparent import ids, sampled
from pms_common.logging import get_logger
from pms_common.metrics import counter
from pms_common.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pms_common.otlp import Spans

log = get_logger(__name__)
_steps = getLogger(__name__)

TRACED = frozenset({"risk", "orders", "algos", "gateway"})
"""The services that a command passes."""

_outcomes = counter(
    "trace_spans", "Spans by what became of them: recorded, and of those exported or failed", ["outcome"]
)
_recorded, _exported, _failed = map(_outcomes.labels, ("recorded", "exported", "failed"))
_spans: Spans | None = None
_ratio = 0.0


def start(service: str, settings: Settings) -> None:
    """Export the spans of this process from now on, if the settings say where to. Raises SettingsError."""
    global _spans, _ratio
    if settings.otlp_endpoint and service in TRACED:
        try:
            from pms_common.otlp import Spans
        except ImportError as error:
            raise SettingsError(f"PMS_OTLP_ENDPOINT needs pms-common[otlp] to be installed: {error}") from None
        _spans, _ratio = Spans(service, settings, _exported, _failed), settings.trace_ratio


def stop() -> None:
    """Export what is left, for a moment at most, and end."""
    global _spans
    if _spans is not None:
        spans, _spans = _spans, None
        spans.stop()


def begin(given: str, *cause: str) -> str:
    """The context in which a command is decided that came with the context `given`, or without (empty).

    Where spans are exported, a share of those without (`PMS_TRACE_RATIO`) begins a trace of its own; a command that is
    handed out again is in the same one.
    """
    if _spans is None:
        return given
    if given:
        return step(given, *cause)
    if not _ratio:
        return ""
    digest = _digest(cause, 32)
    if int.from_bytes(digest[24:]) >= _ratio * 2**64:
        return ""
    return f"00-{digest[:16].hex()}-{digest[16:24].hex()}-01"


def step(before: str, *what: str) -> str:
    """The context of the step `what` that follows from the step `before`; `before` itself where nothing is recorded."""
    if _spans is None or not sampled(before):
        return before
    return f"{before[:36]}{_digest((before, *what), 8).hex()}{before[52:]}"


def record(name: str, context: str, before: str, began_ms: int, *, error: str = "", **attributes: str | None) -> None:
    """A step is over: `context` is its own, `before` that of the step it followed from (empty: of none).

    `began_ms` is the wall clock's; what spans are exported for is told by `attributes`, which are no secrets.
    """
    if not context:
        return
    if _steps.isEnabledFor(DEBUG):  # structlog would find that out in 4 µs, at each step
        log.debug("step", step=name, traceparent=context, **({"error": error} if error else {}), **attributes)
    if _spans is not None and context != before:
        _recorded.inc()
        _spans.record(name, ids(context), ids(before) if before else None, began_ms * 1_000_000, error, attributes)


def _digest(words: tuple[str, ...], size: int) -> bytes:
    return blake2b("\x1f".join(words).encode(), digest_size=size).digest()
