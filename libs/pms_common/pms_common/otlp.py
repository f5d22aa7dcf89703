"""Spans to an OpenTelemetry collector over OTLP/HTTP, by the SDK, in a thread of its own.

Owns the bounds: spans that wait, what one request carries, how long it may take. What a collector does not take is
counted and dropped. Headers and further attributes come from OpenTelemetry's own `OTEL_…` variables. Imported by
`tracing` alone, and only where it is switched on.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from threading import Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context
from prometheus_client import Counter

from pms_common.contracts.traceparent import Ids
from pms_common.logging import get_logger
from pms_common.settings import Settings

log = get_logger(__name__)

MAX_WAITING = 8_192
"""Spans of some hundred traced orders a second while a collector restarts; about 3 kB each."""
MAX_BATCH = 64
"""Spans of one request. Encoding them holds the interpreter, and with it what trades, for about 1 ms; with the SDK's
512 one turn of the loop in a thousand is 7 ms late at 1,000 spans a second, with 64 none is.
"""
EXPORT_EVERY_MS = 500
TIMEOUT_S = 3.0
STOP_WITHIN_S = 3.0


class Spans:
    """Makes spans of steps that are over, and has them exported."""

    def __init__(self, service: str, settings: Settings, exported: Counter, failed: Counter) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # `_Counted` says it once
        resource = Resource.create({"service.name": f"pms-{service}", "service.namespace": settings.namespace})
        url = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
        self._exporter: SpanExporter = OTLPSpanExporter(url, timeout=TIMEOUT_S)
        self._ids = _Given()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(_Counted(self._exporter, exported, failed), MAX_WAITING, EXPORT_EVERY_MS, MAX_BATCH)
        )
        self._tracer = self._provider.get_tracer("pms")

    def record(
        self,
        name: str,
        own: Ids,
        before: Ids | None,
        began_ns: int,
        error: str,
        attributes: Mapping[str, str | None],
    ) -> None:
        """A span that ends now."""
        self._ids.trace_id, self._ids.span_id = int(own.trace_id, 16), int(own.span_id, 16)
        parent = None if before is None else set_span_in_context(NonRecordingSpan(_context(before)))
        given = {f"pms.{key}": value for key, value in attributes.items() if value}
        span = self._tracer.start_span(name, context=parent, attributes=given, start_time=began_ns)
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(max(began_ns, time.time_ns()))

    def stop(self) -> None:
        """Export what waits, `STOP_WITHIN_S` at most: the SDK itself would wait for half a minute."""
        closing = Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(STOP_WITHIN_S)
        if closing.is_alive():
            self._exporter.shutdown()  # what still waits fails at once


def _context(ids: Ids) -> SpanContext:
    return SpanContext(int(ids.trace_id, 16), int(ids.span_id, 16), True, TraceFlags(TraceFlags.SAMPLED))


class _Given(IdGenerator):
    """The ids of the next span, which were derived before."""

    trace_id = span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Counted(SpanExporter):
    """Counts what is exported, and says once that nothing is, or is again."""

    def __init__(self, exporter: SpanExporter, exported: Counter, failed: Counter) -> None:
        self._exporter, self._exported, self._failed = exporter, exported, failed
        self._works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        works = result is SpanExportResult.SUCCESS
        (self._exported if works else self._failed).inc(len(spans))
        if works != self._works:
            self._works = works
            log.info("spans_exported_again") if works else log.warning("spans_not_exported", dropped=len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
